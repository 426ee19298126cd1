"""Gradients are the user's: read, not written, and sometimes missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optreg.testing.catalog import check
from optreg.testing.internals import GradientMethod
from optreg.testing.problems import Problem, differing, names_in
from optreg.testing.results import fail, skip
from optreg.testing.subjects import OptimizerSubject


@check("optimizer", level="1")
def check_gradients_are_kept(subject: OptimizerSubject) -> None:
    """The user's gradients are left as they were, unless the class says that it changes them."""
    problem = Problem()
    optimizer = subject.on(problem)
    if getattr(optimizer, "changes_gradients", False):
        skip("the class says changes_gradients = True")
    for batch in range(3):
        given = problem.loss(batch)[1]
        kept = {name: gradient.copy() for name, gradient in given.items()}
        calls: list[int] = []

        def loss(batch: int, given: dict[str, Any] = given, calls: list[int] = calls) -> tuple[float, dict[str, Any]]:
            calls.append(batch)
            return (problem.loss(batch)[0], given) if len(calls) == 1 else problem.loss(batch)

        optimizer.update(loss, batch)
        different = [name for name, gradient in given.items() if not np.array_equal(gradient, kept[name])]
        if different:
            fail(
                f"{subject.name} overwrites the gradient of {names_in(different)}, which is the user's array, and "
                f"which hooks and loggers still read; compute with a copy, or say changes_gradients = True in the class"
            )


@check("optimizer", level="1")
def check_none_gradients(subject: OptimizerSubject) -> None:
    """A gradient that is None counts as zeros, so that averages and decay go on."""
    optimizer = subject.create()
    theirs = getattr(type(optimizer), "reallocate_cleared_grads", GradientMethod.reallocate_cleared_grads)
    if theirs is not GradientMethod.reallocate_cleared_grads:
        skip("the class overrides reallocate_cleared_grads(), which says what becomes of them")

    def run(missing: Callable[[], Any]) -> dict[str, Any]:
        problem = Problem()

        def loss(batch: int) -> tuple[float, dict[str, Any]]:
            value, gradients = problem.loss(batch)
            return value, {**gradients, "/b": missing()} if batch % 2 == 0 else gradients

        optimizer = subject.on(problem)
        for batch in range(4):
            optimizer.update(loss, batch)
        return problem.arrays

    try:
        found = run(lambda: None)
    except Exception as error:
        fail(
            f"{subject.name} fails where a parameter has no gradient, as one that a loss does not depend on: "
            f"{type(error).__name__}: {error}; take None for zeros, as GradientMethod.reallocate_cleared_grads() does"
        )
    different = differing(run(lambda: np.zeros(3)), found)
    if different:
        fail(
            f"{subject.name} takes a gradient that is None otherwise than one of zeros: {names_in(different)} differ, "
            f"so momentum stands still where a loss does not reach a parameter; take None for zeros"
        )
