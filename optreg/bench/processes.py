"""Extra memory in a step, and the first step of a fresh process: measured in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import attrs

from optreg.bench.benchmark import Match, Settings
from optreg.bench.cases import Case, Variant
from optreg.bench.child import ask
from optreg.bench.conditions import threads_of
from optreg.bench.rounds import Middle
from optreg.errors import OptregError


class ChildError(OptregError, RuntimeError):
    """A process that should have measured something ended without a result."""


@attrs.frozen
class Extra:
    """The memory that one contender takes in a step, in bytes; see :func:`optreg.bench.child.memory`."""

    case: Case
    variant: Variant
    name: str
    resident: int | None
    traced: int


@attrs.frozen
class First:
    """The seconds of the first steps of fresh processes."""

    case: Case
    variant: Variant
    name: str
    seconds: tuple[float, ...]

    @property
    def middle(self) -> Middle:
        """Median and quartiles."""
        return Middle.of(self.seconds)


def extra_memory(
    settings: Settings,
    plan: Sequence[Match],
    progress: Callable[[str], None] = lambda _: None,
) -> list[Extra]:
    """Measure the memory that each contender takes in a step."""
    found = []
    for match in plan:
        case, variant = match.case, match.variant
        for name in match.lineup.but_the_limit:
            question = ask("memory", name, case, settings.job(match.optimizer, variant))
            answer = _answer(question, {**threads_of(settings.threads), "OPTREG_COMPILE": "now"})
            found.append(Extra(case, variant, name, **answer))
            progress(f"{case.name}, {variant.name}: {name}")
    return found


def first_steps(
    settings: Settings,
    plan: Sequence[Match],
    progress: Callable[[str], None] = lambda _: None,
) -> list[First]:
    """Time the first step of fresh processes that have no compiled kernels, in turns."""
    found: list[First] = []
    for match in plan:
        case, variant, members = match.case, match.variant, match.lineup
        seconds: dict[str, list[float]] = {name: [] for name in members.but_the_limit}
        for _ in range(settings.rounds):
            for name, turns in seconds.items():
                question = ask("first step", name, case, settings.job(match.optimizer, variant))
                with TemporaryDirectory(prefix="optreg-bench-") as empty:
                    environment = {**threads_of(settings.threads), "OPTREG_CACHE_DIR": empty, "CUPY_CACHE_DIR": empty}
                    environment["OPTREG_COMPILE"] = ""
                    if name in members.backends:
                        environment["OPTREG_BACKEND"] = name  # rather than imported before the clock runs
                    turns.append(_answer(question, environment)["seconds"])
                progress(f"{case.name}, {variant.name}: {name}")
        found.extend(First(case, variant, name, tuple(each)) for name, each in seconds.items())
    return found


def _answer(question: str, environment: Mapping[str, str]) -> dict[str, Any]:
    path = os.pathsep.join(filter(None, sys.path))
    ended = subprocess.run(
        [sys.executable, "-m", "optreg.bench.child", question],
        env={**os.environ, **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines:
        last = ended.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise ChildError(f"the process that measures ended with status {ended.returncode}: {last[0]}")
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer
