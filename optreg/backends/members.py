"""The members of a job: tensors that one kernel works on; and all jobs of a step, to be done again."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from operator import getitem, itemgetter
from typing import Any, Protocol, TypeAlias

import attrs

from optreg.arrays import Array
from optreg.backends.work import Tensor, Work
from optreg.masters import MASTER
from optreg.targets import Parameter

Holding: TypeAlias = Callable[[int], AbstractContextManager[None]]
"""A context in which the optimizer has the hyperparameters of the group of that number."""


@attrs.define(eq=False)
class Member:
    """A tensor of a job: the parameter, the number of its group, and the states that hold its slots.

    ``slots`` are pairs of a state and a key, in the order of the joined rule's inputs after ``param`` and ``grad``.
    """

    parameter: Any
    group: int
    slots: Sequence[tuple[dict[str, Any], str]]


def members_of(tensors: Sequence[tuple[int, Tensor]], work: Work) -> list[Member]:
    """Tensors, each with the number of its group, as members of a job."""
    return [Member(tensor.parameter, number, _slots(tensor, number, work)) for number, tensor in tensors]


def _slots(tensor: Tensor, number: int, work: Work) -> list[tuple[dict[str, Any], str]]:
    slots = [
        (_holder(state, name), name)
        for bound, state in zip(work.groups[number].rules, tensor.states, strict=True)
        for name in bound.rule.slots
        if state.get(name) is not None
    ]
    return slots if tensor.master_in is None else [*slots, (tensor.master_in, MASTER)]


def _holder(state: Any, name: str) -> Any:
    """Of several dictionaries that are looked up as one, which takes longer, that which has the name."""
    return next(each for each in state.maps if name in each) if isinstance(state, ChainMap) else state


class Sources:
    """Where the arrays of a job are kept, to be read at each step."""

    def __init__(self, members: Sequence[Member], width: int) -> None:
        self._parameters = [member.parameter for member in members]
        self._in_mapping = all(type(each) is Parameter for each in self._parameters)
        if self._in_mapping:
            self._containers, self._keys = zip(*[each.place for each in self._parameters], strict=True)
        slots = [[member.slots[position] for member in members] for position in range(width - 2)]
        self._slots = [(itemgetter(each[0][1]), [state for state, _ in each]) for each in slots]

    def gather(self) -> list[list[Array]]:
        """The arrays as they are now: all parameters, all gradients, and each slot of all tensors."""
        if self._in_mapping:  # three times as fast as to ask the parameters
            data = list(map(getitem, self._containers, self._keys))
        else:
            data = [parameter.data for parameter in self._parameters]
        gathered = [data, [parameter.grad for parameter in self._parameters]]
        for read, states in self._slots:
            gathered.append(list(map(read, states)))
        return gathered


class Job(Protocol):
    """Members, with what their kernel has to know of them."""

    def fits(self) -> bool:
        """Look at the arrays as they are now. False if any is not what the job was made for."""

    def evaluate(self, holding: Holding) -> bool:
        """Evaluate the scalars of the step. False if the rules are not the same any more."""

    def run(self) -> None:
        """Change the arrays that :meth:`fits` has seen, with the scalars of :meth:`evaluate`."""

    def release(self) -> None:
        """Hold the arrays no longer."""


class Jobs:
    """Everything that a step does, ready to be done again on the arrays that the parameters then have."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs

    def fit(self) -> bool:
        """Whether the arrays still have the shapes, dtypes and places that the tables say."""
        for job in self.jobs:  # (a loop, because all() of a generator takes as long as what it asks)
            if not job.fits():
                self.release()
                return False
        return True

    def evaluate(self, holding: Holding) -> bool:
        """Evaluate the scalars of the step. False if a rule would take another branch than the one compiled."""
        for job in self.jobs:  # noqa: SIM110 (as above)
            if not job.evaluate(holding):
                return False
        return True

    def release(self) -> None:
        """Hold the arrays no longer."""
        for job in self.jobs:
            job.release()

    def run(self) -> None:
        """Change the arrays."""
        for job in self.jobs:
            job.run()
