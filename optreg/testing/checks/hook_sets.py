"""A hook set is added as it stands."""

from __future__ import annotations

import optreg
from optreg.testing import internals
from optreg.testing.catalog import check
from optreg.testing.problems import Problem
from optreg.testing.results import fail
from optreg.testing.subjects import HookSetSubject


@check("hook set", level="1")
def check_hook_set_resolves(subject: HookSetSubject) -> str:
    """Every hook of the set, and of those that it extends, is found and takes its arguments."""
    try:
        hooks = internals.hook_set(subject.name)
        for name, arguments in hooks:
            optreg.create_hook(name, **arguments)
    except (optreg.errors.OptregError, TypeError, ValueError) as error:
        fail(f"the hook set {subject.name} cannot be made: {error}; correct the names and arguments of its spec")
    if not hooks:
        fail(f"the hook set {subject.name} has no hooks, so adding it does nothing; give it some, or leave it out")
    return " → ".join(name for name, _ in hooks)


@check("hook set", level="1")
def check_hook_set_runs(subject: HookSetSubject) -> None:
    """An optimizer with the set makes steps."""
    problem = Problem()
    try:
        optimizer = optreg.create("momentum_sgd", hooks=[subject.name])
        problem.run(optimizer.setup(problem.arrays), range(3))
    except Exception as error:
        fail(
            f"an optimizer with the hook set {subject.name} fails: {type(error).__name__}: {error}; look whether two "
            f"sets that it extends have the same hook, and try its hooks one by one"
        )
