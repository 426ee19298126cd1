"""What is left after something has gone wrong in the middle of an update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from optreg.testing.catalog import check
from optreg.testing.internals import hyperparameters_of
from optreg.testing.problems import Problem, contents_of, differing, names_in
from optreg.testing.results import CheckSkipped, fail, skip
from optreg.testing.subjects import OptimizerSubject


class OnPurposeError(Exception):
    """What the checks raise."""


@check("optimizer", level="1")
def check_failing_loss(subject: OptimizerSubject) -> None:
    """A loss function that raises leaves everything as it was, and the run goes on as if it had not been called."""

    def loss(batch: int) -> Any:
        raise OnPurposeError(batch)

    _go_on_after(subject, "a loss function", lambda optimizer, _: optimizer.update(loss, 2))


@check("optimizer", level="1")
def check_failing_hook(subject: OptimizerSubject) -> None:
    """A hook that raises leaves everything as it was, and the run goes on as if it had not been called."""

    def step(optimizer: Any, problem: Problem) -> None:
        with _called(optimizer, _raise):
            optimizer.update(problem.loss, 2)

    _go_on_after(subject, "a hook", step)


def _go_on_after(subject: OptimizerSubject, what: str, step: Any) -> None:
    problem = Problem()
    optimizer = problem.run(subject.on(problem), range(2))
    before, values = contents_of(optimizer), _values(optimizer)
    _raising(subject, what, lambda: step(optimizer, problem))
    different = differing(before, contents_of(optimizer)) + _changed(values, _values(optimizer))
    if different:
        fail(
            f"{what} that raises during an update of {subject.name} leaves {names_in(different)} changed, so a user "
            f"who catches the exception goes on from a step half made; call the loss function and the hooks before "
            f"anything is changed, t included"
        )
    problem.run(optimizer, range(2, 4))
    different = differing(subject.run(range(4)), contents_of(optimizer))
    if different:
        fail(
            f"after {what} that raised, {subject.name} goes on otherwise than it would have: {names_in(different)} "
            f"differ; keep nothing of a step outside of the states, or put it back in a finally clause"
        )


@check("optimizer", level="1")
def check_exception_in_the_middle(subject: OptimizerSubject) -> None:
    """An exception in the middle of an update leaves a usable optimizer, with the hyperparameters that it had."""
    problem = Problem()
    optimizer = problem.run(subject.on(problem), range(2))
    values = _values(optimizer)
    calls: list[int] = []

    def loss(batch: int) -> Any:
        calls.append(batch)
        if len(calls) == 2:
            raise OnPurposeError(batch)
        return problem.loss(batch)

    # Where the loss is called once a step, the middle is after the hooks: a gradient that does not fit is found there.
    with suppress(OnPurposeError):
        optimizer.update(loss, 2)
    if len(calls) == 1:

        def step() -> None:
            with _called(optimizer, _spoil):
                optimizer.update(problem.loss, 3)

        _raising(subject, "a gradient that does not fit", step)
    changed = _changed(values, _values(optimizer))
    if changed:
        fail(
            f"an exception in the middle of an update leaves {names_in(changed)} of {subject.name} changed, so all "
            f"further steps are others; put back in a finally clause what a step changes for a while"
        )
    try:
        problem.run(optimizer, range(4, 8))
    except Exception as error:
        fail(
            f"after an exception in the middle of an update, {subject.name} fails: {type(error).__name__}: {error}; "
            f"put back in a finally clause what a step changes for a while"
        )
    wrong = [name for name, array in problem.arrays.items() if not np.isfinite(array).all()]
    if wrong:
        fail(
            f"after an exception in the middle of an update, {subject.name} makes {names_in(wrong)} infinite or NaN; "
            f"put back in a finally clause what a step changes for a while"
        )


@contextmanager
def _called(optimizer: Any, hook: Callable[[Any], None]) -> Iterator[None]:
    """Have the optimizer call a hook for a while; skips the check where it has not called it."""
    calls: list[int] = []

    def noted(optimizer: Any) -> None:
        calls.append(optimizer.t)
        hook(optimizer)

    optimizer.add_hook(noted, "noted")
    try:
        yield
    finally:
        optimizer.remove_hook("noted")
        if not calls:
            skip("it does not call its hooks; see check_hooks_are_called")


def _raise(optimizer: Any) -> None:
    raise OnPurposeError(optimizer.t)


def _spoil(optimizer: Any) -> None:
    for _, parameter in optimizer.target.namedparams():
        parameter.grad = np.zeros(7)


def _raising(subject: OptimizerSubject, what: str, step: Any) -> None:
    try:
        step()
    except CheckSkipped:
        raise
    except Exception:
        return
    fail(
        f"{subject.name} swallows the exception of {what}, so a user is not told that a step was not made; let it "
        f"through"
    )


def _values(optimizer: Any) -> dict[str, Any]:
    known = hyperparameters_of(type(optimizer))[0]
    return {each.name: getattr(optimizer, each.attribute, None) for each in known}


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name, value in before.items() if after[name] is not value and after[name] != value]
