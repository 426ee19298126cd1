"""Tasks of two parameters: surfaces on which an optimizer's path can be drawn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import repeat
from typing import Any, ClassVar

import numpy as np

from optreg.arrays import Array, array_module
from optreg.compare.task import Measure, Parameters, Task


class Surface(Task):
    """A function of two numbers, x and y, kept in one array; seed 0 starts where the literature does."""

    metric = Measure("loss")
    loss = metric
    selection = (metric,)
    steps = 2000
    seeds = 1
    batch_size = None
    evaluations = 2000

    start: ClassVar[tuple[float, float]]
    minimum: ClassVar[tuple[float, float]]
    view: ClassVar[tuple[tuple[float, float], tuple[float, float]]]
    """The part of the plane that a plot shows: the limits of x, the limits of y."""

    @abstractmethod
    def height(self, x: Array, y: Array) -> Array:
        """The loss at each point."""

    @abstractmethod
    def slope(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The derivatives of ``height`` by x and by y."""

    def initial_parameters(self, seed: int) -> Parameters:
        """The usual start under seed 0, a point near it under any other."""
        point = np.array(self.start)
        if seed:
            point += np.random.default_rng(seed).normal(scale=0.2, size=2)
        return {"point": point}

    def batches(self, seed: int, batch_size: int | None) -> Iterator[Any]:  # noqa: ARG002
        """Nothing, without end: the loss depends on the parameters alone."""
        return repeat(None)

    def epoch_length(self, batch_size: int | None) -> int:  # noqa: ARG002
        """One step."""
        return 1

    def loss_and_gradients(self, parameters: Parameters, batch: Any) -> tuple[float, Parameters]:  # noqa: ARG002
        """The height and the slope at the point."""
        point = parameters["point"]
        x, y = point[0], point[1]
        gradient = array_module(point).stack(self.slope(x, y))
        return float(self.height(x, y)), {"point": gradient}

    def measure(self, parameters: Parameters) -> dict[str, float]:
        """The loss and where the point is."""
        point = parameters["point"]
        return {"loss": float(self.height(point[0], point[1])), "x": float(point[0]), "y": float(point[1])}


class Rosenbrock(Surface):
    """A narrow curved valley: (1 − x)² + 100 (y − x²)² (Rosenbrock 1960)."""

    start = (-1.2, 1.0)
    minimum = (1.0, 1.0)
    view = ((-1.8, 1.8), (-0.8, 2.4))
    target = 1e-3

    def height(self, x: Array, y: Array) -> Array:
        """The loss at each point."""
        return (1 - x) ** 2 + 100 * (y - x**2) ** 2

    def slope(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The derivatives of ``height`` by x and by y."""
        above_valley = y - x**2
        return -2 * (1 - x) - 400 * x * above_valley, 200 * above_valley


class Beale(Surface):
    """A plateau with steep corners: Σ (cᵢ − x + x yⁱ)², c = 1.5, 2.25, 2.625 (Beale 1958)."""

    start = (1.0, 1.0)
    minimum = (3.0, 0.5)
    view = ((-0.5, 4.2), (-1.4, 1.6))
    target = 1e-3

    constants: ClassVar = (1.5, 2.25, 2.625)

    def height(self, x: Array, y: Array) -> Array:
        """The loss at each point."""
        return sum((c - x + x * y**i) ** 2 for i, c in enumerate(self.constants, start=1))

    def slope(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The derivatives of ``height`` by x and by y."""
        residuals = [(i, c - x + x * y**i) for i, c in enumerate(self.constants, start=1)]
        by_x = sum(2 * residual * (y**i - 1) for i, residual in residuals)
        by_y = sum(2 * residual * x * i * y ** (i - 1) for i, residual in residuals)
        return by_x, by_y
