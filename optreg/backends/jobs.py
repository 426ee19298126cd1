"""A job: tensors that one kernel call updates, with the tables that it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.backends.array_check import ALIGNED, CHECK_ARGUMENTS, CHECK_SOURCE, WRITEABLE
from optreg.backends.kernel_cache import Compilation
from optreg.backends.kernel_source import Stage, numbers_width
from optreg.backends.native import Kernel
from optreg.backends.variants import Variant
from optreg.backends.workers import WORKERS, thread_count

CHUNK = 65_536
"""Elements that a thread works on at a time."""
ALONE = 262_144
"""Elements that one thread does sooner than it could wake another."""

CHECK = Compilation(CHECK_SOURCE, CHECK_ARGUMENTS)


@attrs.define(eq=False)
class Member:
    """A tensor of a job: the parameter, the number of its group, and the states that hold its slots.

    ``slots`` are pairs of a state and a key, in the order of the joined rule's inputs after ``param`` and ``grad``.
    """

    parameter: Any
    group: int
    slots: Sequence[tuple[dict[str, Any], str]]


class Job:
    """The tensors of one variant, and the tables of their addresses, sizes, groups and chunks.

    Args:
        variant: whose kernel is there.
        members: of which at least one.
        rows: the groups, by number, that have members.
    """

    def __init__(self, variant: Variant, members: Sequence[Member]) -> None:
        self.variant = variant
        self.groups = sorted({member.group for member in members})
        self._members = members
        self._width = len(variant.rule.inputs)
        self._changes_gradients = "grad" in variant.rule.changed
        self._singles = [position for position, each in enumerate(variant.rule.inputs) if each.single]
        count = len(members)
        row = {group: place for place, group in enumerate(self.groups)}
        self._group_of = np.array([row[member.group] for member in members], np.int64)
        self._addresses = np.zeros((count, self._width), np.int64)
        self._reductions = variant.rule.reductions
        self._numbers = np.zeros((count, numbers_width(variant.rule)))
        self._result = np.zeros(1, np.int64)
        self._gathered: list[Array] = []
        self._data_ids: np.ndarray[Any, Any] | None = None
        first = self.gather()
        self._sizes = np.array([array.size for array in first[:count]], np.int64)
        self._dtypes = np.array([id(array.dtype) for array in first], np.int64)
        self._kept_dtypes = [array.dtype for array in first]  # so that their addresses stay theirs
        changed = {position for position, _ in variant.rule.stores}
        flags = [ALIGNED | (WRITEABLE if position in changed else 0) for position in range(self._width)]
        self._needs = np.array(
            [[flag, each.single] for flag, each in zip(flags, variant.rule.inputs, strict=True)], np.int64
        )
        pairs = 2 if count and first[0].dtype.kind == "c" else 1
        self._chunks = table_of_chunks(tuple((self._sizes * pairs).tolist()))
        if self._reductions:
            self._numbers[:, -1] = self._sizes
            self._with_chunks, self._first_chunks = np.unique(self._chunks[:, 0], return_index=True)
        self._constant = (
            [array.ctypes.data for array in (self._dtypes, self._sizes, self._needs)],
            [array.ctypes.data for array in (self._addresses, self._result)],
        )
        self._run_tables = self._addresses.ctypes.data, self._group_of.ctypes.data

    def gather(self) -> list[Array]:
        """The arrays as they are now: all parameters, all gradients, and each slot of all tensors."""
        members = self._members
        arrays = [member.parameter.data for member in members]
        arrays += [member.parameter.grad for member in members]
        for slot in range(self._width - 2):
            arrays += [state[key] for state, key in [member.slots[slot] for member in members]]
        return arrays

    def fits(self, check: Kernel) -> bool:
        """Look at the arrays as they are now. False if any is not what the tables were made for."""
        gathered = self.gather()
        objects = np.fromiter(map(id, gathered), np.int64, len(gathered))
        count = len(self._members)
        if self._data_ids is not None and not np.array_equal(objects[:count], self._data_ids):
            return False  # a parameter's array was replaced: whether it is shared now is for the plan to see
        if self._changes_gradients and len(set(objects[: 2 * count].tolist())) < 2 * count:
            return False  # one array for two gradients, or for a parameter and its gradient
        (dtypes, sizes, needs), (addresses, result) = self._constant
        check(objects.ctypes.data, dtypes, sizes, needs, count, self._width, id(np.ndarray), addresses, result)
        if self._result[0] >= 0:
            return False
        self._data_ids = objects[:count]
        self._gathered = gathered  # alive until the kernel has run
        return True

    def run(self, kernel: Kernel, scalars: np.ndarray[Any, Any]) -> None:
        """Run the kernel on the arrays that :meth:`fits` has seen.

        Args:
            kernel: of the variant.
            scalars: a row for each of ``groups``, in float64.
        """
        count = len(self._members)
        for position in self._singles:
            self._numbers[:, position] = [
                float(each) for each in self._gathered[position * count : (position + 1) * count]
            ]
        tables = *self._run_tables, scalars.ctypes.data, self._numbers.ctypes.data, self._chunks.ctypes.data
        for stage, compilation in self.variant.stages:
            self._reduce(stage, compilation, tables)
        over_chunks(partial(kernel, *tables), self._chunks)
        self._gathered = []

    def _reduce(self, stage: Stage, compilation: Compilation, tables: tuple[int, ...]) -> None:
        """Find out what a stage must know of each tensor, and put it into its columns of the numbers."""
        assert compilation.kernel is not None
        results = np.zeros((len(self._chunks), len(stage.reductions)))
        over_chunks(partial(compilation.kernel, *tables, results.ctypes.data), self._chunks)
        for place, reduction in enumerate(stage.reductions):
            join = getattr(np, reduction.function).reduceat
            column = self._width + self._reductions.index(reduction)
            if len(self._first_chunks):
                self._numbers[self._with_chunks, column] = join(results[:, place], self._first_chunks)


@lru_cache(maxsize=64)
def table_of_chunks(sizes: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The chunks of tensors of these sizes: rows of a tensor's number, and where in it the chunk begins and ends."""
    rows = [
        (tensor, begin, min(begin + CHUNK, size))
        for tensor, size in enumerate(sizes)
        for begin in range(0, size, CHUNK)
    ]
    return np.array(rows, np.int64).reshape(-1, 3)


def over_chunks(step: Callable[[int, int], None], chunks: np.ndarray[Any, Any]) -> None:
    """Run ``step(first, last)`` over all chunks, on as many threads as their elements are worth."""
    count = len(chunks)
    alone = count < 2 or int((chunks[:, 2] - chunks[:, 1]).sum()) <= ALONE
    threads = 1 if alone else thread_count()
    if threads == 1:
        step(0, count)
        return
    bounds = np.linspace(0, count, min(count, 8 * threads) + 1).astype(int).tolist()
    WORKERS.run([partial(step, low, high) for low, high in pairwise(bounds)], threads)
