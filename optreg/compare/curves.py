"""The panels of learning curves: a measure of each optimizer over the steps."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.compare.comparison import Comparison, Result
from optreg.compare.extras import needed
from optreg.compare.style import Stroke, draw_cross
from optreg.compare.task import Measure
from optreg.compare.training import DIVERGED, FINISHED, Run

POINTS = 100
"""A curve has at most so many points; neighbours count as seeds do, so that noise makes a band."""


@attrs.frozen
class Band:
    """A curve of one contestant: at each step the median of its runs, the least and the greatest."""

    steps: Any
    middle: Any
    low: Any
    high: Any

    @classmethod
    def of(cls, result: Result, measure: Measure) -> Band | None:
        """The curve of a contestant, or None where no run has a finite value."""
        rows = [_row(run, measure) for run in result.runs if run.values(measure)]
        if not rows:
            return None
        steps = max(rows, key=lambda row: len(row[0]))[0]
        size = -(-len(steps) // POINTS)
        # The start keeps a point of its own: it is the same for all contestants.
        stretches = [slice(0, 1), *(slice(first, first + size) for first in range(1, len(steps), size))]
        pools = [(steps[each][-1], np.concatenate([row[each] for _, row in rows])) for each in stretches]
        pools = [(step, pool[np.isfinite(pool)]) for step, pool in pools]
        points = [(step, np.median(pool), pool.min(), pool.max()) for step, pool in pools if len(pool)]
        return cls(*np.array(points).T)

    def draw(self, axes: Any, stroke: Stroke, shade: float = 0.16) -> None:
        """Draw the medians as a line in a band from the least to the greatest."""
        axes.plot(self.steps, self.middle, color=stroke.color, linestyle=stroke.dashes, linewidth=1.8)
        axes.fill_between(self.steps, self.low, self.high, color=stroke.color, alpha=shade, linewidth=0)


def _row(run: Run, measure: Measure) -> tuple[Any, Any]:
    """A run's steps and values; without the last where it diverged, for that may be at a step of its own."""
    end = -1 if run.status == DIVERGED else None
    return np.array(run.curve["step"][:end]), np.array(run.curve[measure.name][:end])


def draw_metric(axes: Any, comparison: Comparison) -> None:
    """The metric over the steps, with the target."""
    axes.set_ylim(*metric_limits(comparison))
    draw_measure(axes, comparison, comparison.metric)
    draw_target(axes, comparison.experiment.target)
    axes.set_title(comparison.metric.name)


def draw_loss(axes: Any, comparison: Comparison) -> None:
    """The loss over the steps on a log scale, which runs that diverged do not stretch."""
    axes.set_yscale("log")
    axes.set_ylim(*loss_limits(comparison))
    draw_measure(axes, comparison, comparison.loss)
    axes.set_title(f"{comparison.loss.name} (log scale)")


def draw_measure(axes: Any, comparison: Comparison, measure: Measure) -> None:
    """A curve for each optimizer, and a cross where a run diverged."""
    for position, result in enumerate(comparison.results):
        stroke, band = Stroke.of(position), Band.of(result, measure)
        if band is not None:
            band.draw(axes, stroke, 0.16 if len(comparison.results) <= 4 else 0.08)
        draw_crosses(axes, result, measure, stroke)
    axes.set_xlim(0, comparison.experiment.steps)
    axes.set_xlabel("step")


def draw_crosses(axes: Any, result: Result, measure: Measure, stroke: Stroke) -> None:
    """A cross for each run that diverged."""
    for run in result.runs:
        if run.status == DIVERGED and run.values(measure):
            draw_cross(axes, stroke, run.curve["step"][-1], run.values(measure)[-1])


def draw_target(axes: Any, target: float, name: str = "target") -> None:
    """A thin line at the value that counts as reached, if it is in view."""
    low, high = axes.get_ylim()
    if not low <= target <= high:
        return
    axes.axhline(target, color="#666666", linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    if not name:
        return
    axes.annotate(
        f"{name} {target:g}",
        xy=(1, target),
        xycoords=("axes fraction", "data"),
        xytext=(-4, -3),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8.5,
        color="#555555",
        path_effects=[needed("matplotlib.patheffects").withStroke(linewidth=3, foreground="white")],
    )


def metric_limits(comparison: Comparison) -> tuple[float | None, float | None]:
    """Limits that give the final values of an accuracy room: the differences between them matter most."""
    metric, target = comparison.metric, comparison.experiment.target
    runs = [run for result in comparison.results for run in result.runs if run.values(metric)]
    finals = [final for run in runs if (final := run.final(metric)) is not None]
    if not (metric.higher_is_better and finals):
        return None, None
    finals.append(target)
    top, usual, worst = max(finals), float(np.quantile(finals, 0.25)), min(finals)
    room = max(6 * (top - usual), 1.2 * (top - worst), 0.02 * abs(top))
    starts = [run.values(metric)[0] for run in runs]
    return max(top - room, min(starts) - 0.02 * room), top + 0.12 * room


def loss_limits(comparison: Comparison) -> tuple[float | None, float | None]:
    """Limits from the lowest loss to the highest, if not far below what matters or far above the start."""
    runs = [run for result in comparison.results for run in result.runs if run.values(comparison.loss)]
    starts = [run.values(comparison.loss)[0] for run in runs]
    values = [*starts, *(x for run in runs if run.status == FINISHED for x in run.values(comparison.loss))]
    positive = [value for value in values if value > 0]
    if not positive:
        return None, None
    highest_start = max(starts)
    return max(min(positive) / 1.5, 1e-12 * highest_start), 1.5 * min(max(positive), 10 * highest_start)
