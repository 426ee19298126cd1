"""The tables that ``optreg bench`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from optreg.bench.benchmark import Section
from optreg.bench.lineup import LIMIT, PEERS
from optreg.bench.numbers import digits, milliseconds
from optreg.bench.processes import Extra, First
from optreg.bench.questions import FIRST_STEP, MEMORY, SCALING, Answers
from optreg.bench.scaling import TOTAL, seconds_a_tensor


def tables(answers: Answers) -> Iterator[Any]:
    """A rich table for each case, its variants below each other; of other measurements one for all."""
    what = answers.questions.what
    if what == MEMORY:
        yield memory_table(answers.extras)
    elif what == FIRST_STEP:
        yield first_steps_table(answers.firsts)
    elif what == SCALING:
        yield scaling_table(answers.sections)
    else:
        for _, members in groupby(answers.sections, lambda section: section.match.title):
            yield case_table(list(members))


def is_ours(name: str) -> bool:
    """Whether it is a backend of optreg."""
    return name != LIMIT and name not in PEERS


def _style(name: str) -> str:
    return "" if is_ours(name) else "dim"


def _table(title: str, *headings: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        show_edge=False,
        padding=(0, 1, 0, 0),
        box=SIMPLE_HEAD,
    )
    made.add_column("", no_wrap=True)
    for heading in headings:
        made.add_column(heading, justify="right", no_wrap=True)
    return made


def case_table(sections: Sequence[Section]) -> Any:
    """The table of one case and optimizer; the limit and each backend are what the others' times are divided by."""
    names = dict.fromkeys(name for section in sections for name in section.timings.seconds)
    yardsticks = [name for name in names if name == LIMIT or is_ours(name)]
    made = _table(
        sections[0].match.title,
        "ms",
        "quartiles",
        "GB/s",
        *(f"÷ {name}" for name in yardsticks),
    )
    for section in sections:
        made.add_row(section.match.variant.name, style="bold")
        for name in section.timings.seconds:
            made.add_row(f"  {name}", *_cells(section, name, yardsticks), style=_style(name))
        for name in section.timings.failed:
            made.add_row(f"  {name}", "failed", style="red")
        made.add_section()
    return made


def _cells(section: Section, name: str, yardsticks: Sequence[str]) -> Iterator[str]:
    time, bandwidth = section.timings.time(name), section.bandwidth(name)
    assert time is not None
    assert bandwidth is not None
    yield milliseconds(time.median)
    yield f"{milliseconds(time.low)}–{milliseconds(time.high)}"
    yield digits(bandwidth / 1e9)
    for each in yardsticks:
        ratio = section.timings.ratio(name, each)
        yield "–" if ratio is None else digits(ratio.median)


def scaling_table(sections: Sequence[Section]) -> Any:
    """Milliseconds by number of tensors, and the slope."""
    names = dict.fromkeys(name for section in sections for name in section.timings.seconds)
    counts = [f"{len(section.match.case.shapes):,}" for section in sections]
    made = _table(f"ms by number of tensors, {TOTAL:,} parameters together", *counts, "µs a tensor")
    for name in names:
        times = [section.timings.time(name) for section in sections]
        slope = seconds_a_tensor(sections, name)
        cells = ["–" if time is None else milliseconds(time.median) for time in times]
        made.add_row(name, *cells, "–" if slope is None else digits(slope * 1e6), style=_style(name))
    return made


def memory_table(extras: Sequence[Extra]) -> Any:
    """MiB by case and variant."""
    made = _table("MiB of extra memory in a step", "process", "arrays")
    for (case, variant), members in groupby(extras, lambda each: (each.case, each.variant)):
        made.add_row(f"{case.name}, {variant.name}", style="bold")
        for each in members:
            resident = "–" if each.resident is None else digits(each.resident / 2**20)
            # What PyTorch and XLA allocate is not traced.
            traced = digits(each.traced / 2**20) if is_ours(each.name) else "–"
            made.add_row(f"  {each.name}", resident, traced, style=_style(each.name))
        made.add_section()
    return made


def first_steps_table(firsts: Sequence[First]) -> Any:
    """Milliseconds of the first step, and how many more than NumPy's."""
    made = _table("The first step of a fresh process without compiled kernels", "ms", "quartiles", "over NumPy's")
    for (case, variant), members in groupby(firsts, lambda each: (each.case, each.variant)):
        made.add_row(f"{case.name}, {variant.name}", style="bold")
        every = {each.name: each.middle for each in members}
        for name, middle in every.items():
            over = digits((middle.median - every["numpy"].median) * 1e3) if "numpy" in every else "–"
            quartiles = f"{milliseconds(middle.low)}–{milliseconds(middle.high)}"
            made.add_row(f"  {name}", milliseconds(middle.median), quartiles, over, style=_style(name))
        made.add_section()
    return made
