"""What a comparison will run: every setting, checked and complete, before the first step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import attrs

from optreg.compare.contestants import Contestant, LeftOut, contestants, everyone
from optreg.compare.task import Task
from optreg.errors import ConfigError, PluginError
from optreg.registry import create
from optreg.registry import task as task_class

DECADES_EACH_WAY = 2

SWEEP_OF_ALL = 9
"""How many learning rates a comparison of everyone tries unless the user says otherwise: two a decade."""


@attrs.frozen
class Assignment:
    """One training run: everything that decides its outcome."""

    task: str
    optimizer: str
    hyperparameters: dict[str, Any]
    seed: int
    steps: int
    batch_size: int | None
    evaluations: int


@attrs.frozen
class Experiment:
    """A task, who takes part, and the same conditions for all of them."""

    task: str
    contestants: tuple[Contestant, ...]
    seeds: int
    steps: int
    batch_size: int | None
    target: float
    evaluations: int
    sweep: int | None = None
    lr_range: tuple[float, float] | None = None
    left_out: tuple[LeftOut, ...] = ()

    def learning_rates(self, contestant: Contestant) -> list[float | None]:
        """The rates to try, in order; None alone for the contestant's own (or where it has none)."""
        usual = contestant.usual_lr()
        if self.sweep is None or usual is None:
            return [None]
        reach = 10.0**DECADES_EACH_WAY
        low, high = self.lr_range or (usual / reach, usual * reach)
        if self.sweep == 1:
            return [_rounded(math.sqrt(low * high))]
        ratio = (high / low) ** (1 / (self.sweep - 1))
        return [_rounded(low * ratio**i) for i in range(self.sweep)]

    def assignments(self, contestant: Contestant, lr: float | None) -> list[Assignment]:
        """The runs of a contestant under one learning rate, a run for each seed."""
        values = contestant.with_lr(lr)
        return [
            Assignment(self.task, contestant.name, values, seed, self.steps, self.batch_size, self.evaluations)
            for seed in range(self.seeds)
        ]


def experiment(
    task: str,
    optimizers: Iterable[str],
    *,
    everybody: bool = False,
    packages: bool = False,
    lr: Iterable[str] = (),
    seeds: int | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    target: float | None = None,
    evaluations: int | None = None,
    sweep: int | None = None,
    lr_range: tuple[float, float] | None = None,
) -> Experiment:
    """Check what the user asked for and fill in the task's usual values; nothing has run yet.

    With ``everybody``, every built-in optimizer takes part, and with ``packages``, too, those of installed packages.
    """
    cls = class_of(task)
    for setting, value in (("seeds", seeds), ("steps", steps), ("epochs", epochs), ("sweep", sweep)):
        _check_at_least_one(setting, value)
    _check_at_least_one("batch-size", batch_size)
    _check_at_least_one("evaluations", evaluations)
    if steps is not None and epochs is not None:
        raise ConfigError("give either steps or epochs, not both")
    if cls.batch_size is None and (batch_size is not None or epochs is not None):
        raise ConfigError(f"the task {task!r} has no data, hence no batches and epochs; give steps instead")
    if target is not None and not math.isfinite(target):
        raise ConfigError(f"the target must be a finite number, but it is {target}")
    if lr_range is not None:
        if sweep is None and not everybody:
            raise ConfigError("lr-range says where a sweep looks for learning rates; give sweep, too")
        low, high = lr_range
        if not 0 < low < high < math.inf:
            raise ConfigError(f"lr-range must be two numbers, 0 < LOW < HIGH, but it is {low:g} {high:g}")
    entries, left_out = _entries(tuple(optimizers), lr, everybody, packages)
    batch_size = cls.batch_size if batch_size is None else batch_size
    if epochs is not None:
        steps = epochs * problem(task).epoch_length(batch_size)
    if everybody and sweep is None:
        sweep = SWEEP_OF_ALL
    complete = Experiment(
        task=task,
        contestants=entries,
        seeds=cls.seeds if seeds is None else seeds,
        steps=cls.steps if steps is None else steps,
        batch_size=batch_size,
        target=cls.target if target is None else target,
        evaluations=cls.evaluations if evaluations is None else evaluations,
        sweep=sweep,
        lr_range=lr_range,
        left_out=left_out,
    )
    for contestant in entries:
        for rate in complete.learning_rates(contestant):
            create(contestant.name, **contestant.with_lr(rate))
    return complete


def _entries(
    optimizers: tuple[str, ...], lr: Iterable[str], everybody: bool, packages: bool
) -> tuple[tuple[Contestant, ...], tuple[LeftOut, ...]]:
    """Who takes part, and who was to and cannot."""
    if everybody:
        if optimizers or tuple(lr):
            raise ConfigError("give either names of optimizers, with rates if you like, or all, not both")
        return everyone(packages)
    if packages:
        raise ConfigError("packages says who takes part beside all built-in optimizers; give all, too")
    entries = contestants(optimizers, lr)
    if not entries:
        raise ConfigError("name at least one optimizer to compare; `optreg list` shows which there are")
    return entries, ()


def problem(task: str) -> Task:
    """The task of that name, its data loaded once in a process."""
    cls = class_of(task)
    if cls not in _problems:
        _problems[cls] = cls()
    return _problems[cls]


_problems: dict[type[Task], Task] = {}


def class_of(task: str) -> type[Task]:
    """The class of a task, if it is one."""
    cls = task_class(task)
    if not (isinstance(cls, type) and issubclass(cls, Task)):
        raise PluginError(
            f"the task {task!r} is declared as {cls!r}, which is not a subclass of optreg.compare.task.Task"
        )
    return cls


def _check_at_least_one(setting: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise ConfigError(f"{setting} must be at least 1, but it is {value}")


def _rounded(lr: float) -> float:
    """Four digits, so that the rate that a table shows is the rate that ran."""
    return float(f"{lr:.4g}")
