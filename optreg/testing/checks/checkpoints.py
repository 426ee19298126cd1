"""Saved, loaded, and gone on, at any step."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optreg
from optreg.testing.catalog import check
from optreg.testing.internals import is_random
from optreg.testing.problems import Giver, Problem, contents_of, differing, names_in, states_of
from optreg.testing.results import fail, skip
from optreg.testing.subjects import HookSubject, OptimizerSubject

STEPS = 6


@check("optimizer", level="1")
def check_resuming(subject: OptimizerSubject) -> None:
    """A run that is saved and loaded, at any step, goes on bit for bit."""
    _resume(subject, f"{subject.name}")


@check("hook", level="1")
def check_hook_resuming(subject: HookSubject) -> None:
    """A run with the hook that is saved and loaded, at any step, goes on bit for bit."""
    _resume(subject, f"the hook {subject.name}")


def _resume(subject: OptimizerSubject | HookSubject, what: str) -> None:
    with TemporaryDirectory() as directory:
        problem = Problem()
        optimizer = subject.on(problem)
        saved: list[dict[str, Any]] = []
        for step in range(STEPS):
            saved.append({name: array.copy() for name, array in problem.arrays.items()})
            optreg.save(Path(directory, f"{step}.npz"), optimizer)
            problem.run(optimizer, [step])
        expected = contents_of(optimizer)
        for step in range(STEPS):
            resumed = Problem()
            resumed.arrays = saved[step]
            loaded = subject.on(resumed)
            resumed.run(loaded, ())
            optreg.load(Path(directory, f"{step}.npz"), loaded)
            different = differing(expected, contents_of(resumed.run(loaded, range(step, STEPS))))
            if different:
                fail(
                    f"a run of {what} that was saved after {step} steps and loaded is not the unbroken one: "
                    f"{names_in(different)} differ after {STEPS}; keep what it remembers in slots of the rule, in "
                    f"states that init_state makes, or in get_extra_state() and set_extra_state()"
                )


@check("optimizer", level="1")
def check_serializers(subject: OptimizerSubject) -> None:
    """A serializer of Chainer's kind sees all states, and a run that is given them goes on bit for bit."""
    problem, other = Problem(), Problem()
    optimizer = problem.run(subject.on(problem), range(3))
    if is_random(optimizer) or hasattr(optimizer, "get_extra_state"):
        skip("it keeps what only optreg.save() saves: a random generator, or extra state")
    written = {name: copy(value) for name, value in states_of(optimizer).items()}
    other.arrays = {name: array.copy() for name, array in problem.arrays.items()}
    loaded = subject.on(other)
    try:
        loaded.serialize(Giver(written))
    except KeyError as error:
        fail(f"{subject.name} reads {error} from a serializer, which it has not written; leave serialize() as it is")
    expected, found = (
        contents_of(each.run(made, range(3, 5))) for each, made in ((problem, optimizer), (other, loaded))
    )
    different = differing(expected, found)
    if different:
        fail(
            f"a run of {subject.name} that goes on from what serialize() has written is not the unbroken one: "
            f"{names_in(different)} differ; leave serialize() to the base class, and keep arrays and numbers in states"
        )
