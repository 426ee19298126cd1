"""The picture of a comparison: two panels for a few optimizers, a small panel each for many, dots for very many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optreg.compare.comparison import Comparison
from optreg.compare.curves import Band, draw_loss, draw_metric, draw_target
from optreg.compare.experiment import problem
from optreg.compare.extras import needed
from optreg.compare.multiples import draw_many
from optreg.compare.paths import draw_paths
from optreg.compare.ranking import MANY, draw_ranking
from optreg.compare.style import FEW, RC, Label, Stroke, label_ends
from optreg.compare.surfaces import Surface
from optreg.compare.task import Measure, Task
from optreg.compare.training import DIVERGED


def draw(comparison: Comparison, path: str | Path) -> None:
    """Draw a comparison, fresh or read from its record, as a PNG file."""
    task = problem(comparison.experiment.task)
    with needed("matplotlib").rc_context(RC):
        figure = needed("matplotlib.figure").Figure(dpi=150, layout="constrained")
        figure.suptitle(title(comparison), x=0.01, ha="left", fontsize=12.5, fontweight="bold")
        if len(comparison.results) > MANY and not isinstance(task, Surface):
            draw_ranking(figure, comparison)
        elif len(comparison.results) > FEW:
            draw_many(figure, comparison, task)
        else:
            draw_few(figure, comparison, task)
        figure.savefig(path, format="png")


def draw_few(figure: Any, comparison: Comparison, task: Task) -> None:
    """Two panels: the metric (or the paths), and the loss; each curve labelled at its end."""
    figure.set_size_inches(11, 4.6)
    first, second = figure.subplots(1, 2)
    labelled = {second: comparison.loss}
    draw_loss(second, comparison)
    if isinstance(task, Surface):
        runs = [(result.runs[0], Stroke.of(i)) for i, result in enumerate(comparison.results)]
        draw_paths(first, task, runs)
        draw_target(second, comparison.experiment.target)
    else:
        draw_metric(first, comparison)
        labelled[first] = comparison.metric
    figure.draw_without_rendering()  # The labels need to know how high the axes are.
    for axes, measure in labelled.items():
        label_ends(axes, labels(comparison, measure))


def labels(comparison: Comparison, measure: Measure) -> list[Label]:
    """The name of each contestant, at the end of its curve."""
    found = []
    for position, result in enumerate(comparison.results):
        band = Band.of(result, measure)
        if band is not None:
            diverged = all(run.status == DIVERGED for run in result.runs)
            text = result.contestant.label + (" (diverged)" if diverged else "")
            found.append(Label(band.steps[-1], band.middle[-1], text, Stroke.of(position).color))
    return found


def title(comparison: Comparison) -> str:
    """The task, the metric, and what lines and bands are."""
    experiment = comparison.experiment
    parts = [f"{experiment.task}: {comparison.metric.name}"]
    if experiment.seeds > 1:
        parts.append(f"median of {experiment.seeds} seeds (lowest to highest)")
    if experiment.sweep is not None and experiment.sweep > 1:
        parts.append(f"best of {experiment.sweep} learning rates")
    return " – ".join(parts)
