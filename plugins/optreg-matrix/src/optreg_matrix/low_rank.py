"""What GaLore and APOLLO share: a matrix from one side, multiplied by a few columns, and Adam on what is left."""

from __future__ import annotations

from math import prod
from typing import Any, Protocol

import numpy as np

from optreg.hyperparameters import choice


class Adam(Protocol):
    """What is read of a method here."""

    lr: float
    beta1: float
    beta2: float
    eps: float


def which_side() -> Any:
    """Declare which side of a matrix is made small."""
    return choice(
        "std", ("std", "reverse_std", "left", "right"), "the side to be made small: the shorter one, or another"
    )


def is_turned(shape: tuple[int, ...], side: str) -> bool:
    """Whether a matrix is transposed so that what is on its right is the side to be made small."""
    rows, columns = shape
    return {"left": True, "right": False, "std": rows < columns, "reverse_std": rows >= columns}[side]


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """The shape that ``as_matrix`` gives to an array of a shape."""
    return shape[0], prod(shape[1:])


def low_rank_shapes(shape: tuple[int, ...], side: str, rank: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The shapes of the projection from the right, and of what it makes of a matrix of a shape."""
    rows, columns = shape[::-1] if is_turned(shape, side) else shape
    rank = min(rank, rows, columns)
    return (columns, rank), (rows, rank)


def direction(method: Adam, low: Any, m: Any, v: Any) -> Any:
    """Move the averages of a gradient and its square on by a step, and divide the one by the root of the other."""
    m *= method.beta1
    m += (1 - method.beta1) * low
    v *= method.beta2
    v += (1 - method.beta2) * low * low
    return m / (np.sqrt(v) + method.eps)


def corrected_rate(method: Adam, t: int) -> float:
    """``lr``, with the corrections of both averages for their start at zero."""
    return float(method.lr * (1 - method.beta2**t) ** 0.5 / (1 - method.beta1**t))
