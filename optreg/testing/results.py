"""What becomes of a check: passed, failed, skipped, or failed as expected; each with a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, NoReturn

import attrs

Outcome = Literal["passed", "failed", "skipped", "expected failure"]


class CheckFailedError(AssertionError):
    """What a check found: what happened, why it matters, and what to do."""


class CheckSkipped(Exception):  # noqa: N818 (a signal, as SkipStep is, not an error)
    """Why a check does not apply here."""


def fail(sentence: str) -> NoReturn:
    """End a check with what it found."""
    raise CheckFailedError(sentence)


def skip(reason: str) -> NoReturn:
    """End a check that does not apply."""
    raise CheckSkipped(reason)


@attrs.frozen
class CheckResult:
    """What became of one check of one subject.

    Attributes:
        kind: of the subject: "optimizer", "hook", "hook set", "backend", "target", "task" or "command".
        name: of the subject, such as ``acme/lion``.
        check: the name of the check, such as ``check_float16``.
        outcome: "passed", "failed", "skipped", or "expected failure".
        text: what went wrong and what to do, why it was skipped or expected, or what was measured.
        seconds: that it took.
        error: what was raised where the check failed.
    """

    kind: str
    name: str
    check: str
    outcome: Outcome
    text: str
    seconds: float
    error: BaseException | None = attrs.field(default=None, eq=False, repr=False)

    def __str__(self) -> str:
        return f"{self.name} {self.check}: {self.outcome}" + (f": {self.text}" if self.text else "")


def none_was_run(results: Iterable[CheckResult]) -> bool:
    """Whether all were skipped, or there are none: nothing has been shown then."""
    return all(result.outcome == "skipped" for result in results)


def summary(results: Iterable[CheckResult]) -> str:
    """How many checks were run, skipped, and failed as expected.

    >>> summary([CheckResult("optimizer", "acme/lion", "check_float16", "skipped", "no float16 here", 0.0)])
    'no check was run; 1 skipped'
    """
    counts = Counter(result.outcome for result in results)
    run = sum(counts.values()) - counts["skipped"]
    parts = [f"{run} {'check' if run == 1 else 'checks'} run" if run else "no check was run"]
    parts += [f"{counts['failed']} failed"] if counts["failed"] else []
    parts += [f"{counts['skipped']} skipped"] if counts["skipped"] else []
    expected = counts["expected failure"]
    parts += [f"{expected} {'failure' if expected == 1 else 'failures'} expected"] if expected else []
    return "; ".join(parts)
