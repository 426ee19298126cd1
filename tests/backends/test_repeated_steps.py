"""A step that is made again without planning notices every change, and does what a planned step would do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optreg
from backends.steps import assert_same, both, everything, repeats, step
from optreg import Hook
from optreg.schedules import Exponential

Change = Callable[[Any, dict[str, Any]], Any]
METHODS = ["sgd", "adamw", "nadam", "rmsprop", "radam"]
"""Their scalars are a bare hyperparameter, expressions, a number a tensor; a flag or the step chooses a branch."""


class Averaging(Hook):
    timing = "post"

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = rate

    def rule(self, param: Any, grad: Any, average: Any) -> None:
        average += self.rate * (param - average)


def _tree() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        "l1": {"W": rng.normal(size=(4, 5)).astype("f4"), "b": rng.normal(size=5).astype("f4")},
        "l2": {"W": rng.normal(size=(5, 2)).astype("f4"), "none": None},
        "list": [np.ones(3, "f4"), np.zeros(2, "f4")],
    }


def _new(shape: Any = (4, 5), dtype: str = "f4", fill: float = 0.5) -> Any:
    return np.full(shape, fill, dtype)


CHANGES: dict[str, Change] = {}


def change(function: Change) -> Change:
    """Something that is done between two steps."""
    CHANGES[function.__name__.strip("_").replace("_", " ")] = function
    return function


# The parameters


@change
def _a_parameter_is_a_new_array(optimizer, tree):
    tree["l1"]["W"] = _new()


@change
def _a_parameter_is_a_new_array_in_a_list(optimizer, tree):
    tree["list"][0] = _new(3)


@change
def _a_parameter_is_set(optimizer, tree):
    optimizer.target["l2/W"].data = _new((5, 2))


@change
def _a_parameter_has_another_order_in_memory(optimizer, tree):
    tree["l1"]["W"] = np.asfortranarray(tree["l1"]["W"])


@change
def _a_parameter_is_strided(optimizer, tree):
    tree["l1"]["b"] = np.ones(10, "f4")[::2]


@change
def _a_parameter_has_another_shape(optimizer, tree):
    tree["l1"]["W"] = _new((5, 4))


@change
def _a_parameter_has_another_dtype(optimizer, tree):
    tree["l1"]["W"] = _new(dtype="f8")


@change
def _a_parameter_is_reshaped_in_place(optimizer, tree):
    tree["l1"]["W"].shape = (2, 10)


@change
def _a_parameter_is_resized_in_place(optimizer, tree):
    tree["l1"]["b"].resize(9, refcheck=False)


@change
def _a_parameter_is_made_smaller_in_place(optimizer, tree):
    tree["l1"]["b"].resize(2, refcheck=False)


@change
def _a_parameter_is_read_only(optimizer, tree):
    tree["l1"]["b"].flags.writeable = False


@change
def _a_parameter_is_a_number(optimizer, tree):
    tree["l1"]["b"] = 3.0


@change
def _a_parameter_is_gone(optimizer, tree):
    del tree["l1"]["b"]


@change
def _a_mapping_of_parameters_is_gone(optimizer, tree):
    del tree["l2"]


@change
def _all_parameters_are_gone(optimizer, tree):
    tree.clear()


@change
def _a_parameter_is_new(optimizer, tree):
    tree["new"] = _new(3)


@change
def _a_parameter_is_initialized(optimizer, tree):
    tree["l2"]["none"] = _new(3)


@change
def _a_parameter_is_not_initialized_any_more(optimizer, tree):
    tree["l2"]["W"] = None


@change
def _a_parameter_has_another_name(optimizer, tree):
    tree["l1"]["c"] = tree["l1"].pop("b")


@change
def _a_parameter_goes_as_another_comes(optimizer, tree):
    del tree["l1"]["b"]
    tree["l1"]["c"] = _new(7)


@change
def _two_parameters_are_swapped(optimizer, tree):
    tree["list"].reverse()


@change
def _two_parameters_of_one_shape_are_swapped(optimizer, tree):
    tree["same"] = _new()
    step(optimizer, np.random.default_rng(9))
    tree["l1"]["W"], tree["same"] = tree["same"], tree["l1"]["W"]


@change
def _the_order_of_parameters_is_another(optimizer, tree):
    tree["l1"]["W"] = tree["l1"].pop("W")


@change
def _a_mapping_is_another(optimizer, tree):
    tree["l1"] = {key: array.copy() for key, array in tree["l1"].items()}


@change
def _a_parameter_is_a_mapping(optimizer, tree):
    tree["l1"]["b"] = {"inner": _new(5)}


@change
def _two_paths_share_an_array(optimizer, tree):
    tree["same"] = _new()
    step(optimizer, np.random.default_rng(9))
    tree["same"] = tree["l1"]["W"]


@change
def _two_paths_that_shared_an_array_do_so_no_more(optimizer, tree):
    tree["same"] = tree["l1"]["W"]
    step(optimizer, np.random.default_rng(9))
    step(optimizer, np.random.default_rng(9))
    tree["same"] = tree["l1"]["W"].copy()


@change
def _the_first_of_two_paths_that_shared_an_array_has_its_own(optimizer, tree):
    tree["same"] = tree["l1"]["W"]
    step(optimizer, np.random.default_rng(9))
    step(optimizer, np.random.default_rng(9))
    tree["l1"]["W"] = tree["l1"]["W"].copy()


@change
def _a_parameter_is_a_view_of_another(optimizer, tree):
    tree["same"] = _new()
    step(optimizer, np.random.default_rng(9))
    tree["same"] = tree["l1"]["W"][:]


@change
def _a_parameter_overlaps_another(optimizer, tree):
    memory = np.zeros(12, "f4")
    tree["l1"]["b"] = memory[:5]
    tree["late"] = memory[3:]


# States, hooks, options, hyperparameters


@change
def _a_state_is_a_new_array(optimizer, tree):
    for state in optimizer._states.values():
        for key in state:
            state[key] = state[key] + np.float32(0.25)


@change
def _a_state_has_another_dtype(optimizer, tree):
    for state in optimizer._states.values():
        for key in state:
            state[key] = state[key].astype("f8")


@change
def _a_whole_state_is_another(optimizer, tree):
    for name, state in list(optimizer._states.items()):
        optimizer._states[name] = {key: array + np.float32(0.25) for key, array in state.items()}


@change
def _states_are_lost(optimizer, tree):
    optimizer._states.clear()


@change
def _a_hook_is_added(optimizer, tree):
    optimizer.add_hook(optreg.WeightDecay(0.1))


@change
def _a_hook_with_a_slot_is_added(optimizer, tree):
    optimizer.add_hook(Averaging())


@change
def _a_callable_hook_is_added(optimizer, tree):
    optimizer.add_hook(lambda opt: opt.target["l1/W"].grad.fill(1), name="ones")


@change
def _a_hook_after_the_update_is_added(optimizer, tree):
    def rounded(opt):
        opt.target["l1/W"].data[...] = np.round(opt.target["l1/W"].data, 3)

    rounded.timing = "post"
    optimizer.add_hook(rounded)


@change
def _a_hook_is_removed(optimizer, tree):
    optimizer.remove_hook("Lasso")


@change
def _a_hook_is_removed_and_added_again(optimizer, tree):
    hook = optimizer._hooks["Averaging"]
    optimizer.remove_hook("Averaging")
    optimizer.add_hook(hook)


@change
def _a_hook_is_added_for_one_step(optimizer, tree):
    optimizer.add_hook(optreg.WeightDecay(0.1))
    step(optimizer, np.random.default_rng(9))
    optimizer.remove_hook("WeightDecay")


@change
def _a_hook_skips_a_step(optimizer, tree):
    optimizer.add_hook("skip_nonfinite")
    for parameter in optimizer.target.params():
        parameter.grad = np.full_like(parameter.data, np.nan)
    optimizer.update()


@change
def _the_hyperparameter_of_a_hook_is_another(optimizer, tree):
    optimizer._hooks["Lasso"].rate = 0.5
    optimizer._hooks["Averaging"].rate = 0.75


@change
def _the_hyperparameter_of_a_hook_is_a_schedule(optimizer, tree):
    optimizer._hooks["Lasso"].rate = Exponential(initial=0.5, factor=0.5)


@change
def _options_are_others(optimizer, tree):
    optimizer.options = {"*/b": {"lr": 0.5}}


@change
def _options_are_schedules(optimizer, tree):
    optimizer.options = {"*/b": {"lr": Exponential(initial=0.5, factor=0.5)}, "/l1/*": {"lr": 0.25}}


@change
def _options_come_and_go(optimizer, tree):
    optimizer.options = {"*/b": {"lr": 0.5}}
    step(optimizer, np.random.default_rng(9))
    optimizer.options = {}


@change
def _the_learning_rate_is_another(optimizer, tree):
    optimizer.lr = 0.125


@change
def _the_learning_rate_is_a_whole_number(optimizer, tree):
    optimizer.lr = 1


@change
def _the_learning_rate_is_a_number_of_numpy(optimizer, tree):
    optimizer.lr = np.float64(0.3)


@change
def _the_learning_rate_is_a_number_of_numpy_past_the_converter(optimizer, tree):
    object.__setattr__(optimizer, "lr", np.float64(0.3))


@change
def _the_learning_rate_is_a_schedule(optimizer, tree):
    optimizer.lr = Exponential(initial=0.5, factor=0.5)


@change
def _the_learning_rate_is_a_function(optimizer, tree):
    optimizer.lr = lambda t: 1 / t


@change
def _the_learning_rate_is_a_schedule_for_a_while(optimizer, tree):
    optimizer.lr = Exponential(initial=0.5, factor=0.5)
    step(optimizer, np.random.default_rng(9))
    step(optimizer, np.random.default_rng(9))
    optimizer.lr = 0.25


@change
def _the_learning_rate_is_none(optimizer, tree):
    object.__setattr__(optimizer, "lr", None)


@change
def _a_schedule_raises(optimizer, tree):
    optimizer.lr = lambda t: 1 / (t - 5)  # in the step that follows


@change
def _a_schedule_raises_later(optimizer, tree):
    optimizer.lr = lambda t: 1 / (t - 7)


@change
def _a_schedule_raises_a_type_error(optimizer, tree):
    optimizer.lr = lambda t: 1.0 if t < 7 else None + 1


@change
def _a_schedule_leaves_its_bounds(optimizer, tree):
    optimizer.lr = lambda t: 6.5 - t


@change
def _a_flag_is_another(optimizer, tree):
    if hasattr(optimizer, "momentum"):
        optimizer.momentum = 0.5
    if hasattr(optimizer, "centered"):
        optimizer.centered = True


# The optimizer


@change
def _the_step_count_is_another(optimizer, tree):
    optimizer.t = 100


@change
def _the_step_count_is_zero(optimizer, tree):
    optimizer.t = 0


@change
def _it_is_set_up_again(optimizer, tree):
    optimizer.setup(tree)


@change
def _it_is_set_up_with_another_target(optimizer, tree):
    optimizer.setup({"l1": {"W": _new((4, 5)), "b": _new(2)}})


@change
def _its_target_is_another(optimizer, tree):
    other = optreg.create("sgd").setup({"l1": {"W": _new()}}).target
    optimizer.target = other


@change
def _a_method_is_overridden_on_the_instance(optimizer, tree):
    def update_one(param, state):
        param.data -= param.grad

    optimizer.update_one = update_one


@change
def _a_method_is_overridden_in_place_of_an_attribute(optimizer, tree):
    optimizer.something = 1
    step(optimizer, np.random.default_rng(9))
    step(optimizer, np.random.default_rng(9))
    del optimizer.something
    optimizer.update_one = lambda param, state: param.data.fill(1)


@change
def _the_rule_of_its_class_is_another(optimizer, tree):
    def rule(self, param, grad):
        param -= 0.5 * grad

    # Not for the other tests: in a class of its own.
    optimizer.__class__ = type(type(optimizer).__name__, (type(optimizer),), {})
    step(optimizer, np.random.default_rng(9))
    step(optimizer, np.random.default_rng(9))
    type(optimizer).rule = rule


@change
def _it_is_copied(optimizer, tree):
    return copy.deepcopy(optimizer)


@change
def _it_is_copied_shallowly(optimizer, tree):
    return copy.copy(optimizer)


@change
def _it_is_pickled(optimizer, tree):
    return pickle.loads(pickle.dumps(optimizer))


@change
def _the_backend_is_numpy_for_a_while(optimizer, tree):
    with optreg.use_backend("numpy"):
        step(optimizer, np.random.default_rng(9))


@change
def _the_backend_is_numba_for_a_while(optimizer, tree):
    with optreg.use_backend("numba"):
        step(optimizer, np.random.default_rng(9))
        step(optimizer, np.random.default_rng(9))


@change
def _an_epoch_begins(optimizer, tree):
    optimizer.new_epoch()


def _run(name: str, between: Change) -> Any:
    tree = _tree()
    optimizer = optreg.create(name, lr=0.1, hooks=[optreg.Lasso(0.01), Averaging()]).setup(tree)
    rng = np.random.default_rng(2)
    for _ in range(4):
        step(optimizer, rng)
    repeated = repeats(optimizer)
    errors = []
    results = []
    for number in range(4):
        try:
            if number == 0:
                optimizer = between(optimizer, tree) or optimizer
            step(optimizer, rng)
        except Exception as error:
            errors.append((type(error), str(error)))
        results.append(everything(optimizer))
    return repeated, errors, results


@pytest.mark.parametrize("between", CHANGES)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.filterwarnings("ignore:.*cannot be compiled:RuntimeWarning")
def test_the_result_is_that_of_numpy_after(between, name):
    (_, errors, results), (repeated, found_errors, found) = both(lambda: _run(name, CHANGES[between]))
    assert repeated
    assert found_errors == errors
    for one, other in zip(results, found, strict=True):
        assert_same(one, other)
