"""The picture of many optimizers: a small panel for each, best first."""

from __future__ import annotations

from typing import Any

from optreg.compare.comparison import Comparison, Result
from optreg.compare.curves import Band, draw_crosses, draw_target, metric_limits
from optreg.compare.paths import draw_paths
from optreg.compare.style import COLORS, Stroke
from optreg.compare.summary import Summary, best_first
from optreg.compare.surfaces import Surface
from optreg.compare.task import Task

OWN = Stroke(COLORS[0], "-")
COLUMNS = 6


def draw_many(figure: Any, comparison: Comparison, task: Task) -> None:
    """Each optimizer's path; or its curve, in front of everyone else's in grey."""
    rows = best_first(comparison)
    lines = -(-len(rows) // COLUMNS)
    figure.set_size_inches(2.1 * COLUMNS, 1.75 * lines + 0.7)
    grid = figure.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False)
    if isinstance(task, Surface):
        for axes, (result, _) in zip(grid.flat, rows, strict=False):
            draw_paths(axes, task, [(result.runs[0], OWN)], names=False)
        figure.supxlabel("x  (square: start, star: minimum)", fontsize=10)
        figure.supylabel("y", fontsize=10)
    else:
        draw_curves(grid, comparison, [result for result, _ in rows])
        figure.supxlabel("step", fontsize=10)
        figure.supylabel(comparison.metric.name, fontsize=10)
    for axes, (result, row) in zip(grid.flat, rows, strict=False):
        axes.set_title(_short(result.contestant.label, outcome(row)), fontsize=9)
    for axes in grid.flat[len(rows) :]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, len(rows) - COLUMNS) : len(rows)]:
        axes.tick_params(labelbottom=True)  # Where the last line is not full, the line above it ends its columns.
        axes.locator_params(axis="x", nbins=3)


def draw_curves(grid: Any, comparison: Comparison, results: list[Result]) -> None:
    """The metric of each result in a panel of its own."""
    bands = [Band.of(result, comparison.metric) for result in results]
    for axes, result, own in zip(grid.flat, results, bands, strict=False):
        axes.set(xlim=(0, comparison.experiment.steps), ylim=metric_limits(comparison))
        if not comparison.metric.higher_is_better:
            axes.set_yscale("log")
        for other in bands:
            if other is not None:
                axes.plot(other.steps, other.middle, color="#CFCFCF", linewidth=0.6)
        if own is not None:
            own.draw(axes, OWN)
        draw_crosses(axes, result, comparison.metric, OWN)
        draw_target(axes, comparison.experiment.target, name="")


def outcome(row: Summary) -> str:
    """The final value in short, or why there is none."""
    if row.final is not None:
        return f"{row.final.median:.3g}"
    return "diverged" if row.diverged else "failed"


def _short(label: str, value: str, width: int = 28) -> str:
    room = width - len(value)
    return f"{label if len(label) <= room else label[: room - 1] + '…'}  {value}"
