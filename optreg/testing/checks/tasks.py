"""A task of ``optreg compare``: the same under the same seed, with gradients that belong to the loss."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

import optreg
from optreg.testing import internals
from optreg.testing.catalog import check
from optreg.testing.results import fail
from optreg.testing.subjects import TaskSubject


def _task(subject: TaskSubject) -> Any:
    cls = subject.implementation()
    try:
        return cls()
    except Exception as error:
        fail(
            f"the task {subject.name} cannot be made without arguments: {type(error).__name__}: {error}; have defaults"
        )


def _arrays(tree: Any, path: str = "") -> dict[str, Any]:
    """The arrays of a nested mapping by path."""
    if isinstance(tree, dict):
        return {name: array for key, child in tree.items() for name, array in _arrays(child, f"{path}/{key}").items()}
    return {path: tree}


@check("task", level="1")
def check_task_is_complete(subject: TaskSubject) -> None:
    """It is a Task, and says what is measured, how long it takes, and which value counts as reached."""
    cls = subject.implementation()
    if not issubclass(cls, internals.Task):
        fail(
            f"the task {subject.name} does not derive from optreg.compare.task.Task, which says what a task has; "
            f"derive from it"
        )
    needed = ("metric", "loss", "selection", "target", "steps", "seeds", "batch_size", "evaluations")
    missing = [name for name in needed if not hasattr(cls, name)]
    if missing:
        fail(f"the task {subject.name} does not say {', '.join(missing)}, which `optreg compare` reads; see Task")
    task = _task(subject)
    measured = task.measure(task.initial_parameters(0))
    lacking = [each.name for each in (cls.metric, cls.loss, *cls.selection) if each.name not in measured]
    if lacking:
        fail(f"measure() of the task {subject.name} returns {sorted(measured)}; return {', '.join(lacking)} as well")


@check("task", level="1")
def check_task_is_repeatable(subject: TaskSubject) -> None:
    """Under one seed, every optimizer starts from the same point and sees the same batches."""

    def seen() -> list[Any]:
        task = _task(subject)
        parameters = task.initial_parameters(1)
        losses = [
            task.loss_and_gradients(parameters, batch)[0] for batch in islice(task.batches(1, task.batch_size), 3)
        ]
        return [*(array.tolist() for array in _arrays(parameters).values()), *losses]

    if seen() != seen():
        fail(
            f"the task {subject.name} gives other parameters, batches or losses under the same seed, so optimizers are "
            f"not compared under equal conditions; make every random number from numpy.random.default_rng(seed)"
        )


@check("task", level="1")
def check_task_gradients(subject: TaskSubject) -> None:
    """The gradients are those of the loss, by finite differences, and have the parameters' names and shapes."""
    task = _task(subject)
    parameters = task.initial_parameters(0)
    batch = next(iter(task.batches(0, task.batch_size)))
    _, gradients = task.loss_and_gradients(parameters, batch)
    arrays, slopes = _arrays(parameters), _arrays(gradients)
    if {name: array.shape for name, array in arrays.items()} != {name: np.shape(each) for name, each in slopes.items()}:
        fail(f"the gradients of the task {subject.name} are {list(slopes)}; name and shape them as the parameters")
    rng = np.random.default_rng(0)
    direction = {name: rng.normal(size=array.shape) for name, array in arrays.items()}
    expected = sum(float((direction[name] * slopes[name]).sum()) for name in arrays)
    start = {name: array.copy() for name, array in arrays.items()}
    double = all(array.dtype == np.float64 for array in arrays.values())
    width = 1e-6 if double else 1e-2

    def at(distance: float) -> float:
        for name, array in arrays.items():
            array[...] = start[name] + distance * direction[name]
        return float(task.loss_and_gradients(parameters, batch)[0])

    found = (at(width) - at(-width)) / (2 * width)
    if not abs(found - expected) <= (1e-4 if double else 5e-2) * max(abs(found), abs(expected), 1e-3):
        fail(
            f"the gradients of the task {subject.name} are not those of its loss: along a random direction, the loss "
            f"rises by {found:.6g} and the gradients say {expected:.6g}; look at factors, means, and signs"
        )


@check("task", level="1")
def check_task_can_be_solved(subject: TaskSubject) -> str:
    """Adam gets the loss down, with one of several learning rates."""
    best = np.inf
    first = np.inf
    for lr in (1e-3, 1e-2, 1e-1):
        task = _task(subject)
        parameters = task.initial_parameters(0)
        optimizer = optreg.create("adam", lr=lr).setup(parameters)
        first = task.measure(parameters)[task.loss.name]
        for batch in islice(task.batches(0, task.batch_size), 100):
            optimizer.apply_gradients(task.loss_and_gradients(parameters, batch)[1])
        best = min(best, task.measure(parameters)[task.loss.name])
    if not best < first:
        fail(
            f"Adam does not get the {task.loss.name} of the task {subject.name} below its start, {first:.4g}, in 100 "
            f"steps with any of three learning rates; look at the signs of the gradients"
        )
    return f"the {task.loss.name} falls from {first:.4g} to {best:.4g}"
