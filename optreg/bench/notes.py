"""What the numbers of a table alone do not say, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from optreg.bench.machine import in_a_line
from optreg.bench.questions import FIRST_STEP, MEMORY, Answers
from optreg.bench.records import left_out


def notes(answers: Answers) -> Iterator[str]:
    """The sentences to print below the tables."""
    yield _how(answers)
    yield in_a_line(answers.machine)
    for name, reason in left_out(answers).items():
        where = [
            f"{case.name} {variant.name}"
            for case, variant, members in answers.questions.plan
            if members.left_out.get(name) == reason
        ]
        everywhere = len(where) == len(answers.questions.plan)
        yield f"left out: {name}: {reason}" + ("" if everywhere else f" ({', '.join(where)})")
    said = set()
    for section in answers.sections:
        for name, reason in section.timings.failed.items():
            yield f"{name} failed in {section.case.name} {section.variant.name}: {reason}"
        for note in section.timings.notes:
            if note not in said:
                said.add(note)
                yield f"{section.case.name} {section.variant.name}: {note}"


def _how(answers: Answers) -> str:
    settings = answers.questions.settings
    threads = f"{settings.threads} thread{'s' * (settings.threads > 1)} each"
    what = f"{settings.optimizer}, {settings.dtype}, {settings.device}, {threads}"
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
