"""Whether the arrays of a step are as they were, and where they lie: asked of NumPy's own objects, in machine code.

For a thousand small tensors, asking each array in Python for its shape, dtype, flags and address would take longer than
the step itself. What is read is the beginning of ``PyArrayObject``, which is part of NumPy's stable binary interface;
:func:`layout_is_known` compares it with what Python says before it is relied on.
"""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

C_OR_F_CONTIGUOUS = 0x3
ALIGNED = 0x100
WRITEABLE = 0x400

CHECK_SOURCE = """\
def check(objects_, dtypes_, sizes_, needs_, tensors, width, ndarray, addresses_, result_):
    objects = int64_at(objects_)
    dtypes = int64_at(dtypes_)
    sizes = int64_at(sizes_)
    needs = int64_at(needs_)
    addresses = int64_at(addresses_)
    result = int64_at(result_)
    result[0] = -1
    for tensor in range(tensors):
        layout = 3
        first = int64_at(objects[tensor])
        for array in range(width):
            place = array * tensors + tensor
            words = int64_at(objects[place])
            if words[1] != ndarray or words[7] != dtypes[place]:
                result[0] = place
                return 0
            flags = int32_at(objects[place] + 64)[0]
            if flags & needs[2 * array] != needs[2 * array]:
                result[0] = place
                return 0
            dimensions = int32_at(objects[place] + 24)[0]
            if needs[2 * array + 1] == 1:
                if dimensions != 0:
                    result[0] = place
                    return 0
            else:
                layout &= flags
                elements = 1
                if dimensions != int32_at(objects[tensor] + 24)[0]:
                    result[0] = place
                    return 0
                own = int64_at(words[4])
                model = int64_at(first[4])
                for axis in range(dimensions):
                    elements *= own[axis]
                    if own[axis] != model[axis]:
                        result[0] = place
                        return 0
                if elements != sizes[tensor]:
                    result[0] = place
                    return 0
            addresses[tensor * width + array] = words[2]
        if layout == 0:
            result[0] = tensor
            return 0
    return 0
"""
"""``check`` fills ``addresses[tensor, array]``, and says in ``result[0]`` which object is not as expected, or -1.

``objects`` and ``dtypes`` are the addresses of arrays and of the dtypes that they must have, array by array; ``needs``
holds for each array of the rule the flags that it must have, and whether it is one number for the whole tensor.
"""
CHECK_ARGUMENTS = 9


@cache
def layout_is_known() -> bool:
    """Whether arrays lie in memory as ``check`` reads them: not so in a build of Python without the global lock."""
    for array in (np.zeros((3, 5), np.float32)[:, :4], np.zeros(7), np.ones((2, 0, 1), np.complex64).T):
        words = (ctypes.c_int64 * 9).from_address(id(array))
        if words[1] != id(np.ndarray) or words[2] != array.ctypes.data or words[7] != id(array.dtype):
            return False
        if words[3] & 0xFFFFFFFF != array.ndim or words[8] & 0x7FFFFFFF != array.flags.num & 0x7FFFFFFF:
            return False
        if (ctypes.c_int64 * array.ndim).from_address(words[4])[:] != list(array.shape):
            return False
    return True
