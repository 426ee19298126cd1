"""Parameters of every kind: changed in place, of any dtype, shape, layout and number."""

from __future__ import annotations

from typing import Any

import numpy as np

from optreg.testing.catalog import check
from optreg.testing.problems import Problem, differing, names_in, states_of
from optreg.testing.results import fail
from optreg.testing.subjects import OptimizerSubject

CLOSE = 1e-9
"""How far results may be from each other in float64 where operations may be done in another order."""


@check("optimizer", level="1")
def check_updates_in_place(subject: OptimizerSubject) -> None:
    """Parameters are changed in place, and keep their shape and dtype."""
    problem = Problem()
    before = {name: array.copy() for name, array in problem.arrays.items()}
    held = dict(problem.arrays)
    problem.run(subject.on(problem), range(3))
    for name, array in held.items():
        if problem.arrays[name] is not array:
            fail(
                f"{subject.name} gives the parameter {name} a new array, so views of it that a model or the user holds "
                f"keep the old numbers; change it in place, as in param -= … or param[...] = …"
            )
    unchanged = [name for name, array in held.items() if np.array_equal(array, before[name])]
    if unchanged:
        fail(
            f"{subject.name} leaves {names_in(unchanged)} as they were, in three steps whose gradients are not zero; "
            f"look whether the rule changes a copy: param = param - … does, param -= … does not"
        )


@check("optimizer", level="1")
def check_states_in_place(subject: OptimizerSubject) -> None:
    """State arrays are changed in place, and keep their shape and dtype."""
    problem = Problem()
    optimizer = subject.on(problem)
    problem.run(optimizer, [0])
    before = states_of(optimizer)
    kinds = {name: _kind(value) for name, value in before.items()}
    problem.run(optimizer, [1, 2])
    after = states_of(optimizer)
    other = [name for name in before if kinds[name] != _kind(after.get(name))]
    if other or before.keys() != after.keys():
        names = other or before.keys() ^ after.keys()
        fail(
            f"the state {names_in(names)} of {subject.name} is another kind of thing after a step, so a checkpoint of "
            f"one step cannot be loaded at another; make every slot in init_state, with its shape and dtype for good"
        )
    moved = [name for name, value in before.items() if isinstance(value, np.ndarray) and after[name] is not value]
    if moved:
        fail(
            f"{subject.name} gives the state {names_in(moved)} a new array in each step, which costs memory, and "
            f"parts it from views of it; change it in place, as in state['m'][...] = …"
        )


def _kind(value: Any) -> tuple[type, Any, Any]:
    return type(value), getattr(value, "shape", None), getattr(value, "dtype", None)


@check("optimizer", level="1")
def check_float32(subject: OptimizerSubject) -> None:
    """float32 parameters stay float32, and go where float64 ones go."""
    _compare_with_float64(
        subject, np.float32, "compute in the parameter's dtype, and make states with np.zeros_like(param.data)"
    )


@check("optimizer", level="1")
def check_float16(subject: OptimizerSubject) -> None:
    """float16 parameters stay float16, and go where float64 ones go, as far as float16 can tell."""
    _compare_with_float64(
        subject,
        np.float16,
        "compute, and keep states, in float32: in float16, squares of small gradients, and an eps of 1e-8, are zero "
        "(an elementwise rule gets that done for it)",
    )


def _compare_with_float64(subject: OptimizerSubject, dtype: Any, advice: str) -> None:
    steps = 3
    small, wide = Problem(dtype=dtype, scale=1 / 16), Problem(dtype=np.float64, scale=1 / 16)
    for name, array in small.arrays.items():
        wide.arrays[name][...] = array
    start = {name: array.copy() for name, array in wide.arrays.items()}
    small.run(subject.on(small), range(steps))
    wide.run(subject.on(wide), range(steps))
    eps = float(np.finfo(dtype).eps)
    for name, expected in wide.arrays.items():
        found = small.arrays[name]
        if found.dtype != dtype:
            fail(
                f"{subject.name} made {found.dtype} of a {np.dtype(dtype)} parameter; change parameters in place, and "
                f"make states with np.zeros_like(param.data)"
            )
        allowed = steps * eps * np.abs(expected).max() + 0.05 * np.abs(expected - start[name]).max()
        # (Not "any off > allowed", which a NaN would pass.)
        if not np.all(np.abs(found.astype(np.float64) - expected) <= allowed):
            fail(
                f"{subject.name} on {np.dtype(dtype)} parameters ends elsewhere than on float64 ones: {name} is off by "
                f"up to {np.nanmax(np.abs(found.astype(np.float64) - expected)):.2g}; {advice}"
            )


@check("optimizer", level="1")
def check_zero_size(subject: OptimizerSubject) -> None:
    """A parameter without elements is no problem, and nothing to the others."""
    _run_on(subject, {"W": (4, 3), "empty": (0, 3), "nothing": (0,)}, "without elements", "an empty array")


@check("optimizer", level="1")
def check_zero_dimensional(subject: OptimizerSubject) -> None:
    """A parameter without axes, one number, is optimized as any other."""
    problem = _run_on(subject, {"W": (4, 3), "scale": ()}, "without axes", "an array of shape ()")
    if problem.arrays["scale"] == Problem({"W": (4, 3), "scale": ()}).arrays["scale"]:
        fail(f"{subject.name} leaves a parameter without axes as it was; change it in place, with param[...] = …")


def _run_on(subject: OptimizerSubject, shapes: dict[str, tuple[int, ...]], what: str, example: str) -> Problem:
    problem = Problem(shapes)
    try:
        problem.run(subject.on(problem), range(3))
    except Exception as error:
        fail(
            f"{subject.name} fails on a parameter {what}: {type(error).__name__}: {error}; models have such ones, so "
            f"try the update on {example}"
        )
    wrong = [name for name, array in problem.arrays.items() if not np.isfinite(array).all()]
    if wrong:
        fail(
            f"{subject.name} makes {names_in(wrong)} infinite or NaN beside a parameter {what}; look for a mean or "
            f"norm of nothing, and divide by what cannot be zero"
        )
    return problem


@check("optimizer", level="1")
def check_strided(subject: OptimizerSubject) -> None:
    """Where the elements lie in memory makes no difference: transposed, reversed, and every second one."""
    plain, strided = Problem(), Problem()
    for name, array in strided.arrays.items():
        every_second = np.zeros([2 * length for length in array.shape])[
            tuple(slice(None, None, -2) for _ in array.shape)
        ]
        every_second[...] = array
        strided.arrays[name] = every_second
    strided.arrays["W"] = np.asfortranarray(strided.arrays["W"])
    plain.run(subject.on(plain), range(3))
    strided.run(subject.on(strided), range(3))
    different = differing(_copies(plain), _copies(strided), CLOSE)
    if different:
        fail(
            f"{subject.name} gives {names_in(different)} other numbers where the array is a view of every second "
            f"element, or in Fortran's order; look for reshape() and ravel(), which copy such arrays, so that what is "
            f"written there is lost"
        )


def _copies(problem: Problem) -> dict[str, Any]:
    return {name: np.ascontiguousarray(array) for name, array in problem.arrays.items()}


@check("optimizer", level="1")
def check_shared(subject: OptimizerSubject) -> None:
    """An array that stands under two names is one parameter, and is updated once."""
    alone, shared = Problem({"W": (4, 3)}), Problem({"W": (4, 3)})
    alone.run(subject.on(alone), range(3))
    optimizer = subject.create().setup({"W": shared.arrays["W"], "tied": {"W": shared.arrays["W"]}})
    shared.run(optimizer, range(3))
    if differing({"W": alone.arrays["W"]}, {"W": shared.arrays["W"]}):
        fail(
            f"{subject.name} treats an array that stands under two names otherwise than one that stands under one, so "
            f"tied weights take two steps; go over self.target.namedparams(), which gives each parameter once"
        )


@check("optimizer", level="1")
def check_late_parameters(subject: OptimizerSubject) -> None:
    """A parameter that comes after setup() gets its state then, and is optimized from there."""
    problem = Problem()
    optimizer = problem.run(subject.on(problem), range(2))
    problem.arrays["late"] = np.full((2, 2), 3.0)
    try:
        problem.run(optimizer, range(2, 5))
    except Exception as error:
        fail(
            f"{subject.name} fails when a parameter comes after setup(), as those of a growing model do: "
            f"{type(error).__name__}: {error}; call self.prepare() in update(), which makes missing states"
        )
    late = problem.arrays["late"]
    if np.array_equal(late, np.full((2, 2), 3.0)) or not np.isfinite(late).all():
        fail(
            f"{subject.name} makes {late.ravel()[:2]} of a parameter that came after setup() as 3.0, in three steps; "
            f"mind that its state is new while self.t is not 1"
        )
