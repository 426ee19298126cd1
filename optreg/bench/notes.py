"""What the numbers of a table alone do not say, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from optreg.bench.benchmark import Match
from optreg.bench.machine import in_a_line
from optreg.bench.questions import FIRST_STEP, MEMORY, Answers


def notes(answers: Answers) -> Iterator[str]:
    """The sentences to print below the tables."""
    yield _how(answers)
    yield in_a_line(answers.machine)
    matches = answers.questions.plan
    pairs = dict.fromkeys(pair for match in matches for pair in match.lineup.left_out.items())
    for name, reason in pairs:
        concerned = [match for match in matches if match.lineup.left_out.get(name) == reason]
        where = "" if len(concerned) == len(matches) else f" ({', '.join(map(_place, concerned))})"
        yield f"left out: {name}: {reason}{where}"
    yield from dict.fromkeys(f"{name}: {remark}" for match in matches for name, remark in match.lineup.remarks.items())
    said = set()
    for section in answers.sections:
        for name, reason in section.timings.failed.items():
            yield f"{name} failed in {_place(section.match)}: {reason}"
        for note in section.timings.notes:
            if note not in said:
                said.add(note)
                yield f"{_place(section.match)}: {note}"


def _place(match: Match) -> str:
    return f"{match.optimizer} {match.case.name} {match.variant.name}"


def _how(answers: Answers) -> str:
    settings = answers.questions.settings
    threads = f"{settings.threads} thread{'s' * (settings.threads > 1)} each"
    what = f"{', '.join(settings.optimizers)}, {settings.dtype}, {settings.device}, {threads}"
    if answers.questions.what == MEMORY:
        return (
            f"{what}. The most of several steps, after others, in a process of their own; arrays are those of NumPy, "
            f"and Python's objects."
        )
    if answers.questions.what == FIRST_STEP:
        return f"{what}. Medians of {settings.rounds} processes of each, in turns."
    return (
        f"{what}. Medians of {settings.rounds} rounds, in which all took turns; a ratio is the median of the rounds' "
        f"ratios. GB/s counts the optimizer's own arrays, whatever else a contender moves."
    )
