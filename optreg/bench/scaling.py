"""Cost against number of tensors, at equal total size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from optreg.bench.benchmark import Section
from optreg.bench.cases import Case
from optreg.bench.lineup import Lineup

TOTAL = 1_000_000
COUNTS = (10, 30, 100, 300, 1_000, 3_000, 10_000)
QUICK_COUNTS = (10, 100, 1_000)

MOST_FOR_XLA = 300
"""Of more tensors XLA compiles a function for half a minute, and for minutes."""


def scaling_cases(counts: Sequence[int]) -> list[Case]:
    """A case for each number of tensors."""
    return [Case(f"{count:,} tensors", ((TOTAL // count,),) * count) for count in counts]


def without_xla(lineup: Lineup, case: Case) -> Lineup:
    """Leave optax out where it would take minutes to begin."""
    if len(case.shapes) <= MOST_FOR_XLA or "optax" not in lineup.peers:
        return lineup
    reason = f"XLA is slow to compile functions of more than {MOST_FOR_XLA} tensors"
    peers = tuple(name for name in lineup.peers if name != "optax")
    return attrs.evolve(lineup, peers=peers, left_out={**lineup.left_out, "optax": reason})


def curve(sections: Sequence[Section], name: str) -> tuple[list[int], list[float]]:
    """The numbers of tensors with which a contender was measured, and the seconds of a step."""
    counts, seconds = [], []
    for section in sections:
        time = section.timings.time(name)
        if time is not None:
            counts.append(len(section.match.case.shapes))
            seconds.append(time.median)
    return counts, seconds


def seconds_a_tensor(sections: Sequence[Section], name: str) -> float | None:
    """The slope of the straight line through a contender's times, by least squares."""
    counts, seconds = curve(sections, name)
    return float(np.polyfit(counts, seconds, 1)[0]) if len(counts) > 1 else None


def scaling_record(sections: Sequence[Section]) -> dict[str, Any]:
    """The curves for a record."""
    names = dict.fromkeys(name for section in sections for name in section.timings.seconds)
    return {
        name: {
            "tensors": curve(sections, name)[0],
            "seconds": curve(sections, name)[1],
            "seconds a tensor": seconds_a_tensor(sections, name),
        }
        for name in names
    }
