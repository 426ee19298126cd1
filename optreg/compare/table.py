"""The table that ``optreg compare`` prints, and the notes below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from optreg.compare.comparison import Comparison
from optreg.compare.extras import needed
from optreg.compare.summary import Spread, Summary, best_first


def table(comparison: Comparison) -> Any:
    """A rich table, best optimizer first: medians over the seeds, with the least and the greatest."""
    rich_table = needed("rich.table").Table(
        title=title(comparison),
        title_justify="left",
        title_style="bold",
        show_edge=False,
        padding=(0, 1, 0, 0),
        box=needed("rich.box").SIMPLE_HEAD,
    )
    metric, target = comparison.metric.name, f"{comparison.experiment.target:g}"
    for heading in ("\noptimizer", "\nlr"):
        rich_table.add_column(heading, justify="left", no_wrap=True)
    for heading in (f"final\n{metric}", "\nbest", f"steps to\n{target}", f"seconds\nto {target}", "µs\na step"):
        rich_table.add_column(heading, justify="right", overflow="fold")
    for result, row in best_first(comparison):
        lr = "–" if result.lr is None else f"{result.lr:.4g}"
        rich_table.add_row(needed("rich.markup").escape(result.contestant.label), lr, *cells(row))
    return rich_table


def title(comparison: Comparison) -> str:
    """What was compared, under which conditions."""
    experiment = comparison.experiment
    seeds = "1 seed" if experiment.seeds == 1 else f"median of {experiment.seeds} seeds (lowest–highest)"
    batches = f" of {experiment.batch_size} examples" if experiment.batch_size else ""
    return f"{experiment.task}: {experiment.steps} steps{batches}, {seeds}"


def cells(row: Summary) -> list[str]:
    """The numbers of a row, as a person reads them."""
    unfinished = _unfinished(row)
    final = ", ".join(filter(None, [_shown(row.final, "{:.3g}") if row.final else "", unfinished]))
    return [
        final or "–",
        f"{row.best.median:.3g}" if row.best else "–",
        _steps(row),
        f"{row.seconds_to_target.median:.2g}" if row.seconds_to_target else "–",
        "–" if row.seconds_per_step is None else f"{1e6 * row.seconds_per_step:.0f}",
    ]


def notes(comparison: Comparison) -> Iterator[str]:
    """What the numbers alone do not say, a sentence each."""
    at_edge = [result.contestant.label for result in comparison.results if result.lr_at_edge]
    if at_edge:
        yield (
            f"the best learning rate of {', '.join(at_edge)} is the lowest or highest that was tried; "
            f"a wider --lr-range may hold a better one"
        )
    if comparison.experiment.sweep is None:
        yield "each optimizer ran with one learning rate; --sweep N tries N, which is fairer"
    elif comparison.experiment.sweep > 1:
        yield f"learning rates were chosen by {', then '.join(each.name for each in comparison.selection)}"

    yield from _missing(comparison)


def _missing(comparison: Comparison) -> Iterator[str]:
    """Who needs more than one gradient a step, who failed, who was left out, and why."""
    for result, row in best_first(comparison):
        often = row.gradients_per_step
        if often and often.median > 1:
            yield f"{result.contestant.label} evaluates the loss {often.median:.3g} times a step"
    for result in comparison.results:
        for reason in result.reasons:
            yield f"{result.contestant.label} failed: {reason}"
    for absent in comparison.experiment.left_out:
        yield f"{absent.name} was left out: {absent.reason}"


def _unfinished(row: Summary) -> str:
    parts = []
    for count, word in ((row.diverged, "diverged"), (row.failed, "failed")):
        if count:
            parts.append(word if count == row.runs else f"{count} of {row.runs} {word}")
    return ", ".join(parts)


def _shown(spread: Spread, number: str) -> str:
    middle, low, high = (number.format(value) for value in (spread.median, spread.low, spread.high))
    return middle if low == high else f"{middle} ({low}–{high})"


def _steps(row: Summary) -> str:
    spread = row.steps_to_target
    if spread is None:
        return "–"
    reached = "" if spread.count == row.runs else f", {spread.count} of {row.runs} runs"
    return _shown(spread, "{:.0f}") + reached
