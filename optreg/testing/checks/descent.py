"""It minimizes: a bowl, a curved valley, and the loss of a small model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from optreg.testing import internals
from optreg.testing.catalog import check
from optreg.testing.results import fail
from optreg.testing.subjects import OptimizerSubject

RATES = ("lr", "alpha", "learning_rate", "step_size")
"""What hyperparameters are called whose size depends on the problem; those that end in ``_lr`` go with them."""

LADDER = (1.0, 10.0, 100.0, 1000.0, 0.1, 0.01)
"""Factors of the learning rate that are tried, one after another, until one of them gets there.

Where there is no learning rate, one run has the steps of all of them.
"""

DIVERGED = 1e9
"""A loss that has grown by this factor is not waited for."""

Loss = Callable[[], tuple[float, dict[str, Any]]]


@check("optimizer", level="1")
def check_minimizes_a_quadratic(subject: OptimizerSubject) -> str:
    """It goes 99 % of the way down a quadratic bowl in 500 steps, with the learning rate, or with another one."""
    curvatures = np.geomspace(0.2, 2.0, 10)
    minimum = np.linspace(-1.0, 1.5, 10)

    def problem() -> tuple[dict[str, Any], Loss]:
        arrays = {"x": minimum + np.where(np.arange(10) % 2, 0.8, -1.2)}

        def loss() -> tuple[float, dict[str, Any]]:
            away = arrays["x"] - minimum
            return float((curvatures / 2 * away**2).sum()), {"/x": curvatures * away}

        return arrays, loss

    return _get_down(subject, problem, steps=500, to=0.01, what="a quadratic bowl of ten variables")


@check("optimizer", level="1")
def check_minimizes_rosenbrock(subject: OptimizerSubject) -> str:
    """It goes 90 % of the way down Rosenbrock's curved valley in 1000 steps, with the learning rate, or with another.

    The valley is (1 − x)² + 10·(y − x²)², which is kinder to one step size for all directions than with 100; a method
    that only gets to its floor still has 70 % of the way to go.
    """

    def problem() -> tuple[dict[str, Any], Loss]:
        arrays = {"x": np.array([-1.2, 1.0])}

        def loss() -> tuple[float, dict[str, Any]]:
            x, y = arrays["x"].tolist()
            slope = np.array([-2 * (1 - x) - 40 * x * (y - x * x), 20 * (y - x * x)])
            return (1 - x) ** 2 + 10 * (y - x * x) ** 2, {"/x": slope}

        return arrays, loss

    return _get_down(subject, problem, steps=1000, to=0.1, what="Rosenbrock's valley")


@check("optimizer", level="1")
def check_learns_a_logistic_regression(subject: OptimizerSubject) -> str:
    """It learns a logistic regression of 100 examples in 300 steps, up to 20 % of what there is to learn."""
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(100, 4))
    labels = (inputs @ np.array([1.5, -1.0, 0.5, 0.0]) + 0.3 + 0.5 * rng.normal(size=100) > 0).astype(float)
    # The least loss, by Newton's method.
    ones, best = np.column_stack([inputs, np.ones(100)]), np.zeros(5)
    for _ in range(20):
        chance = 1 / (1 + np.exp(-ones @ best))
        curvature = ones.T @ (ones * (chance * (1 - chance))[:, None])
        best -= np.linalg.solve(curvature, ones.T @ (chance - labels))
    least = _cross_entropy(ones @ best, labels)

    def problem() -> tuple[dict[str, Any], Loss]:
        arrays = {"weights": np.zeros(4), "bias": np.zeros(())}

        def loss() -> tuple[float, dict[str, Any]]:
            scores = inputs @ arrays["weights"] + arrays["bias"]
            error = (1 / (1 + np.exp(-scores)) - labels) / len(scores)
            return _cross_entropy(scores, labels) - least, {
                "/weights": inputs.T @ error,
                "/bias": np.asarray(error.sum()),
            }

        return arrays, loss

    return _get_down(subject, problem, steps=300, to=0.2, what="the loss of a logistic regression")


def _cross_entropy(scores: Any, labels: Any) -> float:
    return float(np.mean(np.logaddexp(0, scores) - labels * scores))


def _get_down(  # noqa: RET503 (fail() does not return)
    subject: OptimizerSubject, problem: Callable[[], tuple[dict[str, Any], Loss]], *, steps: int, to: float, what: str
) -> str:
    tried = []
    ladder = list(_ladder(subject))
    steps *= len(LADDER) // len(ladder)  # where there is nothing to choose, one run has the time of all
    for changes in ladder:
        arrays, loss = problem()
        try:
            losses = _losses(subject.create(**changes).setup(arrays), loss, steps, to)
        except Exception as error:
            if changes == ladder[0]:
                raise
            tried.append(f"{_shown(changes)}: {type(error).__name__}")  # a value out of bounds, say
            continue
        left = losses[-1] / losses[0]
        if left <= to:
            return f"{_shown(changes)}: after {len(losses) - 1} steps, {left:.2g} of the loss is left"
        tried.append(f"{_shown(changes)}: {left:.2g}")
    fail(
        f"{subject.name} does not get down {what} in {steps} steps; what is left of the loss, with each value that "
        f"was tried: {'; '.join(tried)}; look at the sign of the step, or give hyperparameters with which it should"
    )


def _losses(optimizer: Any, loss: Loss, steps: int, to: float) -> list[float]:
    """The losses of a run, until it is there, or gone.

    Methods with steps of one size end near the minimum, and go around it: each step may be the best one.
    """
    losses: list[float] = []
    while True:
        value = loss()
        losses.append(value[0])
        if losses[-1] <= to * losses[0] or not losses[-1] < DIVERGED * losses[0] or len(losses) >= steps:
            return losses
        first = iter([value])  # found out already
        optimizer.update(lambda first=first: next(first, None) or loss())


def _ladder(subject: OptimizerSubject) -> Iterator[dict[str, Any]]:
    optimizer = subject.create()
    names = [each.name for each in internals.hyperparameters_of(type(optimizer))[0]]
    numbers = [name for name in names if type(getattr(optimizer, name, None)) in (int, float)]
    rates = [name for name in RATES if name in numbers][:1] + [name for name in numbers if name.endswith("_lr")]
    if not rates:
        yield {}
        return
    usual = {name: getattr(optimizer, name) for name in rates}
    for factor in LADDER:
        yield usual if factor == 1 else {name: value * factor for name, value in usual.items()}


def _shown(changes: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value:.3g}" for name, value in changes.items()) or "as it is"
