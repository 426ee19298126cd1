"""The norm of all gradients together: one read of them, with the same bits from NumPy and from compiled kernels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from optreg.arrays import Array, real_elements, to_host
from optreg.backends import current_backend
from optreg.backends.device_survey import SQUARES, Survey
from optreg.backends.squares import CHUNK, LANES


def global_norm(gradients: Iterable[Array | None]) -> float:
    """The L2 norm of all gradients together, as a float on the host.

    The squares are summed in float64, in an order that depends on the sizes of the arrays alone. Synchronizes with
    every device that holds a gradient. A gradient that is None counts as zeros.
    """
    arrays = [gradient for gradient in gradients if gradient is not None]
    sums_of_squares = getattr(current_backend(), "sums_of_squares", None)
    sums, left = ([], arrays) if sums_of_squares is None else sums_of_squares(arrays)
    for array in left:
        if isinstance(array, np.ndarray):
            sums.extend(_sums_of_squares(real_elements(array)))
    on_devices = [array for array in left if not isinstance(array, np.ndarray) and array.size]
    for device in {array.data.device_id for array in on_devices}:
        on_device = [array for array in on_devices if array.data.device_id == device]
        sums.append(float(to_host(Survey(SQUARES, device).run(on_device))[0]))
    # fsum rounds once, so that the order of the chunks does not matter; it has no answer for infinities.
    return math.sqrt(math.fsum(sums) if all(map(math.isfinite, sums)) else sum(sums))


def _sums_of_squares(array: np.ndarray[Any, Any]) -> Iterator[float]:
    """The sum of squares of each chunk: in lanes, from the first element to the last, then across the lanes."""
    flat = array.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):
        for begin in range(0, flat.size, CHUNK):
            squares = np.square(flat[begin : begin + CHUNK], dtype=np.float64)
            rows = squares.size // LANES
            lanes = squares[: rows * LANES].reshape(rows, LANES).sum(axis=0)
            rest = squares[rows * LANES :]
            lanes[: rest.size] += rest
            while lanes.size > 1:
                lanes = lanes[: lanes.size // 2] + lanes[lanes.size // 2 :]
            yield float(lanes[0])
