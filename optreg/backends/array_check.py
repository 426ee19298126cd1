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

CONTIGUOUS = 0x3
"""In the order of C, or of Fortran."""
ALIGNED = 0x100
WRITEABLE = 0x400

ADDRESSES, GROUPS, SCALARS, NUMBERS, CHUNKS, RESULTS = range(6)
"""The places in a frame of what kernels read. A frame is a table of addresses and numbers, all of them int64."""

LISTS, WIDTH, COLUMNS, DTYPES, NEEDS, SHAPES, AXES, LAYOUTS, ARRAY = range(6, 15)
WRITTEN, OWNERS, LOWEST, HIGHEST, MASK = range(15, 20)
CHANGES_GRADIENTS, FRESH, ROOTS, ENDS, FRESH_MASK, MISFIT = range(20, 26)
"""The places of what only ``check`` reads."""
FRAME = 26

ONE_NUMBER = {"float32": 1, "float64": 2, "int64": 3}
"""How ``needs`` says that an array is one number for the whole tensor, by its dtype."""

_CHECK = """\
def check(frame_, first, last):
    frame = int64_at(frame_)
    addresses = int64_at(frame[{ADDRESSES}])
    numbers = float64_at(frame[{NUMBERS}])
    lists = int64_at(int64_at(frame[{LISTS}])[3])
    dtypes = int64_at(frame[{DTYPES}])
    needs = int64_at(frame[{NEEDS}])
    shapes = int64_at(frame[{SHAPES}])
    layouts = int64_at(frame[{LAYOUTS}])
    written = int64_at(frame[{WRITTEN}])
    owners = int64_at(frame[{OWNERS}])
    lowest = int64_at(frame[{LOWEST}])
    highest = int64_at(frame[{HIGHEST}])
    fresh = int64_at(frame[{FRESH}])
    roots = int64_at(frame[{ROOTS}])
    ends = int64_at(frame[{ENDS}])
    width = frame[{WIDTH}]
    columns = frame[{COLUMNS}]
    axes = frame[{AXES}]
    ndarray = frame[{ARRAY}]
    mask = frame[{MASK}]
    fresh_mask = frame[{FRESH_MASK}]
    changes_gradients = frame[{CHANGES_GRADIENTS}]
    frame[{MISFIT}] = 0
    if changes_gradients:
        for place in range(fresh_mask + 1):
            fresh[place] = 0
            roots[place] = 0
    for turn in range(width):
        array = 1 if turn == width - 1 else (0 if turn == 0 else turn + 1)
        objects = int64_at(int64_at(lists[array])[3])
        flags_needed = needs[2 * array]
        number = needs[2 * array + 1]
        for tensor in range(first, last):
            words = int64_at(objects[tensor])
            if words[1] != ndarray:
                frame[{MISFIT}] = 1
                return 0
            flags = int32_at(objects[tensor] + 64)[0]
            same_dtype = words[7] == dtypes[3 * array] or int64_at(words[7])[3] == dtypes[3 * array + 1]
            if not same_dtype or flags & flags_needed != flags_needed:
                frame[{MISFIT}] = 1
                return 0
            address = words[2]
            known = tensor * width + array
            shape = tensor * (axes + 1)
            dimensions = int32_at(objects[tensor] + 24)[0]
            elements = 1
            if number:
                if dimensions != 0:
                    frame[{MISFIT}] = 1
                    return 0
                if number == 1:
                    numbers[tensor * columns + array] = np.float64(float32_at(address)[0])
                elif number == 2:
                    numbers[tensor * columns + array] = float64_at(address)[0]
                else:
                    numbers[tensor * columns + array] = np.float64(int64_at(address)[0])
            else:
                lengths = int64_at(words[4])
                if dimensions != shapes[shape]:
                    frame[{MISFIT}] = 1
                    return 0
                for axis in range(dimensions):
                    elements *= lengths[axis]
                    if lengths[axis] != shapes[shape + 1 + axis]:
                        frame[{MISFIT}] = 1
                        return 0
                layouts[tensor] = (3 if turn == 0 else layouts[tensor]) & flags
                if layouts[tensor] == 0:
                    frame[{MISFIT}] = 1
                    return 0
            if elements == 0 or addresses[known] == address and array != 1:
                addresses[known] = address
                continue
            end = address + elements * dtypes[3 * array + 2]
            root = words[6] if words[6] != 0 else objects[tensor]
            if array == 1:
{find_written}\
                if written[spot] != 0:
                    frame[{MISFIT}] = 1
                    return 0
{find_owner}\
                if owners[spot] != 0 and address < highest[spot] and end > lowest[spot]:
                    frame[{MISFIT}] = 1
                    return 0
                if changes_gradients:
{find_fresh}\
                    if fresh[spot] != 0:
                        frame[{MISFIT}] = 1
                        return 0
                    fresh[spot] = address
{find_root}\
                    if roots[spot] != 0 and address < ends[spot]:
                        frame[{MISFIT}] = 1
                        return 0
                    roots[spot] = root
                    ends[spot] = end
            else:
{find_written}\
                if addresses[known] != 0 or written[spot] != 0:
                    frame[{MISFIT}] = 1
                    return 0
                written[spot] = address
{find_owner}\
                if owners[spot] == 0:
                    owners[spot] = root
                    lowest[spot] = address
                    highest[spot] = end
                lowest[spot] = min(lowest[spot], address)
                highest[spot] = max(highest[spot], end)
            addresses[known] = address
    return 0
"""

_FIND = """\
{indent}spot = ((({key} >> 4) * -7046029254386353131) >> 40) & {mask}
{indent}while {table}[spot] != 0 and {table}[spot] != {key}:
{indent}    spot = (spot + 1) & {mask}
"""


def _source() -> str:
    places = {name: place for name, place in globals().items() if name.isupper() and isinstance(place, int)}
    return _CHECK.format(
        find_written=_FIND.format(indent=" " * 16, table="written", key="address", mask="mask"),
        find_owner=_FIND.format(indent=" " * 16, table="owners", key="root", mask="mask"),
        find_fresh=_FIND.format(indent=" " * 20, table="fresh", key="address", mask="fresh_mask"),
        find_root=_FIND.format(indent=" " * 20, table="roots", key="root", mask="fresh_mask"),
        **places,
    )


CHECK_SOURCE = _source()
"""``check`` fills the addresses and numbers of tensors from the lists that hold their arrays, list by list.

``frame[MISFIT]`` is 1 if an array is not as expected: of another class, dtype, shape or layout, not at the place where
it was (but for gradients, which lie anywhere), or with memory that the kernel changes through another array as well.

Two arrays that begin at the same place are seen in hash tables of addresses. Others can share memory only if they are
views of the same object, their root. A gradient may not lie between the lowest and the highest address of what is
written below its own root; gradients that are changed must come in the order of their memory below each root. Where
that is not so, the step is planned, and every pair is looked at.
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
