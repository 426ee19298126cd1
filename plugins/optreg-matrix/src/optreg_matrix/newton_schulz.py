"""Newton–Schulz: the nearest matrix with orthonormal rows or columns, nearly, by matrix products alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

Coefficients: TypeAlias = tuple[float, float, float]
"""a, b and c of a step x ← a·x + b·(x·xᵀ)·x + c·(x·xᵀ)²·x."""


def orthogonalized(matrix: Any, steps: Sequence[Coefficients], eps: float) -> Any:
    """The matrix U·S·Vᵀ with other singular values: each step puts s ← a·s + b·s³ + c·s⁵, from s / (‖S‖ + eps).

    Args:
        matrix: of real or complex numbers, on any device; it is not changed.
        steps: the coefficients of each step.
        eps: keeps a matrix of zeros from division by zero.

    Returns:
        A new matrix.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalized(matrix.T, steps, eps).T
    x = matrix / (np.linalg.norm(matrix) + eps)
    for a, b, c in steps:
        gram = x @ x.conj().T  # NumPy computes the half of such a product and mirrors it
        polynomial = c * (gram @ gram.conj().T) + b * gram
        polynomial.reshape(-1)[:: len(gram) + 1] += a  # the diagonal
        x = polynomial @ x
    return x
