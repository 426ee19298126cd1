"""What an update is: one step, counted once, with the loss as its result."""

from __future__ import annotations

from optreg.testing.catalog import check
from optreg.testing.internals import is_random
from optreg.testing.problems import Problem, contents_of, differing, names_in
from optreg.testing.results import fail, skip
from optreg.testing.subjects import OptimizerSubject


@check("optimizer", level="1")
def check_step_count(subject: OptimizerSubject) -> None:
    """An update counts as one step, whatever is inside of it, and returns the loss."""
    problem = Problem()
    optimizer = subject.on(problem)
    for t in range(3):
        if optimizer.t != t:
            fail(
                f"after {t} {'update' if t == 1 else 'updates'}, t of {subject.name} is {optimizer.t}, so schedules "
                f"and corrections of averages are those of another step; increase t by one in update(), after the hooks"
            )
        before = problem.loss(t)[0]
        returned = optimizer.update(problem.loss, t)
        if not _is_number(returned) or abs(float(returned) - before) > 1e-9 * abs(before):
            fail(
                f"update(lossfun) of {subject.name} returns {returned!r}, but the loss was {before!r}, which training "
                f"loops print; return what lossfun gave at the parameters before the step"
            )


def _is_number(value: object) -> bool:
    return hasattr(value, "__float__")


@check("optimizer", level="1")
def check_setup_begins_anew(subject: OptimizerSubject) -> None:
    """A second setup() forgets the first: the optimizer is as new."""
    first, second = Problem(seed=1), Problem()
    optimizer = first.run(subject.on(first), range(4))
    if is_random(optimizer):
        skip("it has a random generator, which goes on")
    found = contents_of(second.run(optimizer.setup(second.arrays), range(3)))
    different = differing(subject.run(range(3)), found)
    if different:
        fail(
            f"{subject.name}, set up a second time, remembers the first: {names_in(different)} are not as those of a "
            f"new one, so a second training run depends on the one before; keep what it learns in states, which "
            f"init_state makes, or reset it when self.t is 1"
        )
