"""Answers as strict JSON: where, what, every turn's seconds, and what follows from them."""

from __future__ import annotations

import json
from typing import Any

import attrs

from optreg.bench.benchmark import Section
from optreg.bench.questions import FIRST_STEP, MEMORY, SCALING, Answers
from optreg.bench.rounds import Middle
from optreg.bench.scaling import curve, seconds_a_tensor

FORMAT = "optreg bench 2"


def to_json(answers: Answers) -> str:
    """Write answers down."""
    what = answers.questions.what
    record: dict[str, Any] = {
        "format": FORMAT,
        "measured": what,
        "machine": answers.machine,
        "settings": attrs.asdict(answers.questions.settings),
    }
    if what == MEMORY:
        record["left out"] = left_out(answers)
        record["bytes"] = [
            {**_place(each), "resident": each.resident, "traced": each.traced} for each in answers.extras
        ]
    elif what == FIRST_STEP:
        record["left out"] = left_out(answers)
        record["first steps"] = [
            {**_place(each), "seconds": attrs.asdict(each.middle), "turns": each.seconds} for each in answers.firsts
        ]
    else:
        record["sections"] = [_section(each) for each in answers.sections]
    if what == SCALING:
        names = dict.fromkeys(name for section in answers.sections for name in section.timings.seconds)
        record["scaling"] = {name: _scaling(answers, name) for name in names}
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def left_out(answers: Answers) -> dict[str, str]:
    """Who was not measured, and why."""
    return {name: reason for match in answers.questions.plan for name, reason in match.lineup.left_out.items()}


def _place(each: Any) -> dict[str, str]:
    return {"case": each.case.name, "variant": each.variant.name, "contender": each.name}


def _section(section: Section) -> dict[str, Any]:
    match = section.match
    return {
        "optimizer": match.optimizer,
        "case": match.case.name,
        "tensors": len(match.case.shapes),
        "parameters": match.case.elements,
        "variant": match.variant.name,
        "decay": match.variant.decay,
        "clipping threshold": match.variant.threshold,
        "bytes": section.bytes,
        "contenders": {name: _contender(section, name) for name in section.timings.seconds},
        "left out": match.lineup.left_out,
        "remarks": match.lineup.remarks,
        "failed": section.timings.failed,
        "notes": section.timings.notes,
    }


def _contender(section: Section, name: str) -> dict[str, Any]:
    timings = section.timings
    return {
        "seconds": _middle(timings.time(name)),
        "bytes per second": section.bandwidth(name),
        "times as long as": {other: _middle(timings.ratio(name, other)) for other in timings.seconds},
        "turns": timings.seconds[name],
    }


def _middle(middle: Middle | None) -> Any:
    return None if middle is None else attrs.asdict(middle)


def _scaling(answers: Answers, name: str) -> dict[str, Any]:
    counts, seconds = curve(answers.sections, name)
    return {"tensors": counts, "seconds": seconds, "seconds a tensor": seconds_a_tensor(answers.sections, name)}
