"""What a user asks ``optreg bench``, checked as a whole; and the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import attrs

from optreg.bench.benchmark import Match, Section, Settings, benchmark, check_memory
from optreg.bench.cases import CASES, QUICK, VARIANTS, Case, Variant, quick
from optreg.bench.conditions import check_threads, conditions, processors
from optreg.bench.devices import CPU, check_device
from optreg.bench.lineup import NONE, lineup
from optreg.bench.machine import facts
from optreg.bench.processes import Extra, First, extra_memory, first_steps
from optreg.bench.scaling import COUNTS, QUICK_COUNTS, scaling_cases, without_xla
from optreg.errors import ConfigError, did_you_mean

THE_CASES, SCALING, MEMORY, FIRST_STEP = "cases", "scaling", "memory", "first step"
DTYPES = ("float32", "float64")
ENDS = ("plain", "decay + clipping")
DEFAULT_CASES = {
    THE_CASES: tuple(CASES),
    MEMORY: ("large", "small"),
    FIRST_STEP: ("few", "small"),
}


@attrs.frozen
class Questions:
    """What is to be measured.

    Attributes:
        what: "cases", "scaling", "memory" or "first step".
        settings: for all of it.
        plan: what is measured, one match after another.
    """

    what: str
    settings: Settings
    plan: tuple[Match, ...]

    @property
    def drawable(self) -> bool:
        """Whether the answers have a picture."""
        return self.what in (THE_CASES, SCALING)

    @property
    def turns(self) -> int:
        """How often progress is reported."""
        each = {MEMORY: 1, FIRST_STEP: self.settings.rounds}.get(self.what, self.settings.rounds + 1)
        lineups = [match.lineup for match in self.plan]
        return sum(each * len(members.names if self.drawable else members.but_the_limit) for members in lineups)


@attrs.frozen
class Answers:
    """What was measured, with where it was."""

    questions: Questions
    machine: dict[str, Any]
    sections: tuple[Section, ...] = ()
    extras: tuple[Extra, ...] = ()
    firsts: tuple[First, ...] = ()


def questions(
    *,
    optimizers: Sequence[str] = ("adamw",),
    cases: Sequence[str] = (),
    variants: Sequence[str] = (),
    rounds: int | None = None,
    backends: Sequence[str] = (),
    peers: Sequence[str] = (),
    threads: int | None = None,
    dtype: str = "float32",
    device: str = CPU,
    quick: bool = False,
    scaling: bool = False,
    memory: bool = False,
    first_step: bool = False,
) -> Questions:
    """Settle what is to be measured; the arguments are the command's options.

    Raises:
        ConfigError: something that cannot be measured.
        UnknownNameError: no such optimizer.
        TooLargeError: a case that does not fit in memory.
    """
    what = _only_one({SCALING: scaling, MEMORY: memory, FIRST_STEP: first_step})
    rounds = (3 if quick else 7) if rounds is None else rounds
    if what != THE_CASES and len(optimizers) > 1:
        raise ConfigError(f"--{what.replace(' ', '-')} measures one optimizer at a time; give --optimizer once")
    names = tuple(dict.fromkeys(optimizers))
    settings = Settings(names, dtype, processors() if threads is None else threads, rounds, device)
    _check_settings(settings)
    if what == MEMORY and device != CPU:
        raise ConfigError("--memory looks at the memory beside the processor; leave --device out")
    chosen = _cases(what, cases, quick)
    for case, name in product(chosen, names):
        check_memory(case, name, settings)
    if what == FIRST_STEP and not peers:
        peers = (NONE,)
    plan: list[Match] = []
    with conditions(settings.threads):  # in which PyTorch is imported
        for case, name, variant in product(chosen, names, _variants(what, variants, quick)):
            members = lineup(settings.job(name, variant), backends, peers, named_must_work=not plan)
            plan.append(Match(case, name, variant, without_xla(members, case) if what == SCALING else members))
    return Questions(what, settings, tuple(plan))


def _only_one(asked: dict[str, bool]) -> str:
    wanted = [what for what, is_asked in asked.items() if is_asked]
    if len(wanted) > 1:
        options = " and ".join(f"--{what.replace(' ', '-')}" for what in wanted)
        raise ConfigError(f"{options} are different measurements; ask for one at a time")
    return wanted[0] if wanted else THE_CASES


def _check_settings(settings: Settings) -> None:
    check_device(settings.device)
    if settings.dtype not in DTYPES:
        raise ConfigError(f"dtype must be float32 or float64, but it is {settings.dtype!r}")
    check_threads(settings.threads)
    if settings.rounds < 1:
        raise ConfigError(f"rounds must be at least 1, but it is {settings.rounds}")


def _cases(what: str, names: Sequence[str], is_quick: bool) -> list[Case]:
    if what == SCALING:
        if names:
            raise ConfigError("--scaling has cases of its own; leave --case out")
        return scaling_cases(QUICK_COUNTS if is_quick else COUNTS)
    _check_names("case", names, CASES)
    chosen = [CASES[name] for name in CASES if name in (names or DEFAULT_CASES[what])]
    if is_quick:
        chosen = [quick(case) for case in chosen if names or case.name in QUICK]
    return chosen


def _variants(what: str, names: Sequence[str], is_quick: bool) -> list[Variant]:
    _check_names("variant", names, VARIANTS)
    if not names:
        names = ("plain",) if what in (SCALING, FIRST_STEP) else ENDS if is_quick or what == MEMORY else tuple(VARIANTS)
    return [variant for name, variant in VARIANTS.items() if name in names]


def _check_names(kind: str, names: Sequence[str], known: dict[str, Any]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no {kind} {name!r}; there are: {', '.join(known)}.{did_you_mean(name, known)}")


def answers(asked: Questions, progress: Callable[[str], None] = lambda _: None) -> Answers:
    """Measure what was asked for.

    Args:
        asked: for what.
        progress: called with what was done, at most ``asked.turns`` times.
    """
    machine = facts(asked.settings.device)
    if asked.what == MEMORY:
        return Answers(asked, machine, extras=tuple(extra_memory(asked.settings, asked.plan, progress)))
    if asked.what == FIRST_STEP:
        return Answers(asked, machine, firsts=tuple(first_steps(asked.settings, asked.plan, progress)))
    return Answers(asked, machine, sections=tuple(benchmark(asked.settings, asked.plan, progress)))
