"""What an optimizer wants to know of all tensors together, before its rule runs: numbers of each, added up.

A class says by ``measure(self, param, grad, *slots)`` what it wants to know of a tensor, by what it returns, and in
``adapt(self, …)`` what follows from the totals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from optreg.arrays import Array, array_module, device_of, to_host
from optreg.errors import OptregError, SkipStep
from optreg.memory import remember, remembered_by
from optreg.passes import prepare_pass, run
from optreg.rule import Measure
from optreg.signatures import holding, values_at
from optreg.targets import named_parameters


class Totals:
    """Where the numbers of each tensor land: a table on each device, with a row for each tensor.

    Attributes:
        numbers: by the path of a parameter and by name, arrays without axes, which are places of the tables.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, dict[str, Array]] = {}
        self._tables: list[Array] = []
        self._made_for: list[tuple[str, Any]] = []

    def __reduce__(self) -> Any:
        return Totals, ()

    def prepare(self, names: Sequence[str], parameters: Sequence[tuple[str, Any]]) -> None:
        """Make the places for numbers of these names, where the parameters are not those of the last time."""
        wanted = [(path, _place(parameter.data)) for path, parameter in parameters]
        if wanted == self._made_for:
            return
        self.numbers, self._tables = {}, []
        for place in dict.fromkeys(place for _, place in wanted):
            here = [(path, each) for path, each in parameters if _place(each.data) == place]
            with device_of(here[0][1].data):
                table = array_module(here[0][1].data).zeros((len(here), len(names)), np.float64)
            self._tables.append(table)
            for row, (path, _) in enumerate(here):
                self.numbers[path] = {name: table[row, column, ...] for column, name in enumerate(names)}
        self._made_for = wanted

    def sums(self, names: Sequence[str]) -> list[float]:
        """The sum of each of the numbers over all tensors. Waits for the devices that they are on."""
        rows = np.concatenate([to_host(table) for table in self._tables] or [np.zeros((0, len(names)))])
        return [_sum(column) for column in rows.T.tolist()]


def _place(array: Array) -> Any:
    return None if isinstance(array, np.ndarray) else array.device.id


def _sum(numbers: Sequence[float]) -> float:
    """Rounded once, so that neither order nor backend matters; fsum has no answer where a sum is not finite."""
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        return sum(numbers)


def measure_all(optimizer: Any, hooks: Sequence[Any]) -> None:
    """Run the rules of hooks, and what the optimizer measures, in one pass; and have it adapt to the totals.

    Raises:
        SkipStep: the step is not made.
        OptregError: while a CUDA graph is captured, which cannot wait.
    """
    repeats, t = optimizer._own_repeats(), optimizer.t
    if repeats.capturing:
        raise OptregError(
            f"{type(optimizer).__name__} waits for totals of all tensors in the middle of a step, so it cannot be "
            f"captured into a CUDA graph; make its steps with update()"
        )
    measure = Measure(optimizer)
    owners = [*(hook for hook in hooks if optimizer._has_hook(hook)), optimizer]
    if optimizer._totals is None:
        optimizer._totals = Totals()
    try:
        if not repeats.run(owners, "measure"):
            optimizer.prepare()
            optimizer._totals.prepare(measure.totals, named_parameters(optimizer.target))
            timed = [(owner, t + (owner is optimizer)) for owner in owners]
            work = prepare_pass(optimizer, timed, measure, optimizer._totals.numbers)
            optimizer.t = t + 1
            prepared = run(work)
            if optimizer._keeps_passes():
                repeats.keep(work, prepared, "measure")
        if not optimizer._decision.is_made():
            raise SkipStep
        with holding(optimizer, {**values_at(optimizer, t + 1), "t": t + 1}):
            optimizer.adapt(*optimizer._totals.sums(measure.totals))
    finally:
        optimizer.t = t


@contextmanager
def restored_on_error(optimizer: Any) -> Iterator[None]:
    """Where a step fails, or is skipped, the numbers that the optimizer remembers are those before it."""
    kept = remembered_by(optimizer)
    try:
        yield
    except BaseException:
        remember(optimizer, kept)
        raise
