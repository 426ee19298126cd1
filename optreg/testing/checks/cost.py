"""What a step costs in memory traffic, which is what it waits for."""

from __future__ import annotations

import optreg
from optreg.testing import internals
from optreg.testing.catalog import check
from optreg.testing.problems import Problem
from optreg.testing.results import fail, skip
from optreg.testing.subjects import HookSubject, OptimizerSubject


@check("optimizer", level="1")
def check_step_cost(subject: OptimizerSubject) -> str:
    """A rule that says it is elementwise can be compiled; how many arrays a step then reads and writes is reported."""
    problem = Problem()
    optimizer = problem.run(subject.on(problem), range(3))
    if not internals.declares_elementwise(optimizer):
        skip("its update is not an elementwise rule, so NumPy runs it as it is written, and nothing can be counted")
    return _cost(subject.name, optimizer, optimizer)


@check("hook", level="1")
def check_hook_cost(subject: HookSubject) -> str:
    """A rule that says it is elementwise can be compiled; how many arrays the hook reads and writes is reported."""
    problem = Problem()
    optimizer = problem.run(subject.on(problem), range(3))
    hook = subject.added(optimizer)
    if not internals.declares_elementwise(hook):
        skip("it is not an elementwise rule, so it goes over memory by itself, and nothing can be counted")
    return _cost(f"the hook {subject.name}", hook, optimizer)


def _cost(what: str, owner: object, optimizer: object) -> str:
    keeps_gradient = not getattr(owner, "changes_gradients", False)
    try:
        cost = internals.passes_of(internals.traced_rule(owner, optimizer), keeps_gradient)
        if internals.adds_up(owner):
            cost += internals.passes_of(internals.traced_measure(owner), keeps_gradient)
    except optreg.errors.UntraceableRuleError as error:
        fail(
            f"{what} says it is elementwise, but no backend can compile it, so a step goes over memory once for each "
            f"operation: {error}; write it so, or say elementwise = False in the class"
        )
    return str(cost)
