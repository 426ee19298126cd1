"""Something that is done between two steps to an optimizer: its states, hooks, options, hyperparameters, methods."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np

import optreg
from backends.changes_of_parameters import change, new
from backends.steps import step
from optreg import Hook
from optreg.schedules import Exponential


class Averaging(Hook):
    timing = "post"

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = rate

    def rule(self, param: Any, grad: Any, average: Any) -> None:
        average += self.rate * (param - average)


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
    optimizer.setup({"l1": {"W": new((4, 5)), "b": new(2)}})


@change
def _its_target_is_another(optimizer, tree):
    other = optreg.create("sgd").setup({"l1": {"W": new()}}).target
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
