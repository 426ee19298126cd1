"""A benchmark: cases × variants, each measured with everyone who takes part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from math import prod

import attrs
import numpy as np

from optreg.bench.cases import Case, Numbers, Shape, Variant
from optreg.bench.conditions import conditions
from optreg.bench.contender import Job, arrays_changed, arrays_moved
from optreg.bench.devices import CPU, device_named
from optreg.bench.lineup import Lineup, contender
from optreg.bench.rounds import Timings, measure
from optreg.errors import OptregError


@attrs.frozen
class Settings:
    """What is asked of a benchmark."""

    optimizers: tuple[str, ...]
    dtype: str
    threads: int
    rounds: int
    device: str = CPU

    def job(self, optimizer: str, variant: Variant) -> Job:
        """What all contenders do."""
        return Job(optimizer, variant, self.dtype, self.threads, self.device)


@attrs.frozen
class Match:
    """What is measured at once: an optimizer on a case with a variant, and those who take part."""

    case: Case
    optimizer: str
    variant: Variant
    lineup: Lineup

    @property
    def title(self) -> str:
        """Of a table or a picture of all variants."""
        return f"{self.optimizer}, {self.case}"


@attrs.frozen
class Section:
    """A match, measured.

    Attributes:
        bytes: that the optimizer's own arrays take on the way to and from memory in a step.
    """

    match: Match
    bytes: int
    timings: Timings

    def bandwidth(self, name: str) -> float | None:
        """Bytes of the optimizer's own arrays a second."""
        time = self.timings.time(name)
        return None if time is None else self.bytes / time.median


class TooLargeError(OptregError, MemoryError):
    """A case does not fit in memory."""


SHARE = 0.6
"""The part of the free memory that is used."""


def benchmark(
    settings: Settings,
    plan: Sequence[Match],
    progress: Callable[[str], None] = lambda _: None,
) -> list[Section]:
    """Measure.

    Args:
        settings: for all.
        plan: what is measured, one match after another.
        progress: called with what was done when a contender has warmed up, and after each of its turns.
    """
    sections = []
    with conditions(settings.threads):
        for case, matches in groupby(plan, lambda match: match.case):
            numbers = Numbers.of(case, settings.dtype)
            for match in matches:
                job = settings.job(match.optimizer, match.variant)
                contenders = {name: partial(contender, name, job) for name in match.lineup.names}
                timings = measure(
                    contenders,
                    numbers,
                    settings.rounds,
                    keep=_all_fit(len(contenders), case, match.optimizer, settings),
                    progress=partial(_report, progress, match),
                )
                sections.append(Section(match, _bytes(arrays_moved, case, match.optimizer, settings), timings))
            del numbers
    return sections


def _report(progress: Callable[[str], None], match: Match, name: str) -> None:
    progress(f"{match.optimizer}, {match.case.name}, {match.variant.name}: {name}")


def _array(case: Case, settings: Settings) -> int:
    """The bytes of an array as large as all parameters."""
    return case.elements * np.dtype(settings.dtype).itemsize


def _bytes(arrays: Callable[[str, Shape], int], case: Case, optimizer: str, settings: Settings) -> int:
    """The bytes of so many arrays of each tensor."""
    elements = sum(arrays(optimizer, shape) * prod(shape) for shape in case.shapes)
    return elements * np.dtype(settings.dtype).itemsize


def check_memory(case: Case, optimizer: str, settings: Settings) -> None:
    """Raise a TooLargeError if a case does not fit even when only one contender at a time has arrays."""
    # The numbers that all begin with, the contender's own, its gradients, and room for what it works with.
    least = (2 + 4) * _array(case, settings)
    if least <= device_named(settings.device).free():
        least += _bytes(arrays_changed, case, optimizer, settings)
    free = device_named(settings.device).free()
    if least > free:
        raise TooLargeError(
            f"the case {case.name} needs {least / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; "
            f"choose others with --case"
        )


def _all_fit(contenders: int, case: Case, optimizer: str, settings: Settings) -> bool:
    """Whether all contenders may have arrays at once."""
    kept = contenders * _bytes(arrays_changed, case, optimizer, settings)
    return kept + 5 * _array(case, settings) < SHARE * device_named(settings.device).free()
