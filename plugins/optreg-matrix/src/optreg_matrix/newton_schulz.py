"""Newton–Schulz: a matrix with the same singular vectors and other singular values, by matrix products alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from optreg.errors import HyperparameterError

Coefficients: TypeAlias = tuple[float, float, float]
"""a, b and c of a step that makes each singular value s into a·s + b·s³ + c·s⁵."""

QUINTIC: Coefficients = (3.4445, -4.7750, 2.0315)
"""Jordan's, as steep at zero as may be: after five of these, singular values lie between 0.7 and 1.2."""

EPS = 1e-7
"""What Jordan adds to the norm."""

GROWTH = 30_000.0
"""How much rounding errors may grow before a Gram matrix is computed anew; in float32, less than 1 % comes of it."""

BLOCK = 128
"""Rows that are multiplied at once where half of a product is enough: few enough to save, many enough to be fast."""


def orthogonalized(matrix: Any, steps: Sequence[Coefficients], eps: float) -> Any:
    """What becomes of a matrix divided by its norm plus ``eps``, after some Newton–Schulz steps.

    A step multiplies x by a polynomial of its Gram matrix, x·xᵀ, or xᵀ·x if that is smaller. If it is much smaller,
    what several steps multiply by is computed of that matrix alone: their polynomials commute.

    Args:
        matrix: of real or complex numbers, on any device; it is overwritten.
        steps: the coefficients of each step.
        eps: keeps a matrix of zeros from division by zero.

    Returns:
        A new matrix, or the given one.
    """
    short, long = sorted(matrix.shape)
    is_tall = matrix.shape[0] == long
    together = 5 * long > 7 * short  # from here on, this takes less time on processors
    x, spare = matrix, np.empty_like(matrix)
    x /= np.linalg.norm(x) + eps
    for part in _parts(steps) if together else ([step] for step in steps):
        gram = x.conj().T @ x if is_tall else x @ x.conj().T  # NumPy computes one half of it, and copies
        factor = _factor(gram, part)
        np.matmul(*((x, factor) if is_tall else (factor, x)), out=spare)
        x, spare = spare, x
    return x


def _factor(gram: Any, steps: Sequence[Coefficients]) -> Any:
    """What some steps together multiply a matrix with this Gram matrix by."""
    factor = None
    for number, (a, b, c) in enumerate(steps, 1):
        polynomial = _square(gram)
        polynomial *= c
        polynomial += b * gram
        polynomial.reshape(-1)[:: len(gram) + 1] += a  # the diagonal
        factor = polynomial if factor is None else _product(polynomial, factor)
        if number < len(steps):
            gram = _product(_square(polynomial), gram)
    return factor


def _square(hermitian: Any) -> Any:
    return hermitian @ hermitian.conj().T


def _product(a: Any, b: Any) -> Any:
    """The product of Hermitian matrices that commute, made exactly Hermitian, of blocks on and above the diagonal.

    What is not Hermitian of rounding errors would grow in the next steps.
    """
    result = np.empty_like(a)
    step = BLOCK if isinstance(a, np.ndarray) else len(a)
    for start in range(0, len(a), step):
        end = start + step
        np.matmul(a[start:end], b[:, start:], out=result[start:end, start:])
        corner = result[start:end, start:end]
        corner[...] = 0.5 * (corner + corner.conj().T)
        result[end:, start:end] = result[start:end, end:].conj().T
    return result


def _parts(steps: Sequence[Coefficients]) -> Iterator[list[Coefficients]]:
    """The steps in runs, in each of which rounding errors of the smallest singular values grow little enough."""
    part: list[Coefficients] = []
    growth = 1.0
    for step in steps:
        if growth > GROWTH:
            yield part
            part, growth = [], 1.0
        part.append(step)
        growth *= step[0] ** 2
    yield part


def coefficients(default: Coefficients | Sequence[Coefficients] = QUINTIC) -> Any:
    """Declare a hyperparameter that is the coefficients of all steps, or of each one."""
    return attrs.field(
        default=default,
        converter=_as_tuples,
        validator=_check,
        metadata={"doc": "three numbers for every Newton–Schulz step, or a list of three for each; its last stay"},
    )


def steps_of(given: Coefficients | Sequence[Coefficients], number: int) -> list[Coefficients]:
    """The coefficients of each of a number of steps."""
    each: Any = given if isinstance(given[0], tuple) else (given,)
    return [each[min(step, len(each) - 1)] for step in range(number)]


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, (list, tuple)) else value


def _check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    each = value if isinstance(value, tuple) and value and isinstance(value[0], tuple) else (value,)
    if not all(isinstance(step, tuple) and len(step) == 3 and all(map(_is_number, step)) for step in each):
        raise HyperparameterError(
            f"{type(instance).__name__}: {attribute.name} must be three numbers, or a list of three for each step, "
            f"but it is {value!r}"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
