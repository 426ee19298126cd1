"""Sums of squares of chunks of arrays, in an order of additions that NumPy and a compiled kernel can both follow."""

from __future__ import annotations

from array import array as table_of
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from optreg.backends.chunks import CHUNK, chunks_of
from optreg.backends.kernel_cache import Compilation
from optreg.backends.native import Kernel

LANES = 16
"""Sums that run side by side, as wide as the processor's registers are together."""

_TEMPLATE = """\
def squares(frame_, first, last):
    frame = int64_at(frame_)
    objects = int64_at(int64_at(frame[0])[3])
    chunks = int64_at(frame[1])
    sums = float64_at(frame[2])
    for chunk in range(first, last):
        begin = chunks[3 * chunk + 1]
        count = chunks[3 * chunk + 2] - begin
        array = {dtype}_at(int64_at(objects[chunks[3 * chunk]])[2] + begin * {itemsize})
{zeros}
        rows = count // {lanes}
        for row in range(rows):
            at = row * {lanes}
{adds}
        rest = count - rows * {lanes}
        at = rows * {lanes}
{tail}
{across}
        sums[chunk] = s0
    return 0
"""


def _source(dtype: np.dtype[Any]) -> str:
    def lines(pattern: str, spaces: int, count: int = LANES) -> str:
        return "\n".join(" " * spaces + pattern.format(lane=lane) for lane in range(count))

    add = "s{lane} += np.float64(array[at + {lane}]) * np.float64(array[at + {lane}])"
    halves, across = LANES // 2, []
    while halves:
        across += [f"        s{lane} = s{lane} + s{lane + halves}" for lane in range(halves)]
        halves //= 2
    return _TEMPLATE.format(
        dtype=dtype.name,
        itemsize=dtype.itemsize,
        lanes=LANES,
        zeros=lines("s{lane} = 0.0", 8),
        adds=lines(add, 12),
        tail=lines("if rest > {lane}: " + add, 8, LANES - 1),
        across="\n".join(across),
    )


@cache
def compilation(dtype: np.dtype[Any]) -> Compilation:
    """The kernel for arrays of a dtype."""
    return Compilation(_source(dtype))


def can_sum(array: np.ndarray[Any, Any]) -> bool:
    """Whether a kernel can read the array."""
    flags = array.flags
    plain = type(array) is np.ndarray and array.dtype in (np.float32, np.float64) and array.dtype.isnative
    return plain and bool(flags.forc) and bool(flags.aligned)


def sums(kernel: Kernel, arrays: Sequence[np.ndarray[Any, Any]]) -> list[float]:
    """The sum of squares of each chunk of arrays of one dtype, array by array."""
    chunks = chunks_of(tuple([array.size for array in arrays]))
    found = table_of("d", bytes(8 * len(chunks)))
    objects = list(arrays)
    frame = table_of("q", [id(objects), chunks.address, found.buffer_info()[0]])
    chunks.run(kernel, frame.buffer_info()[0])
    return found.tolist()


__all__ = ["CHUNK", "LANES", "can_sum", "compilation", "sums"]
