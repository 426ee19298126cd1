"""Vectors that are made of one real array for each parameter, on whatever devices these are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from optreg.arrays import Array, array_module, device_of, real_elements, to_host

Vector: TypeAlias = list[Array]
"""Arrays that are one vector together; with a first axis more, they are the rows of a matrix."""


def parts_of(states: Iterable[Mapping[str, Any]], key: str) -> Vector:
    """The vector that states hold under a key; its arrays are views."""
    return [real_elements(state[key]) for state in states]


def row_of(rows: Vector, place: int) -> Vector:
    """One of the rows."""
    return [part[place, ...] for part in rows]


def copy_to(to: Vector, what: Vector, factor: float = 1.0) -> None:
    """Put a multiple of a vector into the arrays of another."""
    for left, right in zip(to, what, strict=True):
        with device_of(left):
            left[...] = factor * right


def add_to(to: Vector, factor: float, what: Vector) -> None:
    """Add a multiple of a vector to another, in place."""
    for left, right in zip(to, what, strict=True):
        with device_of(left):
            left[...] += factor * right


def add_rows_to(to: Vector, factors: np.ndarray[Any, Any], rows: Vector) -> None:
    """Add multiples of the first rows to a vector, in place."""
    for left, each in zip(to, rows, strict=True):
        with device_of(left):
            flat = each[: len(factors)].reshape(len(factors), left.size)
            left[...] += (array_module(left).asarray(factors, left.dtype) @ flat).reshape(left.shape)


def products(rows: Vector, count: int, vector: Vector) -> np.ndarray[Any, Any]:
    """The scalar products of the first rows with a vector."""
    total = np.zeros(count)
    for each, right in zip(rows, vector, strict=True):
        with device_of(right):
            total += to_host(each[:count].reshape(count, right.size) @ right.reshape(right.size))
    return total


def minus(one: Vector, other: Vector) -> Vector:
    """The difference of two vectors."""
    found = []
    for left, right in zip(one, other, strict=True):
        with device_of(left):
            found.append(left.copy())
            found[-1][...] -= right
    return found


def dot(one: Vector, other: Vector) -> float:
    """The scalar product, summed in float64."""
    total = 0.0
    for left, right in zip(one, other, strict=True):
        with device_of(left):
            total += float((left * right).sum(dtype=np.float64))
    return total


def size_of(vector: Vector) -> float:
    """The sum of the sizes of all elements."""
    total = 0.0
    for part in vector:
        with device_of(part):
            total += float(abs(part).sum(dtype=np.float64))
    return total


def largest(vector: Vector) -> float:
    """The size of the largest element; 0.0 if there is none."""
    found = 0.0
    for part in vector:
        with device_of(part):
            found = max(float(abs(part).max()), found) if part.size else found
    return found
