"""The pictures: how many times the limit each contender takes, and cost against number of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from optreg.bench.benchmark import Section
from optreg.bench.lineup import LIMIT
from optreg.bench.numbers import digits, milliseconds
from optreg.bench.questions import SCALING, Answers
from optreg.bench.scaling import TOTAL, curve, seconds_a_tensor
from optreg.bench.table import is_ours
from optreg.compare.style import COLORS, RC

OURS, THEIRS, BOUND = COLORS[0], "#5A5A5A", COLORS[1]
MARKERS = {"plain": "o", "decay": "D", "clipping": "s", "decay + clipping": "^"}
COLUMNS = 3


def draw(answers: Answers, path: str | Path) -> None:
    """Draw the answers as a PNG file."""
    import matplotlib
    from matplotlib.figure import Figure

    settings, machine = answers.questions.settings, answers.machine
    threads = f"{settings.threads} thread{'s' * (settings.threads > 1)}"
    with matplotlib.rc_context(cast(Any, RC)):
        figure = Figure(dpi=150, layout="constrained")
        where = machine.get("gpu", f"{threads} of {machine['cpu']}")
        title = f"{', '.join(settings.optimizers)}, {settings.dtype}, {where}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        (draw_scaling if answers.questions.what == SCALING else draw_cases)(figure, answers.sections)
        figure.savefig(path, format="png")


def _names(sections: Sequence[Section]) -> list[str]:
    return list(dict.fromkeys(name for section in sections for name in section.timings.seconds))


def draw_cases(figure: Any, sections: Sequence[Section]) -> None:
    """A panel for each case: the contenders below each other, and farther to the right the more time they take."""
    panels = [list(members) for _, members in groupby(sections, lambda section: section.match.title)]
    names = [name for name in _names(sections) if name != LIMIT]
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure.set_size_inches(1.6 + 3.6 * columns, 1.3 + rows * (0.8 + 0.36 * len(names)))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, panel, names)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("time of a step, as a multiple of the limit (median and quartiles of the rounds)", fontsize=10)
    figure.legend(handles=_markers(sections), loc="outside upper right", ncols=4, frameon=False)


def _markers(sections: Sequence[Section]) -> list[Any]:
    from matplotlib.lines import Line2D

    variants = dict.fromkeys(section.match.variant.name for section in sections)
    return [Line2D([], [], color=THEIRS, marker=MARKERS[each], linestyle="", label=each) for each in variants]


def _draw_panel(axes: Any, sections: Sequence[Section], names: Sequence[str]) -> None:
    axes.axvline(1, color=BOUND, linewidth=1.4)
    for row in range(0, len(names), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#F4F4F4", linewidth=0, zorder=0)
    for place, section in enumerate(sections):
        shift = 0.7 * ((place + 0.5) / len(sections) - 0.5)
        for row, name in enumerate(names):
            ratio = section.timings.ratio(name, LIMIT)
            if ratio is not None:
                color = OURS if is_ours(name) else THEIRS
                axes.plot([ratio.low, ratio.high], [row + shift] * 2, color=color, linewidth=1.2)
                axes.plot(ratio.median, row + shift, MARKERS[section.match.variant.name], color=color, markersize=4.5)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    limit = sections[0].timings.time(LIMIT)
    text = sections[0].match.title + (f"\nlimit {milliseconds(limit.median)} ms" if limit is not None else "")
    axes.set_title(text, fontsize=9)


def draw_scaling(figure: Any, sections: Sequence[Section]) -> None:
    """Two panels, with logarithmic axes and with straight ones."""
    figure.set_size_inches(12, 4.6)
    panels = figure.subplots(1, 2)
    names = _names(sections)
    for position, name in enumerate(names):
        counts, seconds = curve(sections, name)
        slope = seconds_a_tensor(sections, name)
        for axes in panels:
            axes.plot(
                counts,
                [1e3 * each for each in seconds],
                "o-" if is_ours(name) else "s:" if name == LIMIT else "^--",
                color=COLORS[position % len(COLORS)],
                markersize=4,
                label=name if slope is None else f"{name}: {digits(slope * 1e6)} µs a tensor",
            )
    all_of_them, fastest = panels
    all_of_them.set(xscale="log", yscale="log", title="all, on logarithmic axes")
    top = min((max(curve(sections, name)[1]) for name in names if is_ours(name)), default=0)
    fastest.set(title="the fastest, on straight axes", xlim=(0, None), ylim=(0, 3e3 * top or None))
    for axes in panels:
        axes.set(xlabel=f"tensors, {TOTAL:,} parameters together", ylabel="ms a step")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    figure.legend(*all_of_them.get_legend_handles_labels(), loc="outside right upper", frameon=False)
