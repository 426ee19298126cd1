"""One training run: an optimizer, a task, a seed; and what was measured on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import islice, pairwise
from time import perf_counter
from typing import Any

import attrs
import numpy as np

from optreg.base import Optimizer
from optreg.compare.experiment import Assignment, problem
from optreg.compare.extras import needed
from optreg.compare.task import Measure, Parameters, Task
from optreg.registry import create
from optreg.signatures import values_of

FINISHED, DIVERGED, FAILED = "finished", "diverged", "failed"


@attrs.frozen
class Run:
    """What came of one assignment.

    ``curve`` holds columns of equal length: ``step``, ``seconds`` (of updates so far) and each measure of
    the task. The last row of a run that diverged holds NaN. ``gradients`` is how often the loss was evaluated.
    """

    seed: int
    status: str
    curve: dict[str, list[float]]
    gradients: int
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

    def seconds_per_step(self) -> float | None:
        """The time of a step, loss and gradients included, in the fastest of the stretches between measurements.

        The fastest, because in the first one a kernel may be compiled, and in any other the machine may be busy.
        """
        rows = zip(self.curve["step"], self.curve["seconds"], strict=True)
        return min(((end[1] - start[1]) / (end[0] - start[0]) for start, end in pairwise(rows)), default=None)

    def first(self, column: str, measure: Measure, target: float) -> float | None:
        """The step or second at which the measure reached the target; None if it never did."""
        pairs = zip(self.curve[column], self.curve.get(measure.name, ()), strict=False)
        return next((at for at, value in pairs if measure.reaches(value, target)), None)


def train(assignment: Assignment) -> Run:
    """Run one assignment. An optimizer that raises makes a failed run, not an end of the comparison."""
    task = problem(assignment.task)
    counted = _Counted(task)
    curve: dict[str, list[float]] = {"step": [], "seconds": []}
    # One thread: the matrices are small, and results must not depend on how many runs share the machine.
    with np.errstate(all="ignore"), needed("threadpoolctl").threadpool_limits(1, user_api="blas"):
        try:
            status = _train(assignment, task, counted, curve)
        except Exception as error:
            return Run(assignment.seed, FAILED, curve, counted.calls, reason=f"{type(error).__name__}: {error}")
    return Run(assignment.seed, status, curve, counted.calls)


class _Counted:
    """The loss function of a task, which counts how often it is asked."""

    def __init__(self, task: Task) -> None:
        self.calls = 0
        self._function = task.loss_and_gradients

    def __call__(self, parameters: Parameters, batch: Any) -> tuple[float, Parameters]:
        self.calls += 1
        return self._function(parameters, batch)


def _train(assignment: Assignment, task: Task, loss_function: _Counted, curve: dict[str, list[float]]) -> str:
    """Fill in the curve as the run goes on; return how it ended.

    It ends after so many steps or evaluations of the loss, whichever are made first: a method that evaluates the loss
    twenty times a step gets no more gradients than the others.
    """
    optimizer = create(assignment.optimizer, **assignment.hyperparameters)
    if values_of(optimizer).get("seed", 0) is None:  # what it draws is to be drawn again when the run is repeated
        optimizer = create(assignment.optimizer, **{**assignment.hyperparameters, "seed": assignment.seed})
    parameters = task.initial_parameters(assignment.seed)
    optimizer.setup(parameters)

    def measured() -> Mapping[str, float]:
        with optimizer.evaluation_weights() if isinstance(optimizer, Optimizer) else nullcontext():
            return task.measure(parameters)

    batches = task.batches(assignment.seed, assignment.batch_size)
    epoch_length = task.epoch_length(assignment.batch_size)
    stretch = math.ceil(assignment.steps / assignment.evaluations)
    step, seconds, loss = 0, 0.0, 0.0
    _note(curve, step, seconds, measured())
    ahead: list[Any] = []
    while step < assignment.steps and loss_function.calls < assignment.steps:
        wanted = min(stretch, assignment.steps - step)
        ahead += islice(batches, max(0, wanted - len(ahead)))
        limit = min(loss_function.calls + stretch, assignment.steps)
        first = step
        start = perf_counter()
        for batch in ahead[:wanted]:
            loss = optimizer.update(loss_function, parameters, batch)
            step += 1
            if not math.isfinite(loss):
                break
            if step % epoch_length == 0 and hasattr(optimizer, "new_epoch"):
                optimizer.new_epoch()
            if loss_function.calls >= limit:
                break
        seconds += perf_counter() - start
        del ahead[: step - first]
        measures = measured()
        if not (math.isfinite(loss) and math.isfinite(measures[task.loss.name])):
            _note(curve, step, seconds, dict.fromkeys(measures, math.nan))
            return DIVERGED
        _note(curve, step, seconds, measures)
    return FINISHED


def _note(curve: dict[str, list[float]], step: int, seconds: float, measures: Mapping[str, float]) -> None:
    for column, value in {"step": step, "seconds": seconds, **measures}.items():
        # Digits beyond float32's would double the size of the record.
        curve.setdefault(column, []).append(value if isinstance(value, int) else float(f"{value:.8g}"))
