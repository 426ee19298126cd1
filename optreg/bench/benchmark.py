"""A benchmark: cases × variants, each measured with everyone who takes part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

import attrs
import numpy as np

from optreg.bench.cases import Case, Numbers, Variant
from optreg.bench.conditions import conditions
from optreg.bench.contender import Job, arrays_moved
from optreg.bench.devices import CPU, device_named
from optreg.bench.lineup import Lineup, contender
from optreg.bench.rounds import Timings, measure
from optreg.errors import OptregError


@attrs.frozen
class Settings:
    """What is asked of a benchmark."""

    optimizer: str
    dtype: str
    threads: int
    rounds: int
    device: str = CPU

    def job(self, variant: Variant) -> Job:
        """What all contenders do."""
        return Job(self.optimizer, variant, self.dtype, self.threads, self.device)


@attrs.frozen
class Section:
    """A case and a variant, measured.

    Attributes:
        bytes: that the optimizer's own arrays take on the way to and from memory in a step.
        left_out: why others were not measured here, by name.
    """

    case: Case
    variant: Variant
    bytes: int
    timings: Timings
    left_out: dict[str, str]

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
    plan: Sequence[tuple[Case, Variant, Lineup]],
    progress: Callable[[str], None] = lambda _: None,
) -> list[Section]:
    """Measure.

    Args:
        settings: for all.
        plan: cases and variants, with those who take part.
        progress: called with what was done when a contender has warmed up, and after each of its turns.
    """
    sections = []
    moved = arrays_moved(settings.optimizer)
    with conditions(settings.threads):
        for case, members in groupby(plan, lambda each: each[0]):
            numbers = Numbers.of(case, settings.dtype)
            for _, variant, lineup in members:
                contenders = {name: partial(contender, name, settings.job(variant)) for name in lineup.names}
                timings = measure(
                    contenders,
                    numbers,
                    settings.rounds,
                    keep=_all_fit(len(contenders), case, settings),
                    progress=partial(_report, progress, case, variant),
                )
                sections.append(Section(case, variant, _array(case, settings) * moved, timings, lineup.left_out))
            del numbers
    return sections


def _report(progress: Callable[[str], None], case: Case, variant: Variant, name: str) -> None:
    progress(f"{case.name}, {variant.name}: {name}")


def _array(case: Case, settings: Settings) -> int:
    """The bytes of an array as large as all parameters."""
    return case.elements * np.dtype(settings.dtype).itemsize


def _kept(settings: Settings) -> int:
    """How many such arrays a contender keeps: parameters and states."""
    return (arrays_moved(settings.optimizer) - 1) // 2


def check_memory(case: Case, settings: Settings) -> None:
    """Raise a TooLargeError if a case does not fit even when only one contender at a time has arrays."""
    # The numbers that all begin with, the contender's own, its gradients, and room for what it works with.
    least = (2 + _kept(settings) + 4) * _array(case, settings)
    free = device_named(settings.device).free()
    if least > free:
        raise TooLargeError(
            f"the case {case.name} needs {least / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; "
            f"choose others with --case"
        )


def _all_fit(contenders: int, case: Case, settings: Settings) -> bool:
    """Whether all contenders may have arrays at once."""
    return (contenders * _kept(settings) + 5) * _array(case, settings) < SHARE * device_named(settings.device).free()
