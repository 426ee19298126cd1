"""A matrix for each axis of a tensor: how large they are, where they are kept, and their products with the tensor."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from optreg.errors import GradientError


def merged(shape: Sequence[int], limit: int) -> tuple[int, ...]:
    """The shape with neighbouring axes made one as long as they are no longer than ``limit`` together.

    >>> merged((64, 32, 3, 3), 1024)
    (64, 288)
    """
    lengths: list[int] = []
    run = 1
    for length in shape:
        if run * length <= limit:
            run *= length
        elif run > 1:
            lengths.append(run)
            run = length
        else:
            lengths.append(length)
    return (*lengths, run) if run > 1 or not lengths else tuple(lengths)


def unpacked(flat: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """Arrays of the shapes that lie behind each other in a flat one, as views."""
    ends = np.cumsum([prod(shape) for shape in shapes]).tolist()
    return [flat[end - prod(shape) : end].reshape(shape) for end, shape in zip(ends, shapes, strict=True)]


def size_of(shapes: Sequence[tuple[int, ...]]) -> int:
    """How long the flat array is."""
    return sum(map(prod, shapes))


def along(tensor: Any, matrices: Sequence[Any], *, transposed: bool = False) -> Any:
    """The tensor, multiplied along each axis by a matrix; a vector is the diagonal of one; None leaves the axis."""
    for matrix in matrices:  # each takes the first axis and leaves it as the last
        if matrix is None:
            tensor = np.moveaxis(tensor, 0, -1)
        elif matrix.ndim == 1:
            tensor = np.moveaxis(tensor, 0, -1) * matrix
        else:
            tensor = np.tensordot(tensor, matrix, axes=(0, 0 if transposed else 1))
    return tensor


def gram(tensor: Any, axis: int) -> Any:
    """The products of the tensor's slices across an axis with each other, a symmetric matrix."""
    slices = np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)
    return slices @ slices.T


def eigh(matrix: Any) -> tuple[Any, Any]:
    """The eigenvalues of a symmetric matrix in ascending order, and its eigenvectors as columns."""
    try:
        values, vectors = np.linalg.eigh(matrix)
    except np.linalg.LinAlgError as error:
        raise not_finite(matrix.shape) from error
    return values, vectors


def not_finite(shape: tuple[int, ...]) -> GradientError:
    """What to say where LAPACK gives up."""
    return GradientError(
        f"a matrix of the shape {shape} that was made of gradients cannot be decomposed, because it holds a NaN or an "
        f"infinity; add the hook skip_nonfinite, which leaves out the steps that bring such gradients"
    )
