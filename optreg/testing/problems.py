"""What optimizers are given to work on: small problems whose gradients are known, and what is left when they have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
Contents: TypeAlias = dict[str, Array]
"""Copies of the step count, the parameters and the states, by a name for messages."""

SHAPES: Mapping[str, tuple[int, ...]] = {"W": (4, 3), "b": (3,)}


class Problem:
    """½·Σ c·(p − a)² + Σ n·(p − a), where the numbers n are others for each batch.

    The gradient, c·(p − a) + n, belongs to the loss, so that line searches work.

    Args:
        shapes: of the parameters, by name.
        dtype: of the parameters.
        seed: of all numbers.
        scale: of the parameters, and of their distance from the minimum.
        xp: the module whose arrays the parameters are.

    Attributes:
        arrays: the parameters, for ``setup()``; arrays that are added or replaced are taken as they are.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]] = SHAPES,
        dtype: Any = np.float64,
        seed: int = 0,
        scale: float = 1.0,
        xp: Any = np,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.arrays: dict[str, Any] = {
            name: xp.array(scale * rng.normal(size=shape), dtype) for name, shape in shapes.items()
        }
        self._xp = xp
        self._seed = seed
        self._scale = scale

    def loss(self, batch: int) -> tuple[float, dict[str, Array]]:
        """The loss, and the gradients by path."""
        total, gradients = 0.0, {}
        for position, (name, array) in enumerate(self.arrays.items()):
            c, a, n = self._numbers(position, batch, array)
            gradients[f"/{name}"] = self._xp.asarray(c * (array - a) + n, array.dtype)
            total += float((c / 2 * (array - a) ** 2 + n * (array - a)).sum())
        return total, gradients

    def _numbers(self, position: int, batch: int, array: Array) -> list[Array]:
        fixed = np.random.default_rng([self._seed, position, 1])
        c = fixed.uniform(0.5, 2.0, size=array.shape)
        a = self._scale * fixed.normal(size=array.shape)
        n = 0.3 * self._scale * np.random.default_rng([self._seed, position, 2, batch]).normal(size=array.shape)
        return [self._xp.asarray(each, array.dtype) for each in (c, a, n)]

    def run(self, optimizer: Any, batches: Iterable[int]) -> Any:
        """Make a step with each batch; returns the optimizer."""
        for batch in batches:
            optimizer.update(self.loss, batch)
        return optimizer


class Collector:
    """A serializer of Chainer's kind that keeps what it is given, by path."""

    def __init__(self, into: dict[str, Any], path: str = "") -> None:
        self._into = into
        self._path = path

    def __getitem__(self, name: str) -> Collector:
        return Collector(self._into, f"{self._path}{name.rstrip('/')} ")

    def __call__(self, key: str, value: Any) -> Any:
        self._into[self._path + key] = value
        return value

    def save(self, value: Any) -> None:
        """What tells a serializer from a deserializer; nothing is left to be done."""


class Giver:
    """A deserializer of Chainer's kind, which gives back what a :class:`Collector` kept."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    def __getitem__(self, name: str) -> Giver:
        return Giver(self._values, f"{self._path}{name.rstrip('/')} ")

    def __call__(self, key: str, value: Any) -> Any:
        found = self._values[self._path + key]
        if isinstance(value, np.ndarray):
            value[...] = found
            return value
        return found


def states_of(optimizer: Any) -> dict[str, Any]:
    """The step count, the epoch and the states, as they are, by path and name."""
    values: dict[str, Any] = {}
    optimizer.serialize(Collector(values))
    return values


def contents_of(optimizer: Any) -> Contents:
    """Copies of everything that the optimizer changes."""
    parameters = {f"parameter {name}": parameter.data for name, parameter in optimizer.target.namedparams()}
    values = {f"state {name}": value for name, value in states_of(optimizer).items()}
    return {name: on_host(value) for name, value in (parameters | values).items()}


def on_host(array: Any) -> np.ndarray[Any, Any]:
    """A copy as a NumPy array, of a NumPy or a CuPy array, or of a number."""
    return np.array(array.get() if hasattr(array, "get") else array)


def differing(expected: Contents, found: Contents, rtol: float = 0.0) -> list[str]:
    """The names under which two contents differ: in their bits, or by more than ``rtol`` of the largest number."""
    names = [*expected, *(name for name in found if name not in expected)]
    return [
        name
        for name in names
        if name not in expected or name not in found or _differ(expected[name], found[name], rtol)
    ]


def _differ(expected: Array, found: Array, rtol: float) -> bool:
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return True
    if expected.dtype.kind not in "fc":
        return not np.array_equal(expected, found)
    if not rtol:
        return not (np.array_equal(expected, found, equal_nan=True) and _signs(expected) == _signs(found))
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    return not np.allclose(found, expected, rtol=0, atol=rtol * float(scale), equal_nan=True)


def _signs(array: Array) -> bytes:
    """The signs of the numbers, in which zeros differ that compare equal."""
    plain: bytes = np.signbit(np.where(np.isnan(array), 0, array).real).tobytes()
    return plain


def names_in(differences: Iterable[str]) -> str:
    """The first few of the names that differ, for a message."""
    listed = list(differences)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
