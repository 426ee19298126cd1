"""A step that is made again without planning notices every change, and does what a planned step would do."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import optreg
from backends.changes_of_optimizers import Averaging
from backends.changes_of_parameters import CHANGES, Change, new_tree
from backends.steps import assert_same, both, everything, form_of, repeats, step
from optreg import GradientMethod, Hook
from optreg.backends import current_backend
from optreg.errors import SkipStep, TargetError
from optreg.passes import prepare_pass
from optreg.schedules import Exponential

METHODS = ["sgd", "adamw", "nadam", "rmsprop", "radam"]
"""Their scalars are a bare hyperparameter, expressions, a number a tensor; a flag or the step chooses a branch."""


def _run(name: str, changes: Sequence[Change]) -> Any:
    """Steps with changes in between: whether steps repeated at first, all errors, and what each step has left."""
    tree = new_tree()
    optimizer = optreg.create(name, lr=0.1, hooks=[optreg.Lasso(0.01), Averaging()]).setup(tree)
    rng = np.random.default_rng(2)
    for _ in range(4):
        step(optimizer, rng)
    repeated = repeats(optimizer)
    errors, results = [], []
    for between in changes:
        for number in range(4):
            try:
                if number == 0:
                    optimizer = between(optimizer, tree) or optimizer
                step(optimizer, rng)
            except Exception as error:
                errors.append((type(error), str(error)))
            results.append(everything(optimizer))
    return repeated, errors, results


def _compare(name: str, changes: Sequence[Change]) -> None:
    (_, errors, results), (repeated, found_errors, found) = both(lambda: _run(name, changes))
    assert repeated
    assert found_errors == errors
    for one, other in zip(results, found, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("between", CHANGES)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.filterwarnings("ignore:.*cannot be compiled:RuntimeWarning")
def test_the_result_is_that_of_numpy_after(between, name):
    _compare(name, [CHANGES[between]])


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("name", ["sgd", "nadam"])
@pytest.mark.filterwarnings("ignore:.*cannot be compiled:RuntimeWarning")
def test_the_result_is_that_of_numpy_after_changes_in_any_order(name, seed):
    order = np.random.default_rng(seed).permutation(list(CHANGES))[:8]
    print(*order, sep=", then ")  # for whom it fails
    _compare(name, [CHANGES[between] for between in order])


class FirstMoment(GradientMethod):
    """A plain class without a state but for the step, to be found unfit by its parameter's shape alone."""

    def __init__(self, lr: Any = 0.1) -> None:
        self.lr = lr

    def rule(self, param: Any, grad: Any) -> None:
        param -= self.lr * grad


@pytest.mark.parametrize(
    "changed",
    [0.5, 1, np.float64(0.3), np.float32(0.3), True, None, "0.1", 1j, np.array(0.25), np.ones(3), lambda t: 1 / t],
    ids=lambda changed: "schedule" if callable(changed) else repr(changed),
)
@pytest.mark.filterwarnings("ignore:.*cannot be compiled:RuntimeWarning")
def test_a_hyperparameter_of_a_plain_class_may_become_anything(changed):
    def run() -> Any:
        optimizer = FirstMoment().setup({"w": np.linspace(0, 1, 3, dtype="f4")})
        errors = []
        rng = np.random.default_rng(0)
        for number in range(8):
            if number == 4:
                optimizer.lr = changed
            try:
                step(optimizer, rng)
            except Exception as error:
                errors.append((type(error), str(error)))
        return errors, everything(optimizer)

    (errors, expected), (found_errors, found) = both(run)
    assert errors == found_errors
    assert_same(expected, found)


@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")  # but it can be done
def test_a_parameter_without_states_that_is_reshaped_in_place_is_an_error_as_ever():
    def run() -> str:
        optimizer = FirstMoment().setup({"w": np.ones((2, 3))})
        for _ in range(3):
            step(optimizer, np.random.default_rng(0))
        optimizer.target["w"].data.shape = (6,)
        with pytest.raises(TargetError) as raised:
            step(optimizer, np.random.default_rng(0))
        assert optimizer.t == 3
        return str(raised.value)

    assert len(set(both(run))) == 1


def test_unpickled_gradients_do_not_keep_a_step_from_being_repeated():
    with optreg.use_backend("numba"):
        optimizer = FirstMoment().setup({"w": np.ones(3)})
        for _ in range(3):
            optimizer.target["w"].grad = gradient = pickle.loads(pickle.dumps(np.ones(3)))
            assert gradient.dtype is not np.dtype(float)
            before = form_of(optimizer)
            optimizer.update()
        assert form_of(optimizer) is before


def test_a_checkpoint_that_is_loaded_in_between_is_gone_on_from(tmp_path):
    def run() -> Any:
        optimizer = optreg.create("nadam", hooks=[optreg.Lasso(0.01), Averaging()]).setup(new_tree())
        rng = np.random.default_rng(2)
        for number in range(12):
            if number == 4:
                optreg.save(tmp_path / "run.npz", optimizer)
            if number == 8:
                optreg.load(tmp_path / "run.npz", optimizer)
            step(optimizer, rng)
        return everything(optimizer)

    assert_same(*both(run))


def test_a_checkpoint_that_is_loaded_brings_its_hyperparameters(tmp_path):
    def run() -> Any:
        optimizer = optreg.create("rmsprop", lr=Exponential(initial=0.1, factor=0.9), momentum=0.5).setup(new_tree())
        rng = np.random.default_rng(2)
        step(optimizer, rng)
        optreg.save(tmp_path / "run.npz", optimizer)
        other = optreg.create("rmsprop", lr=0.5, momentum=0.25).setup(new_tree())
        for number in range(9):
            if number == 5:
                optreg.load(tmp_path / "run.npz", other)
            step(other, rng)
        return everything(other)

    assert_same(*both(run))


def test_schedules_are_asked_as_often_as_with_numpy():
    def run() -> list[int]:
        asked: list[int] = []

        def schedule(t: int) -> float:
            asked.append(t)
            return 1 / t

        optimizer = optreg.create("adamw", lr=schedule).setup(new_tree())
        rng = np.random.default_rng(2)
        for _ in range(6):
            step(optimizer, rng)
        return asked

    expected, found = both(run)
    assert found == expected
    assert found[-5:] == [2, 3, 4, 5, 6]


def test_a_copy_and_its_original_go_on_apart():
    def run() -> Any:
        optimizer = optreg.create("adamw", hooks=[Averaging()]).setup(new_tree())
        rng = np.random.default_rng(2)
        for _ in range(3):
            step(optimizer, rng)
        other = copy.deepcopy(optimizer)
        for _ in range(3):
            step(other, rng)
            step(optimizer, rng)
        return everything(optimizer) | {f"copy {key}": value for key, value in everything(other).items()}

    assert_same(*both(run))


class Careful(Hook):
    """Observes with a memory: the average of what it has seen; scales what is larger, and skips what is far larger."""

    def __init__(self) -> None:
        self.average = 1.0
        self.rate = 1.0
        self.seen: list[float] = []

    def observe(self, opt: Any) -> None:
        largest = max(float(np.abs(parameter.grad).max()) for parameter in opt.target.params())
        self.seen.append(largest)
        self.average = 0.75 * self.average + 0.25 * largest
        self.rate = self.average / largest
        if largest > 100:
            raise SkipStep

    def rule(self, param: Any, grad: Any) -> None:
        if self.rate < 1:
            grad *= self.rate


def test_a_hook_that_observes_does_so_once_a_step_whichever_way_the_step_goes():
    def run() -> Any:
        hook = Careful()
        optimizer = optreg.create("adamw", hooks=[hook, optreg.Lasso(0.01)]).setup({"w": np.linspace(0, 1, 3)})
        for number, size in enumerate([1, 2, 0.5, 3, 2, 1, 1000, 5, 0.25, 0.25, 1000, 1, 4, 1]):
            optimizer.target["w"].grad = np.full(3, size, "f8" if number != 9 else "f4")
            optimizer.update()
        return everything(optimizer), hook.seen, hook.average

    (expected, seen, average), (found, found_seen, found_average) = both(run)
    assert (found_seen, found_average) == (seen, average)
    assert_same(expected, found)


def test_a_rule_that_takes_its_branches_in_turns_is_planned_once_for_each():
    with optreg.use_backend("numba"):
        clipping = optreg.create_hook("gradient_clipping", threshold=1.0)
        optimizer = optreg.create("adamw", hooks=[clipping]).setup({"w": np.linspace(0, 1, 3)})
        repeats_of = {True: set(), False: set()}
        for number in range(10):
            small = number % 3 == 0
            optimizer.target["w"].grad = np.full(3, 0.1 if small else 10.0)
            optimizer.update()
            repeats_of[small].add(form_of(optimizer))
    assert len(repeats_of[True]) == len(repeats_of[False]) == 1
    assert repeats_of[True] != repeats_of[False]


def test_gradients_are_not_held_by_forms_of_the_step_that_were_not_taken():
    with optreg.use_backend("numba"):
        clipping = optreg.create_hook("gradient_clipping", threshold=1.0)
        optimizer = optreg.create("adamw", hooks=[clipping]).setup({"w": np.linspace(0, 1, 3)})
        for number in range(10):
            gradient = np.full(3, 0.1 if number % 3 == 0 else 10.0)
            optimizer.target["w"].grad = gradient
            optimizer.update()
            optimizer.target["w"].grad = None
            assert sys.getrefcount(gradient) == 2


def _noted(notes: list[int]) -> Any:
    def note(opt: Any) -> None:
        notes.append(opt.t)

    return note


def _many_hooks(notes: list[int]) -> list[Any]:
    """Passes before, with, and after that of the optimizer, and callables between them."""
    return [
        optreg.WeightDecay(0.1),
        optreg.GradientClipping(Exponential(2.0, 0.9)),
        _noted(notes),
        optreg.Lasso(0.01),
        Averaging(),
        optreg.create_hook("skip_nonfinite"),
    ]


def test_every_pass_of_a_step_is_planned_once(monkeypatch):
    planned: list[tuple[str, int]] = []

    def counted(optimizer: Any, timed: Any) -> Any:
        planned.append((current_backend().name, optimizer.t))
        return prepare_pass(optimizer, timed)

    monkeypatch.setattr(optreg.optimizer, "prepare_pass", counted)

    def run() -> Any:
        notes: list[int] = []
        optimizer = optreg.create("adamw").setup(new_tree())
        for number, hook in enumerate(_many_hooks(notes)):
            optimizer.add_hook(hook, name=str(number))
        rng = np.random.default_rng(4)
        for _ in range(10):
            step(optimizer, rng)
        return everything(optimizer), notes

    (expected, notes), (found, found_notes) = both(run)
    assert_same(expected, found)
    assert found_notes == notes == list(range(10))
    assert planned.count(("numpy", 9)) == 4, "a pass before each callable, and two around the norm"
    assert {t for name, t in planned if name == "numba"} <= {0, 1}


@pytest.mark.parametrize("place", range(7))
def test_a_hook_may_change_everything_between_the_passes(place):
    def meddle(opt: Any) -> None:
        parameter = next(iter(opt.target.params()))
        if opt.t % 4 == 1:
            parameter.grad = np.full_like(parameter.grad, 0.5)
        elif opt.t % 4 == 2:
            parameter.grad = None
        elif opt.t == 7:
            opt.remove_hook("3")
        elif opt.t == 8:
            opt.target.arrays["late"] = np.ones(3)
            opt.target["late"].grad = np.ones(3)
        elif opt.t == 12:
            opt.lr = 0.5

    def run() -> Any:
        optimizer = optreg.create("adamw").setup(new_tree())
        hooks = _many_hooks([])
        hooks.insert(place, meddle)
        for number, hook in enumerate(hooks):
            optimizer.add_hook(hook, name=f"{number - (number > place)}" if hook is not meddle else "meddle")
        rng = np.random.default_rng(4)
        for _ in range(16):
            step(optimizer, rng)
        return everything(optimizer)

    assert_same(*both(run))
