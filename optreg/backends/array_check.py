"""Whether the arrays of a step are as they were, and where they lie: asked of NumPy's own objects, in machine code.

For a thousand small tensors, asking each array in Python for its shape, dtype, flags and address would take longer than
the step itself. What is read is the beginning of ``PyArrayObject``, which is part of NumPy's stable binary interface,
of its dtypes, and of Python's lists; :func:`layout_is_known` compares it with what Python says before it is relied on.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from optreg.arrays import Array

ALIGNED = 0x100
WRITEABLE = 0x400

ADDRESSES, GROUPS, SCALARS, NUMBERS, CHUNKS, RESULTS = range(6)
"""The places in a frame of what kernels read. A frame is a table of addresses and numbers, all of them int64."""

LISTS, WIDTH, COLUMNS, DTYPES, NEEDS, SHAPES, AXES, LAYOUTS, ARRAY, WRITTEN, FRESH, MASK, MISFIT = range(6, 19)
"""The places of what only ``check`` reads."""
FRAME = 19

ONE_NUMBER = {"float32": 1, "float64": 2, "int64": 3}
"""How ``needs`` says that an array is one number for the whole tensor, by its dtype."""

_FIND = """\
{indent}spot = ((address * -7046029254386353131) >> 40) & mask
{indent}while {table}[spot] != 0 and {table}[spot] != address:
{indent}    spot = (spot + 1) & mask
{indent}if {table}[spot] == address:
{indent}    frame[{MISFIT}] = tensor
{indent}    return 0
"""

_CHECK = """\
def check(frame_, first, last):
    frame = int64_at(frame_)
    addresses = int64_at(frame[{ADDRESSES}])
    numbers = float64_at(frame[{NUMBERS}])
    lists = int64_at(frame[{LISTS}])
    dtypes = int64_at(frame[{DTYPES}])
    needs = int64_at(frame[{NEEDS}])
    shapes = int64_at(frame[{SHAPES}])
    layouts = int64_at(frame[{LAYOUTS}])
    written = int64_at(frame[{WRITTEN}])
    fresh = int64_at(frame[{FRESH}])
    width = frame[{WIDTH}]
    columns = frame[{COLUMNS}]
    axes = frame[{AXES}]
    ndarray = frame[{ARRAY}]
    mask = frame[{MASK}]
    changes_gradients = frame[{FRESH}] != 0
    frame[{MISFIT}] = -1
    if changes_gradients:
        for spot in range(mask + 1):
            fresh[spot] = 0
    for turn in range(width):
        array = 1 if turn == width - 1 else (0 if turn == 0 else turn + 1)
        objects = int64_at(int64_at(lists[array])[3])
        flags_needed = needs[2 * array]
        number = needs[2 * array + 1]
        for tensor in range(first, last):
            words = int64_at(objects[tensor])
            flags = int32_at(objects[tensor] + 64)[0]
            known = words[1] == ndarray and (
                words[7] == dtypes[2 * array] or int64_at(words[7])[3] == dtypes[2 * array + 1]
            )
            if not known or flags & flags_needed != flags_needed:
                frame[{MISFIT}] = tensor
                return 0
            shape = tensor * (axes + 1)
            address = words[2]
            place = tensor * width + array
            dimensions = int32_at(objects[tensor] + 24)[0]
            if number:
                if dimensions != 0:
                    frame[{MISFIT}] = tensor
                    return 0
                if number == 1:
                    numbers[tensor * columns + array] = np.float64(float32_at(address)[0])
                elif number == 2:
                    numbers[tensor * columns + array] = float64_at(address)[0]
                else:
                    numbers[tensor * columns + array] = np.float64(int64_at(address)[0])
            else:
                if dimensions != shapes[shape]:
                    frame[{MISFIT}] = tensor
                    return 0
                lengths = int64_at(words[4])
                elements = 1
                for axis in range(dimensions):
                    elements *= lengths[axis]
                    if lengths[axis] != shapes[shape + 1 + axis]:
                        frame[{MISFIT}] = tensor
                        return 0
                layouts[tensor] = (3 if turn == 0 else layouts[tensor]) & flags
                if layouts[tensor] == 0:
                    frame[{MISFIT}] = tensor
                    return 0
                if elements == 0:
                    addresses[place] = address
                    continue
            if array == 1:
{find_gradient}\
                if changes_gradients:
{find_fresh}\
                    fresh[spot] = address
                addresses[place] = address
            elif addresses[place] != address:
                if addresses[place] != 0:
                    frame[{MISFIT}] = tensor
                    return 0
{find_written}\
                written[spot] = address
                addresses[place] = address
    return 0
"""


_PLACES = {
    "ADDRESSES": ADDRESSES, "NUMBERS": NUMBERS, "LISTS": LISTS, "WIDTH": WIDTH, "COLUMNS": COLUMNS, "DTYPES": DTYPES,
    "NEEDS": NEEDS, "SHAPES": SHAPES, "AXES": AXES, "LAYOUTS": LAYOUTS, "ARRAY": ARRAY, "WRITTEN": WRITTEN,
    "FRESH": FRESH, "MASK": MASK, "MISFIT": MISFIT,
}  # fmt: skip

CHECK_SOURCE = _CHECK.format(
    find_gradient=_FIND.format(indent=" " * 16, table="written", **_PLACES),
    find_fresh=_FIND.format(indent=" " * 20, table="fresh", **_PLACES),
    find_written=_FIND.format(indent=" " * 16, table="written", **_PLACES),
    **_PLACES,
)
"""``check`` fills the addresses and numbers of tensors from the lists that hold their arrays, list by list.

``frame[MISFIT]`` is -1 then, or a tensor with an array that is not as expected: of another class, dtype, shape or
layout, not at the place where it was (but for gradients, which lie anywhere), or at the place of another array that the
kernel changes, for which there are two hash tables.
"""


@cache
def layout_is_known() -> bool:
    """Whether arrays lie in memory as ``check`` reads them: not so in a build of Python without the global lock."""
    arrays: list[Array] = [np.zeros((3, 5), np.float32)[:, :4], np.zeros(7), np.ones((2, 0, 1), np.complex64).T]
    return _list_is_known(arrays) and all(map(_array_is_known, arrays))


def _list_is_known(objects: Sequence[object]) -> bool:
    words = (ctypes.c_int64 * 4).from_address(id(objects))
    if words[1] != id(list) or words[2] != len(objects):
        return False
    return (ctypes.c_int64 * len(objects)).from_address(words[3])[:] == list(map(id, objects))


def _array_is_known(array: Array) -> bool:
    words = (ctypes.c_int64 * 9).from_address(id(array))
    if words[1] != id(np.ndarray) or words[2] != array.ctypes.data or words[7] != id(array.dtype):
        return False
    if words[3] & 0xFFFFFFFF != array.ndim or words[8] & 0x7FFFFFFF != array.flags.num & 0x7FFFFFFF:
        return False
    if (ctypes.c_int64 * array.ndim).from_address(words[4])[:] != list(array.shape):
        return False
    kind = dtype_word(array.dtype).to_bytes(8, "little", signed=True)
    return kind[:3] == f"{array.dtype.kind}{array.dtype.char}=".encode() and kind[4] == array.dtype.num


def dtype_word(dtype: np.dtype[Any]) -> int:
    """What of a dtype tells it from others: its letters, its byte order and its number, as they lie in memory."""
    return (ctypes.c_int64 * 4).from_address(id(dtype))[3]
