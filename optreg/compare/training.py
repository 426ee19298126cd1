"""One training run: an optimizer, a task, a seed; and what was measured on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from time import perf_counter

import attrs
import numpy as np

from optreg.compare.experiment import Assignment, problem
from optreg.compare.extras import needed
from optreg.compare.task import Measure, Task
from optreg.registry import create

FINISHED, DIVERGED, FAILED = "finished", "diverged", "failed"


@attrs.frozen
class Run:
    """What came of one assignment.

    ``curve`` holds columns of equal length: ``step``, ``seconds`` (of updates so far) and each measure of
    the task. The last row of a run that diverged holds NaN.
    """

    seed: int
    status: str
    curve: dict[str, list[float]]
    reason: str = ""

    def values(self, measure: Measure) -> list[float]:
        """The finite values of a measure, in order."""
        return [value for value in self.curve.get(measure.name, ()) if math.isfinite(value)]

    def final(self, measure: Measure) -> float | None:
        """The value after the last step; None unless the run finished."""
        return self.curve[measure.name][-1] if self.status == FINISHED else None

    def best(self, measure: Measure) -> float | None:
        """The best value at any evaluation."""
        values = self.values(measure)
        return measure.at_best(values) if values else None

    def first(self, column: str, measure: Measure, target: float) -> float | None:
        """The step or second at which the measure reached the target; None if it never did."""
        pairs = zip(self.curve[column], self.curve.get(measure.name, ()), strict=False)
        return next((at for at, value in pairs if measure.reaches(value, target)), None)


def train(assignment: Assignment) -> Run:
    """Run one assignment. An optimizer that raises makes a failed run, not an end of the comparison."""
    task = problem(assignment.task)
    curve: dict[str, list[float]] = {"step": [], "seconds": []}
    # One thread: the matrices are small, and results must not depend on how many runs share the machine.
    with np.errstate(all="ignore"), needed("threadpoolctl").threadpool_limits(1, user_api="blas"):
        try:
            status = _train(assignment, task, curve)
        except Exception as error:
            return Run(assignment.seed, FAILED, curve, reason=f"{type(error).__name__}: {error}")
    return Run(assignment.seed, status, curve)


def _train(assignment: Assignment, task: Task, curve: dict[str, list[float]]) -> str:
    """Fill in the curve as the run goes on; return how it ended."""
    optimizer = create(assignment.optimizer, **assignment.hyperparameters)
    parameters = task.initial_parameters(assignment.seed)
    optimizer.setup(parameters)
    batches = task.batches(assignment.seed, assignment.batch_size)
    epoch_length = task.epoch_length(assignment.batch_size)
    stretch = math.ceil(assignment.steps / task.evaluations)
    step, seconds, loss = 0, 0.0, 0.0
    _note(curve, step, seconds, task.measure(parameters))
    while step < assignment.steps:
        ahead = list(islice(batches, min(stretch, assignment.steps - step)))
        start = perf_counter()
        for batch in ahead:
            loss = optimizer.update(task.loss_and_gradients, parameters, batch)
            step += 1
            if not math.isfinite(loss):
                break
            if step % epoch_length == 0 and hasattr(optimizer, "new_epoch"):
                optimizer.new_epoch()
        seconds += perf_counter() - start
        measures = task.measure(parameters)
        if not (math.isfinite(loss) and math.isfinite(measures[task.loss.name])):
            _note(curve, step, seconds, dict.fromkeys(measures, math.nan))
            return DIVERGED
        _note(curve, step, seconds, measures)
    return FINISHED


def _note(curve: dict[str, list[float]], step: int, seconds: float, measures: Mapping[str, float]) -> None:
    for column, value in {"step": step, "seconds": seconds, **measures}.items():
        # Digits beyond float32's would double the size of the record.
        curve.setdefault(column, []).append(value if isinstance(value, int) else float(f"{value:.8g}"))
