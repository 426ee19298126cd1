"""Arrays that share memory: what changes one of them would change the other as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from optreg.arrays import Array
from optreg.errors import TargetError


def overlapping(arrays: Sequence[Array]) -> Iterator[tuple[int, int]]:
    """Pairs of positions of arrays that share memory; an array that comes twice is no pair with itself."""
    # Of arrays that own their memory, none lies in another's, so that usually nothing is left to be looked at.
    if all(array.base is None for array in arrays):
        return
    found = [array if isinstance(array, np.ndarray) else _Outline(array).on_host() for array in arrays]
    bounds = [(*np.lib.array_utils.byte_bounds(array), place) for place, array in enumerate(found) if array.size]
    reaching: list[tuple[int, int]] = []  # the arrays that end after the present one begins
    for begin, end, position in sorted(bounds):
        reaching = [(other_end, other) for other_end, other in reaching if other_end > begin]
        for _, other in reaching:
            if arrays[other] is not arrays[position] and _share(found[other], found[position]):
                yield min(other, position), max(other, position)
        reaching.append((end, position))


class _Outline:
    """Where the elements of an array on a device are. NumPy can compare places that it never looks at."""

    def __init__(self, array: Array) -> None:
        shape, strides, dtype = array.shape, array.strides, array.dtype
        place = (array.data.ptr, True)
        self.__array_interface__ = {
            "version": 3, "shape": shape, "strides": strides, "typestr": dtype.str, "data": place
        }  # fmt: skip

    def on_host(self) -> np.ndarray[Any, Any]:
        return np.asarray(self)


_WORK: Any = 10_000
"""How long NumPy tries to tell whether arrays overlap. (Its types, before 2.5, say that it takes no such number.)"""


def _share(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    """Whether arrays have an element in common; those whose strides are too odd to tell are taken to have one."""
    try:
        return bool(np.shares_memory(one, other, max_work=_WORK))
    except np.exceptions.TooHardError:
        return True


def check_apart(parameters: Sequence[tuple[str, Any]]) -> None:
    """Raise a TargetError if two parameters share memory without being one and the same array."""
    for one, other in overlapping([parameter.data for _, parameter in parameters]):
        raise TargetError(
            f"the parameters {parameters[one][0]} and {parameters[other][0]} share memory, so each update of one would "
            f"change the other; give a copy of one of them, or, if they are to be one parameter, the same array twice"
        )


def part_gradients(parameters: Sequence[tuple[str, Any]], *, changing: bool) -> None:
    """Put copies in the place of gradients that would change while they are read.

    Args:
        parameters: each with a gradient.
        changing: gradients are changed themselves, so that they may not be read-only or share memory with each other.
    """
    data = [parameter.data for _, parameter in parameters]
    gradients = [parameter.grad for _, parameter in parameters]
    taken = set(map(id, data))
    shared = set()
    for position, gradient in enumerate(gradients):
        if id(gradient) in taken or (changing and isinstance(gradient, np.ndarray) and not gradient.flags.writeable):
            shared.add(position)
        if changing:
            taken.add(id(gradient))
    count = len(data)
    for one, other in overlapping([*data, *gradients]):
        if other >= count and (changing or one < count):
            shared.add(other - count)
    for position in shared:
        parameters[position][1].grad = gradients[position].copy(order="K")
