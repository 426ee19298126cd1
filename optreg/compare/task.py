"""What a task is: a problem that ``optreg compare`` trains with each optimizer.

A package offers one with ``TaskSpec("name", "module:Class", "summary")``; the class is a ``Task`` and is
called without arguments.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeAlias

import attrs

Parameters: TypeAlias = dict[str, Any]
"""Arrays by name, nested at will: what ``optimizer.setup()`` takes. Gradients have the same names."""


@attrs.frozen
class Measure:
    """A number that a task measures, by the name that tables and plots show."""

    name: str
    higher_is_better: bool = False

    def at_best(self, values: list[float]) -> float:
        """The best of ``values``."""
        return max(values) if self.higher_is_better else min(values)

    def reaches(self, value: float, target: float) -> bool:
        """Whether ``value`` is as good as ``target``."""
        return value >= target if self.higher_is_better else value <= target

    def rank(self, value: float) -> float:
        """A number to sort by, lowest first; a value that is not a number comes last."""
        if math.isnan(value):
            return math.inf
        return -value if self.higher_is_better else value


class Task(ABC):
    """A problem with its data, its loss and gradients, and what counts as success.

    ``initial_parameters`` and ``batches`` depend on nothing but their arguments, so that under one seed every
    optimizer starts from the same point and sees the same batches.
    """

    metric: ClassVar[Measure]
    """What the optimizers are compared by."""
    loss: ClassVar[Measure]
    """What a learning curve shows on a log scale; a run whose loss is not finite has diverged."""
    selection: ClassVar[tuple[Measure, ...]]
    """What a sweep chooses the learning rate by; the later ones decide ties. Never measured on test data."""
    target: ClassVar[float]
    """The value of ``metric`` that counts as reached."""
    steps: ClassVar[int]
    seeds: ClassVar[int]
    """How many steps and seeds a comparison has unless the user says otherwise."""
    batch_size: ClassVar[int | None]
    """The usual batch size; None for a problem without data."""
    evaluations: ClassVar[int]
    """About how many points a learning curve has."""

    @abstractmethod
    def initial_parameters(self, seed: int) -> Parameters:
        """New arrays to start from."""

    @abstractmethod
    def batches(self, seed: int, batch_size: int | None) -> Iterator[Any]:
        """Batches without end."""

    @abstractmethod
    def epoch_length(self, batch_size: int | None) -> int:
        """How many batches make an epoch."""

    @abstractmethod
    def loss_and_gradients(self, parameters: Parameters, batch: Any) -> tuple[float, Parameters]:
        """The loss on a batch, and its gradients under the names of the parameters."""

    @abstractmethod
    def measure(self, parameters: Parameters) -> Mapping[str, float]:
        """Every measure of the task at ``parameters``, by name."""
