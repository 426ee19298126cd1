"""Run an experiment, in this process or in several, and choose each contestant's learning rate."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from multiprocessing import get_context
from statistics import median
from typing import Any

import attrs

from optreg.base import Optimizer
from optreg.compare.contestants import Contestant
from optreg.compare.experiment import Assignment, Experiment, problem
from optreg.compare.task import Measure
from optreg.compare.training import FINISHED, Run, train
from optreg.errors import OptregError
from optreg.registry import create, info


@attrs.frozen
class Candidate:
    """A learning rate that a sweep tried: how many runs did not finish, and the medians of the others."""

    lr: float | None
    unfinished: int
    medians: dict[str, float]

    def rank(self, selection: Iterable[Measure]) -> tuple[float, ...]:
        """To sort by, best first: a rate under which a seed fails comes after those without."""
        return (self.unfinished, *(each.rank(self.medians[each.name]) for each in selection))


@attrs.frozen
class Result:
    """What came of one contestant: the rates tried, the one chosen, and its runs, one a seed."""

    contestant: Contestant
    config: dict[str, Any]
    lr: float | None
    candidates: tuple[Candidate, ...]
    runs: tuple[Run, ...]

    @property
    def reasons(self) -> list[str]:
        """What the runs raised, if any did."""
        return sorted({run.reason for run in self.runs if run.reason})

    @property
    def lr_at_edge(self) -> bool:
        """Whether the best rate is the first or last that was tried, so that a better one may lie outside."""
        return len(self.candidates) > 1 and self.lr in (self.candidates[0].lr, self.candidates[-1].lr)


@attrs.frozen
class Comparison:
    """An experiment, what is measured, what came of each contestant, and what it ran on."""

    experiment: Experiment
    metric: Measure
    loss: Measure
    selection: tuple[Measure, ...]
    results: tuple[Result, ...]
    versions: dict[str, str]


def compare(experiment: Experiment, *, jobs: int = 1, progress: Callable[[str], None] | None = None) -> Comparison:
    """Run every assignment of the experiment; ``progress`` is called with a label as each run ends.

    Nothing but the measured seconds depends on ``jobs``.
    """
    task = problem(experiment.task)
    assignments = [
        (each.label, assignment)
        for each in experiment.contestants
        for lr in experiment.learning_rates(each)
        for assignment in experiment.assignments(each, lr)
    ]
    runs = iter(_run_all(assignments, jobs, progress or (lambda _: None)))
    results = []
    for contestant in experiment.contestants:
        trials = []
        for lr in experiment.learning_rates(contestant):
            made = tuple(islice(runs, experiment.seeds))
            trials.append((candidate(lr, made, task.selection), made))
        best, chosen = min(trials, key=lambda trial: trial[0].rank(task.selection))
        config = config_of(contestant, best.lr)
        lr = contestant.usual_lr() if best.lr is None else best.lr
        results.append(Result(contestant, config, lr, tuple(each for each, _ in trials), chosen))
    return Comparison(
        experiment, task.metric, task.loss, task.selection, tuple(results), versions(experiment.contestants)
    )


def differing(comparison: Comparison, other: Comparison) -> list[str]:
    """The labels of contestants whose numbers are not the same in both, but for the seconds."""
    return [
        result.contestant.label
        for result, its_other in zip(comparison.results, other.results, strict=True)
        if _without_seconds(result) != _without_seconds(its_other)
    ]


def _without_seconds(result: Result) -> str:
    """A result as text, in which NaN equals NaN."""
    runs = [attrs.evolve(run, curve={**run.curve, "seconds": []}) for run in result.runs]
    return repr(attrs.evolve(result, runs=tuple(runs)))


def number_of_runs(experiment: Experiment) -> int:
    """How many training runs the experiment has."""
    return sum(len(experiment.learning_rates(each)) for each in experiment.contestants) * experiment.seeds


def config_of(contestant: Contestant, lr: float | None) -> dict[str, Any]:
    """What ``optreg.create`` makes the same optimizer of, as far as a foreign class can say."""
    optimizer = create(contestant.name, **contestant.with_lr(lr))
    if isinstance(optimizer, Optimizer):
        return optimizer.config()
    return {"name": contestant.name, **contestant.with_lr(lr)}


def candidate(lr: float | None, runs: tuple[Run, ...], selection: tuple[Measure, ...]) -> Candidate:
    """Sum up the runs under one learning rate, by what the choice depends on."""
    finals = {each.name: [final for run in runs if (final := run.final(each)) is not None] for each in selection}
    medians = {name: median(values) if values else math.nan for name, values in finals.items()}
    return Candidate(lr, sum(run.status != FINISHED for run in runs), medians)


def _run_all(assignments: list[tuple[str, Assignment]], jobs: int, progress: Callable[[str], None]) -> list[Run]:
    if jobs == 1:
        runs = []
        for label, assignment in assignments:
            runs.append(train(assignment))
            progress(label)
        return runs
    # Spawned, because a forked copy of threads and locks (BLAS, a CUDA context) may hang.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(train, assignment): label for label, assignment in assignments}
        try:
            for future in as_completed(futures):
                future.result()
                progress(futures[future])
        except BrokenProcessPool as error:
            raise OptregError(
                "a process of the comparison ended unexpectedly (perhaps for lack of memory); try fewer jobs"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]


def versions(contestants: Iterable[Contestant]) -> dict[str, str]:
    """What the numbers may depend on: the packages that the contestants come from, and those below."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for contestant in contestants:
        offered = info(contestant.name)
        if offered.distribution is not None and offered.version is not None:
            found[offered.distribution] = offered.version
    for package in ("numpy", "scikit-learn", "matplotlib"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
