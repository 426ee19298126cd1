"""Every backend gives the result of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from optreg.testing.catalog import check
from optreg.testing.internals import sees_all_gradients
from optreg.testing.problems import Contents, Problem, contents_of, differing, names_in
from optreg.testing.results import fail, skip
from optreg.testing.subjects import (
    HookSubject,
    OptimizerSubject,
    compiled_at_once,
    reference,
    usable_backends,
    why_inexact,
)

TOLERANCE = {np.float32: 1e-4, np.float64: 1e-10}
"""How far results may be from NumPy's, relative to the largest number, where sums are made in another order."""


@check("optimizer", level="1")
def check_backends(subject: OptimizerSubject) -> str:
    """Every backend that can be used here gives NumPy's result: its bits, where the rule is elementwise."""
    problem = Problem()
    optimizer = problem.run(subject.on(problem), range(3))
    return _compare(subject, subject.name, why_inexact(optimizer, optimizer))


@check("hook", level="1")
def check_hook_backends(subject: HookSubject) -> str:
    """Every backend that can be used here gives NumPy's result, with the hook in the pass of the optimizer."""
    problem = Problem()
    optimizer = problem.run(subject.on(problem), range(3))
    hook = subject.added(optimizer)
    # On a device, what is summed over all gradients is summed in another order than on the host.
    sums = "on a device, it sums over all gradients in another order" if sees_all_gradients(hook) else ""
    return _compare(subject, f"the hook {subject.name}", why_inexact(hook, optimizer), sums)


def _compare(subject: OptimizerSubject | HookSubject, what: str, inexact: str, on_device: str = "") -> str:
    compared, unusable = [], []
    for backend, xp, why_not in usable_backends(subject):
        if xp is None:
            unusable.append(f"{backend}: {why_not}")
            continue
        inexact = inexact or ("" if xp is np else on_device)
        for dtype, tolerance in TOLERANCE.items():

            def run(xp: Any, dtype: Any = dtype) -> Contents:
                problem = Problem(dtype=dtype, xp=xp)
                return contents_of(problem.run(subject.on(problem), range(6)))

            expected = reference(run)
            with compiled_at_once(backend):
                found = run(xp)
            different = differing(expected, found, tolerance if inexact else 0.0)
            if different:
                fail(
                    f"{what} gives {'other numbers' if inexact else 'other bits'} with the backend {backend} than with "
                    f"NumPy, in {np.dtype(dtype)}: {names_in(different)} differ after 6 steps, so a run cannot move "
                    f"from one machine to another; look for what the update does beside NumPy's functions of its "
                    f"arguments and hyperparameters"
                )
        compared.append(backend)
    if not compared:
        skip("; ".join(unusable) or "there is no backend but numpy")
    promised = f"to a tolerance, because {inexact}" if inexact else "bit for bit"
    return f"{' and '.join(compared)} as numpy, {promised}" + "".join(f"; not tried: {each}" for each in unusable)
