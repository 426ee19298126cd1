"""An optimizer with each built-in hook does what it would do with gradients that were changed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optreg.testing.catalog import check
from optreg.testing.problems import Problem, contents_of, differing, names_in
from optreg.testing.results import fail, skip
from optreg.testing.subjects import OptimizerSubject

CLOSE = 1e-9
Gradients = dict[str, Any]


# Each takes the parameters and the gradients by path, and the t that the hook would see.


def _decayed(arrays: Gradients, gradients: Gradients, _: int) -> Gradients:
    return {path: gradient + 0.1 * arrays[path[1:]] for path, gradient in gradients.items()}


def _lassoed(arrays: Gradients, gradients: Gradients, _: int) -> Gradients:
    return {path: gradient + 0.1 * np.sign(arrays[path[1:]]) for path, gradient in gradients.items()}


def _clipped(_: Gradients, gradients: Gradients, __: int) -> Gradients:
    norm = np.sqrt(sum(float((gradient**2).sum()) for gradient in gradients.values()))
    return {path: gradient * min(1.0, 0.5 / norm) for path, gradient in gradients.items()}


def _hard_clipped(_: Gradients, gradients: Gradients, __: int) -> Gradients:
    return {path: np.clip(gradient, -0.2, 0.3) for path, gradient in gradients.items()}


def _noisy() -> Callable[[Gradients, Gradients, int], Gradients]:
    generator = np.random.default_rng(3)

    def noisy(_: Gradients, gradients: Gradients, t: int) -> Gradients:
        std = np.sqrt(0.01 / (1 + t) ** 0.55)
        return {
            path: gradient + std * generator.standard_normal(gradient.shape) for path, gradient in gradients.items()
        }

    return noisy


BY_HAND: dict[str, tuple[dict[str, Any], Callable[[], Callable[[Gradients, Gradients, int], Gradients]]]] = {
    "weight_decay": ({"rate": 0.1}, lambda: _decayed),
    "lasso": ({"rate": 0.1}, lambda: _lassoed),
    "gradient_clipping": ({"threshold": 0.5}, lambda: _clipped),
    "gradient_hard_clipping": ({"lower_bound": -0.2, "upper_bound": 0.3}, lambda: _hard_clipped),
    "gradient_noise": ({"eta": 0.01, "seed": 3}, _noisy),
}
"""The built-in hooks with arguments, and what each of them makes of gradients."""


@check("optimizer", level="1")
def check_builtin_hooks(subject: OptimizerSubject) -> None:
    """With each built-in hook, it does what it does with gradients that were changed by hand."""
    if subject.own_update:
        skip("its update() is its own, and may look at other gradients than the hooks; see check_hooks_are_called")
    for name, (arguments, by_hand) in BY_HAND.items():
        hooked, changed = Problem(), Problem()
        optimizer = subject.create()
        optimizer.add_hook(name, **arguments)
        found = contents_of(hooked.run(optimizer.setup(hooked.arrays), range(4)))
        transformed = by_hand()
        plain = subject.on(changed)

        def loss(batch: int, changed: Problem = changed, by_hand: Any = transformed) -> tuple[float, Gradients]:
            value, gradients = changed.loss(batch)
            return value, by_hand(changed.arrays, gradients, batch)

        for batch in range(4):
            plain.update(loss, batch)
        different = differing(contents_of(plain), found, CLOSE)
        if different:
            fail(
                f"{subject.name} with the hook {name} is not as with gradients that were changed by hand: "
                f"{names_in(different)} differ; call the hooks once a step, after the gradients are there and before "
                f"anything is changed, and read param.grad only then"
            )


@check("optimizer", level="1")
def check_hooks_are_called(subject: OptimizerSubject) -> None:
    """Hooks are called once a step, those before the update with the old t, those after it with the new.

    Where a step evaluates the loss several times, those before the update may be called after each evaluation.
    """
    seen: list[tuple[str, int]] = []
    evaluations: list[int] = []

    def before(optimizer: Any) -> None:
        seen.append(("before", optimizer.t))

    def after(optimizer: Any) -> None:
        seen.append(("after", optimizer.t))

    def loss(batch: int) -> tuple[float, Gradients]:
        evaluations.append(batch)
        return problem.loss(batch)

    after.timing = "post"  # type: ignore[attr-defined]
    problem = Problem()
    optimizer = subject.create()
    optimizer.add_hook(before)
    optimizer.add_hook(after)
    optimizer.setup(problem.arrays)
    for t in range(2):
        seen.clear()
        evaluations.clear()
        optimizer.update(loss, t)
        expected = [("before", t), ("after", t + 1)]
        if seen not in (expected, [expected[0]] * len(evaluations) + expected[1:]):
            fail(
                f"in step {t + 1} of {subject.name}, hooks were called as {seen} (when, and with which t) rather than "
                f"as {expected}; in update(), have self.call_hooks(), self.prepare(), self.t += 1, the update, and "
                f'self.call_hooks("post"), in this order'
            )


@check("optimizer", level="1")
def check_skipped_steps(subject: OptimizerSubject) -> None:
    """The hook skip_nonfinite keeps a NaN out of parameters and states, and the step counts."""
    problem = Problem()
    optimizer = subject.create()
    optimizer.add_hook("skip_nonfinite")
    problem.run(optimizer.setup(problem.arrays), range(2))
    before = contents_of(optimizer)

    def loss(batch: int) -> tuple[float, Gradients]:
        value, gradients = problem.loss(batch)
        return value, {path: np.full_like(gradient, np.nan) for path, gradient in gradients.items()}

    try:
        optimizer.update(loss, 2)
    except Exception as error:
        fail(
            f"{subject.name} raises {type(error).__name__} where a hook skips a step; catch optreg.SkipStep around "
            f"self.call_hooks() in update(), count the step in t, and return the loss"
        )
    after = contents_of(optimizer)
    different = [name for name in differing(before, after) if name != "state t"]
    if different or after["state t"] != 3:
        what = f"changes {names_in(different)}" if different else "does not count the step"
        fail(
            f"{subject.name} {what} where the hook skip_nonfinite skips a step whose gradients are NaN; change nothing "
            f"before the hooks, catch optreg.SkipStep around self.call_hooks() in update(), and count the step in t"
        )
