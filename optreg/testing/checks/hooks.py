"""What a hook does to gradients and parameters: in place, the same each time, at its time."""

from __future__ import annotations

from typing import Any

import numpy as np

import optreg
from optreg.testing.catalog import check
from optreg.testing.problems import Problem, contents_of, differing, names_in
from optreg.testing.results import fail
from optreg.testing.subjects import HookSubject

OPTIMIZERS = ("sgd", "adam", "lars")
"""One without slots, one with, and one that looks at whole tensors."""


@check("hook", level="1")
def check_hook_runs(subject: HookSubject) -> None:
    """With any optimizer, on parameters of any shape, layout and dtype, steps are made and nothing becomes NaN."""
    shapes = {"W": (4, 3), "b": (3,), "scale": (), "empty": (0, 2)}
    for optimizer in OPTIMIZERS:
        for dtype in (np.float16, np.float32, np.float64):
            problem = Problem(shapes, dtype)
            problem.arrays["W"] = np.asfortranarray(problem.arrays["W"])
            kinds = {name: (array.shape, array.dtype) for name, array in problem.arrays.items()}
            where = f"with {optimizer}, on {np.dtype(dtype)} parameters"
            try:
                problem.run(subject.on(problem, optimizer), range(3))
            except Exception as error:
                fail(
                    f"the hook {subject.name} fails {where}, one without axes and one without elements among them: "
                    f"{type(error).__name__}: {error}; try it on such arrays"
                )
            wrong = [name for name, array in problem.arrays.items() if not np.isfinite(array).all()]
            if wrong:
                fail(
                    f"the hook {subject.name} makes {names_in(wrong)} infinite or NaN {where}; look what it divides by"
                )
            other = [name for name, array in problem.arrays.items() if (array.shape, array.dtype) != kinds[name]]
            if other:
                fail(
                    f"the hook {subject.name} changes the shape or dtype of {names_in(other)} {where}; change in place"
                )


@check("hook", level="1")
def check_hook_changes_in_place(subject: HookSubject) -> None:
    """Gradients and parameters are changed in place: whoever holds them sees what the hook did."""
    problem = Problem()
    optimizer = subject.on(problem)
    given = problem.loss(0)[1]
    held = dict(problem.arrays)
    optimizer.update(lambda: (0.0, given))
    for path, parameter in optimizer.target.namedparams():
        if parameter.grad is not given[path]:
            fail(
                f"the hook {subject.name} gives {path} a new gradient, so that a user who looks at theirs does not see "
                f"what the hook did; change it in place, as in grad *= … or param.grad[...] = …"
            )
        if parameter.data is not held[path[1:]]:
            fail(
                f"the hook {subject.name} gives {path} a new array, so views of it keep the old numbers; change it in "
                f"place, as in param[...] = …"
            )


@check("hook", level="1")
def check_hook_keeps_to_its_time(subject: HookSubject) -> None:
    """A hook before the update changes gradients alone; what changes parameters comes after it."""
    problem = Problem()
    optimizer = subject.on(problem, "sgd")
    hook = subject.added(optimizer)
    if getattr(hook, "timing", "pre") == "post":
        return
    before = {name: array.copy() for name, array in problem.arrays.items()}
    optimizer.add_hook(_stop, "stops")
    optimizer.update(problem.loss, 0)
    changed = [name for name, array in problem.arrays.items() if not np.array_equal(array, before[name])]
    if changed:
        fail(
            f"the hook {subject.name} changes the parameter {names_in(changed)} before the update, where the gradient "
            f"belongs to the parameter as it was; change the gradient, or say timing = 'post' in the class"
        )


def _stop(optimizer: Any) -> None:  # noqa: ARG001 (hooks take the optimizer)
    raise optreg.SkipStep


@check("hook", level="1")
def check_hook_none_gradients(subject: HookSubject) -> None:
    """A parameter without a gradient is no problem, neither before nor after others have one."""
    problem = Problem()
    optimizer = subject.on(problem)

    def loss(batch: int) -> tuple[float, dict[str, Any]]:
        value, gradients = problem.loss(batch)
        return value, {"/W": gradients["/W"]} if batch % 2 else {"/b": gradients["/b"]}

    try:
        for batch in range(4):
            optimizer.update(loss, batch)
    except Exception as error:
        fail(
            f"the hook {subject.name} fails where a parameter has no gradient: {type(error).__name__}: {error}; pass "
            f"over parameters whose grad is None"
        )


@check("hook", level="1")
def check_hook_deterministic(subject: HookSubject) -> None:
    """Two runs from the same start give the same bits; a hook that draws random numbers takes a seed."""
    different = differing(subject.run(range(4)), subject.run(range(4)))
    if different:
        fail(
            f"two runs with the hook {subject.name} from the same start differ in {names_in(different)}, so no result "
            f"can be repeated; draw random numbers from a numpy.random.Generator of the instance, made from an "
            f"argument called seed, and keep nothing on the class"
        )


@check("hook", level="1")
def check_hook_instances_are_apart(subject: HookSubject) -> None:
    """Two hooks that take turns, on two optimizers, do not disturb each other."""
    expected = [subject.run(range(3), Problem(seed=seed)) for seed in (0, 1)]
    problems = [Problem(seed=seed) for seed in (0, 1)]
    optimizers = [subject.on(problem) for problem in problems]
    for batch in range(3):
        for problem, optimizer in zip(problems, optimizers, strict=True):
            problem.run(optimizer, [batch])
    for before, optimizer in zip(expected, optimizers, strict=True):
        different = differing(before, contents_of(optimizer))
        if different:
            fail(
                f"two hooks {subject.name} that take turns disturb each other: {names_in(different)} are not as "
                f"without the other one; keep everything in slots of the rule or attributes of the instance, nothing "
                f"on the class or in the module"
            )


@check("hook", level="1")
def check_hook_late_parameters(subject: HookSubject) -> None:
    """A parameter that comes after the first steps gets what the hook keeps of it then."""
    problem = Problem()
    optimizer = problem.run(subject.on(problem), range(2))
    problem.arrays["late"] = late = np.full((2, 2), 3.0)
    try:
        problem.run(optimizer, range(2, 5))
    except Exception as error:
        fail(
            f"the hook {subject.name} fails when a parameter comes after the first step: {type(error).__name__}: "
            f"{error}; keep arrays in slots of the rule, which are made when they are needed"
        )
    if not np.isfinite(late).all():
        fail(f"the hook {subject.name} makes a parameter that came late infinite or NaN; mind that its slots are new")
