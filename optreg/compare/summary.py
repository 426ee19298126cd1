"""A contestant's runs in a few numbers: medians over the seeds, and how far the seeds lie apart."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

import attrs

from optreg.compare.comparison import Comparison, Result
from optreg.compare.training import DIVERGED, FAILED, FINISHED


@attrs.frozen
class Spread:
    """The median, least and greatest of the runs that have a value, and how many those are."""

    median: float
    low: float
    high: float
    count: int


@attrs.frozen
class Summary:
    """A row of the table; None where no run has a value."""

    final: Spread | None
    best: Spread | None
    steps_to_target: Spread | None
    seconds_to_target: Spread | None
    seconds_per_step: float | None
    gradients_per_step: Spread | None
    runs: int
    diverged: int
    failed: int


def summary(comparison: Comparison, result: Result) -> Summary:
    """Sum up a contestant's runs; a run that did not finish has no final value."""
    metric, target, runs = comparison.metric, comparison.experiment.target, result.runs
    return Summary(
        final=spread(run.final(metric) for run in runs),
        best=spread(run.best(metric) for run in runs),
        steps_to_target=spread(run.first("step", metric, target) for run in runs),
        seconds_to_target=spread(run.first("seconds", metric, target) for run in runs),
        seconds_per_step=min((each for run in runs if (each := run.seconds_per_step()) is not None), default=None),
        gradients_per_step=spread(run.gradients / run.curve["step"][-1] for run in runs if run.status == FINISHED),
        runs=len(runs),
        diverged=sum(run.status == DIVERGED for run in runs),
        failed=sum(run.status == FAILED for run in runs),
    )


def spread(values: Iterable[float | None]) -> Spread | None:
    """The spread of the values that there are."""
    present = [value for value in values if value is not None]
    return Spread(median(present), min(present), max(present), len(present)) if present else None


def best_first(comparison: Comparison) -> list[tuple[Result, Summary]]:
    """The contestants with their summaries, by final value, then by steps to the target.

    Those whose runs did not all finish come after those whose runs did.
    """

    def rank(row: tuple[Result, Summary]) -> tuple[float, float, float]:
        final, steps = row[1].final, row[1].steps_to_target
        return (
            row[1].diverged + row[1].failed,
            comparison.metric.rank(final.median) if final else float("inf"),
            steps.median if steps else float("inf"),
        )

    return sorted(((result, summary(comparison, result)) for result in comparison.results), key=rank)
