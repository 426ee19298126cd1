"""The picture of very many optimizers: a line of dots for each, best first."""

from __future__ import annotations

from typing import Any

from optreg.compare.comparison import Comparison, Result
from optreg.compare.extras import needed
from optreg.compare.style import COLORS
from optreg.compare.summary import Spread, Summary, best_first

MANY = 24
"""From so many optimizers on, a panel for each would be too small to read."""

BLUE, ORANGE, GREY = COLORS[0], COLORS[1], "#BBBBBB"


def draw_ranking(figure: Any, comparison: Comparison) -> None:
    """The final metric, the steps to the target, the learning rates, and the time of a step."""
    rows = best_first(comparison)
    figure.set_size_inches(11.5, 0.2 * len(rows) + 1.4)
    panels = figure.subplots(1, 4, sharey=True, width_ratios=(4, 2.4, 2.4, 1.8))
    for axes in panels:
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        for place in range(0, len(rows), 2):
            axes.axhspan(place - 0.5, place + 0.5, color="#F5F5F5", zorder=0)
    names = [f"{result.contestant.label}  {place:2}" for place, (result, _) in enumerate(rows, start=1)]
    panels[0].set_yticks(range(len(rows)), names)
    summaries = [row for _, row in rows]
    _draw_finals(panels[0], comparison, summaries)
    _draw_steps(panels[1], comparison, summaries)
    _draw_rates(panels[2], [result for result, _ in rows])
    _draw_times(panels[3], summaries)
    figure.supxlabel(
        "dot: median; line: lowest to highest; dashed: target; orange: some runs only, or the best rate is the "
        "lowest or highest of those tried",
        fontsize=9,
    )


def _draw_finals(axes: Any, comparison: Comparison, rows: list[Summary]) -> None:
    metric = comparison.metric
    axes.set_title(f"final {metric.name}")
    if metric.higher_is_better:
        axes.set_xlim(*_room([row.final.median for row in rows if row.final]))
    else:
        axes.set_xscale("log")
    axes.axvline(comparison.experiment.target, color="#666666", linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    low = axes.get_xlim()[0]
    for place, row in enumerate(rows):
        unfinished = row.diverged + row.failed
        color = ORANGE if unfinished else BLUE
        text, at = "", low
        if row.final is not None:
            at = max(row.final.median, low)
            _draw_spread(axes, row.final, place, color)
            if row.final.median < low:
                axes.plot(low, place, "<", color=color, markersize=5, zorder=3)
                text = f"{row.final.median:.3g}"
        if unfinished:
            word = "diverged" if row.diverged else "failed"
            text = f"{text} {word if row.final is None else f'{unfinished} of {row.runs} {word}'}"
        _write(axes, at, place, text.strip(), color)


def _room(finals: list[float]) -> tuple[float, float]:
    """Limits that give the better three quarters room: whoever is far behind is an arrow."""
    if not finals:
        return 0.0, 1.0
    best, worst, usual = max(finals), min(finals), sorted(finals)[len(finals) // 4]
    width = max(min(3 * (best - usual), 1.15 * (best - worst)), 0.01 * abs(best), 1e-9)
    return best - width, best + 0.1 * width


def _draw_steps(axes: Any, comparison: Comparison, rows: list[Summary]) -> None:
    axes.set_title(f"steps to {comparison.experiment.target:g}")
    axes.set_xlim(0, 1.03 * comparison.experiment.steps)
    for place, row in enumerate(rows):
        if row.steps_to_target is not None:
            reached_by_all = row.steps_to_target.count == row.runs
            _draw_spread(axes, row.steps_to_target, place, BLUE if reached_by_all else ORANGE)
        else:
            _write(axes, 0, place, "not reached", GREY)


def _draw_rates(axes: Any, results: list[Result]) -> None:
    """The rate chosen, on a line through those tried; orange at its end."""
    axes.set_title("learning rate")
    axes.set_xscale("log")
    for place, result in enumerate(results):
        tried = [each.lr for each in result.candidates if each.lr is not None]
        axes.plot(tried, [place] * len(tried), "|-", color=GREY, linewidth=0.8, markersize=4)
        if result.lr is not None:
            axes.plot(result.lr, place, "o", color=ORANGE if result.lr_at_edge else BLUE, markersize=4.5)


def _draw_times(axes: Any, rows: list[Summary]) -> None:
    axes.set_title("µs a step")
    axes.set_xscale("log")
    ticker = needed("matplotlib.ticker")
    axes.xaxis.set_major_locator(ticker.LogLocator())
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    for place, row in enumerate(rows):
        time, gradients = row.seconds_per_step, row.gradients_per_step
        if time is not None:
            axes.plot(1e6 * time, place, "o", color=BLUE, markersize=4.5)
            if gradients is not None and gradients.median > 1:
                _write(axes, 1e6 * time, place, f"{gradients.median:.3g} gradients", BLUE, left=True)


def _draw_spread(axes: Any, spread: Spread, place: int, color: str) -> None:
    axes.plot([spread.low, spread.high], [place, place], color=color, linewidth=1.4, alpha=0.45, zorder=2)
    axes.plot(spread.median, place, "o", color=color, markersize=4.5, zorder=3)


def _write(axes: Any, x: float, place: int, text: str, color: str, *, left: bool = False) -> None:
    side = {"xytext": (-6, 0), "ha": "right"} if left else {"xytext": (6, 0), "ha": "left"}
    axes.annotate(text, (x, place), textcoords="offset points", color=color, va="center", fontsize=8, **side)
