"""Sums of squares of chunks of arrays, in an order of additions that NumPy and a compiled kernel can both follow."""

from __future__ import annotations

from array import array as table_of
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from optreg.backends.array_check import ALIGNED, CONTIGUOUS, dtype_word
from optreg.backends.chunks import CHUNK, chunks_of
from optreg.backends.kernel_cache import Compilation
from optreg.backends.kernel_source import loaded, pointer
from optreg.backends.native import Kernel

LANES = 16
"""Sums that run side by side, as wide as the processor's registers are together."""

_TEMPLATE = """\
def squares(frame_, first, last):
    frame = int64_at(frame_)
    objects = int64_at(int64_at(frame[0])[3])
    chunks = int64_at(frame[1])
    for chunk in range(first, last):
        begin = chunks[3 * chunk + 1]
        count = chunks[3 * chunk + 2] - begin
        address = int64_at(objects[chunks[3 * chunk]])[2] + begin * {itemsize}
        sums = float64_at(frame[2] + {lanes} * 8 * chunk)
        rows = count // {lanes}
        add_squares_of_{dtype}(address, rows, {lanes}, frame[2] + {lanes} * 8 * chunk)
        rest = {pointer}(address + rows * {lanes} * {itemsize})
        for lane in range(count - rows * {lanes}):
            number = np.float64({element})
            sums[lane] += number * number
        halves = {lanes} // 2
        while halves:
            for lane in range(halves):
                sums[lane] += sums[lane + halves]
            halves //= 2
    return 0
"""


@cache
def compilation(dtype: np.dtype[Any]) -> Compilation:
    """The kernel for arrays of a dtype."""
    name, element = dtype.name, loaded("rest[lane]", dtype.name)
    text = _TEMPLATE.format(dtype=name, pointer=pointer(name), element=element, itemsize=dtype.itemsize, lanes=LANES)
    return Compilation(text)


_SURVEY = f"""\
def survey(frame_, first, last):
    frame = int64_at(frame_)
    objects = int64_at(int64_at(frame[0])[3])
    sizes = int64_at(frame[1])
    kinds = int64_at(frame[2])
    for array in range(first, last):
        words = int64_at(objects[array])
        kinds[array] = 0
        if words[1] == frame[3]:
            flags = int32_at(objects[array] + 64)[0]
            if flags & {ALIGNED} and flags & {CONTIGUOUS}:
                dtype = int64_at(words[7])[3]
                lengths = int64_at(words[4])
                elements = 1
                for axis in range(int32_at(objects[array] + 24)[0]):
                    elements *= lengths[axis]
                for kind in range(5):
                    if dtype == frame[4 + kind]:
                        kinds[array] = 1 + kind % 3
                        sizes[array] = elements if kind < 3 else 2 * elements
    return 0
"""

SURVEY = Compilation(_SURVEY, brief=True)
"""The kernel that says of arrays whether a kernel can add them up, and as how many numbers."""

DTYPES = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16)
"""Those that kernels are there for; complex numbers are pairs of the first two."""

_WORDS = [dtype_word(np.dtype(kind)) for kind in ("f4", "f8", "f2", "c8", "c16")]


def surveyed(survey: Kernel, arrays: Sequence[Any]) -> tuple[table_of[int], table_of[int]]:
    """Of each array what its dtype is, as a place in ``DTYPES`` from 1, or 0 if no kernel can read it; and its size."""
    objects, nothing = list(arrays), bytes(8 * len(arrays))
    kinds, sizes = table_of("q", nothing), table_of("q", nothing)
    tables = [id(objects), sizes.buffer_info()[0], kinds.buffer_info()[0], id(np.ndarray), *_WORDS]
    frame = table_of("q", tables)
    survey(frame.buffer_info()[0], 0, len(objects))
    return kinds, sizes


def sums(kernel: Kernel, arrays: Sequence[np.ndarray[Any, Any]], sizes: Sequence[int]) -> list[float]:
    """The sum of squares of each chunk of arrays of one dtype, array by array."""
    chunks = chunks_of(tuple(sizes))
    objects, found = list(arrays), table_of("d", bytes(8 * LANES * len(chunks)))
    frame = table_of("q", [id(objects), chunks.address, found.buffer_info()[0]])
    chunks.run(kernel, frame.buffer_info()[0])
    return found[::LANES].tolist()


__all__ = ["CHUNK", "DTYPES", "LANES", "SURVEY", "compilation", "sums", "surveyed"]
