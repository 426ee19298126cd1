"""What kernels on a device are given: arrays, looked at; chunks of tensors; what fits into a launch itself."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, TypeAlias

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.backends.cuda_source import CHUNK, SEND, THREADS, WORDS
from optreg.backends.device_kernels import kernel
from optreg.errors import UntraceableRuleError

Table: TypeAlias = np.ndarray[Any, Any]


LOOK, ADDRESS = attrgetter("dtype", "shape", "strides", "data.device_id"), attrgetter("data.ptr")
"""What tells whether a kernel can work on an array, without what CuPy takes long for; and where it is."""


def layouts_of(array: Array) -> set[str]:
    """The orders, C's and Fortran's, in which the elements lie without gaps."""
    flags = array.flags
    return {name for name, has in (("C", flags.c_contiguous), ("F", flags.f_contiguous)) if has}


@attrs.frozen
class Launch:
    """What one launch works on: the rows of some groups, and the chunks of their tensors."""

    first_row: int
    rows: int
    first_chunk: int
    chunks: int


def chunk_table(sizes: Sequence[int]) -> tuple[Table, Table]:
    """The chunks of tensors of these sizes: tensor, begin and end of each; and how many each tensor has."""
    parts = np.array([-(-size // CHUNK) for size in sizes], np.int64)
    tensor = np.repeat(np.arange(len(parts)), parts)
    begin = (np.arange(len(tensor)) - np.repeat(np.cumsum(parts) - parts, parts)) * CHUNK
    end = np.minimum(begin + CHUNK, np.repeat(np.array(sizes, np.int64), parts))
    return np.stack([tensor, begin, end], axis=1).astype(np.int64), parts


def launches(rows_of_tensors: Sequence[int], parts: Table, columns: int) -> tuple[list[Launch], int]:
    """As few launches as the scalars allow, and how many rows of scalars each of them has place for.

    Args:
        rows_of_tensors: of the table of scalars, rising.
        parts: the number of chunks of each tensor.
        columns: of the table.

    Raises:
        UntraceableRuleError: not even one row fits.
    """
    rows = rows_of_tensors[-1] + 1
    most = WORDS // max(columns, 1)
    if most == 0:
        raise UntraceableRuleError(f"{columns} scalars are more than the {WORDS} that a launch can hold")
    places = min(most, 1 << (rows - 1).bit_length())  # of few sizes, so that few kernels are compiled
    found = []
    ends = np.cumsum(parts)
    for first in range(0, rows, places):
        inside = np.flatnonzero((np.array(rows_of_tensors) >= first) & (np.array(rows_of_tensors) < first + places))
        begin, end = int(ends[inside[0]] - parts[inside[0]]), int(ends[inside[-1]])
        if end > begin:
            found.append(Launch(first, min(places, rows - first), begin, end - begin))
    return found, places


def by_value(words: Table) -> Table:
    """Numbers in the form in which CuPy hands them to a kernel as one structure."""
    return words.view([("of", words.dtype, words.shape)])


def addresses_of(tables: Sequence[Any]) -> Table:
    """The structure of the addresses of arrays on the current device; 0 for None."""
    return by_value(np.array([0 if table is None else table.data.ptr for table in tables], np.int64))


def send(numbers: Table, table: Any) -> None:
    """Write int64 numbers to a table on the current device, from the launch itself: never waits."""
    flat = numbers.ravel()
    for first in range(0, flat.size, WORDS):
        part = flat[first : first + WORDS]
        words = np.zeros(WORDS, np.int64)
        words[: part.size] = part
        kernel(SEND, "send")((1,), (THREADS,), (table, np.int64(first), np.int32(part.size), by_value(words)))
