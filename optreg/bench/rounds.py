"""Timing: contenders take turns, round after round, and are compared within each round."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles

import attrs

from optreg.bench.cases import Array, Numbers
from optreg.bench.contender import Contender

WARM_UP_STEPS = 8
WARM_UP_SECONDS = 1.0
FEWEST, MOST = 2, 200
TURN_SECONDS = 0.04
"""A turn is one step that is not timed, then steps until so much time has passed in them, within these bounds."""
LONG_STEP_SECONDS = 2.0
"""A step that takes longer is a turn by itself: what was left in caches before it makes no difference."""


@attrs.frozen
class Middle:
    """The middle of several numbers, with the quarters to its sides."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Middle:
        """Median and quartiles."""
        if len(numbers) == 1:
            return cls(numbers[0], numbers[0], numbers[0])
        low, _, high = quantiles(numbers, n=4, method="inclusive")
        return cls(median(numbers), low, high)


@attrs.frozen
class Timings:
    """What was measured of one case and variant.

    Attributes:
        seconds: of each contender, one number for each round: the median of its turn.
        failed: the reason of each that raised.
        notes: what contenders warned of.
    """

    seconds: dict[str, list[float]]
    failed: dict[str, str]
    notes: list[str]

    def time(self, name: str) -> Middle | None:
        """The seconds of a step."""
        return Middle.of(self.seconds[name]) if name in self.seconds else None

    def ratio(self, name: str, to: str) -> Middle | None:
        """How many times as long as another one a contender takes: the middle of the ratios of each round."""
        if name not in self.seconds or to not in self.seconds:
            return None
        return Middle.of([one / other for one, other in zip(self.seconds[name], self.seconds[to], strict=True)])


def measure(
    contenders: Mapping[str, Callable[[], Contender]],
    numbers: Numbers,
    rounds: int,
    *,
    keep: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Timings:
    """Let the contenders take turns.

    Args:
        contenders: what makes each, by name, in their order in every round.
        numbers: that all begin with.
        rounds: turns of each.
        keep: every contender keeps its arrays between its turns; else it makes them anew for each, so that no more than
            one at a time has to fit in memory.
        progress: called with a contender's name when it has warmed up, and after each of its turns.
    """
    timings = Timings({name: [] for name in contenders}, {}, [])
    kept: dict[str, Contender] = {}
    for turn in range(-1 if keep else 0, rounds):  # in turn -1 all warm up
        for name in list(timings.seconds):
            try:
                contender = kept.get(name) or _started(contenders[name](), numbers, timings.notes)
                if keep:
                    kept[name] = contender
                if turn >= 0:
                    timings.seconds[name].append(_turn(contender, numbers.gradients))
                del contender
            except Exception as error:
                timings.failed[name] = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
                del timings.seconds[name]
                kept.pop(name, None)
            progress(name)
    return timings


def _started(contender: Contender, numbers: Numbers, notes: list[str]) -> Contender:
    """Make the contender's arrays, and steps until compilers and caches have settled."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        contender.start(numbers.values)
        spent = 0.0
        with contender.at_work():
            for step in range(WARM_UP_STEPS):
                seconds = _timed(contender, numbers.gradients)
                spent += seconds if step else 0  # the first may have compiled
                if step and spent > WARM_UP_SECONDS:
                    break
        contender.drop_gradients()
    for warning in caught:
        note = f"{contender.name}: {warning.message}"
        if note not in notes:
            notes.append(note)
    return contender


def _turn(contender: Contender, gradients: Sequence[Array]) -> float:
    """The median of the seconds that a step takes, with new gradients before each."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with contender.at_work():
            first = _timed(contender, gradients)
            found = [first] if first > LONG_STEP_SECONDS else []
            while not found or (found[0] < LONG_STEP_SECONDS and _more(found)):
                found.append(_timed(contender, gradients))
        contender.drop_gradients()
    finally:
        if was_enabled:
            gc.enable()
    return median(found)


def _more(found: Sequence[float]) -> bool:
    return len(found) < FEWEST or (len(found) < MOST and sum(found) < TURN_SECONDS)


def _timed(contender: Contender, gradients: Sequence[Array]) -> float:
    """The seconds of a step with new gradients."""
    contender.renew_gradients(gradients)
    begin = time.perf_counter()
    contender.step()
    return time.perf_counter() - begin
