"""A job: tensors that one kernel updates, with the tables that it reads."""

from __future__ import annotations

import struct
from array import array as table_of
from collections.abc import Sequence
from functools import cache
from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.backends import array_check as at
from optreg.backends.chunks import chunks_of
from optreg.backends.kernel_cache import Compilation
from optreg.backends.kernel_source import Stage, numbers_width, sources
from optreg.backends.members import Holding, Member, Sources
from optreg.backends.native import Kernel
from optreg.backends.variants import Variant
from optreg.tracing.nodes import Rule

CHECK = Compilation(at.CHECK_SOURCE, brief=True)


@attrs.frozen(eq=False)
class Kernels:
    """What a rule is compiled to.

    Attributes:
        run: changes the arrays.
        stages: what has to be known of whole tensors before, with the compilations that find it out.
    """

    run: Compilation
    stages: Sequence[tuple[Stage, Compilation]]

    @property
    def all(self) -> list[Compilation]:
        """That which changes the arrays first."""
        return [self.run, *(compilation for _, compilation in self.stages)]


def kernels_of(rule: Rule) -> Kernels:
    """The kernels of a rule, which other rules may share.

    Raises:
        UntraceableRuleError: it computes something that Numba cannot do as NumPy does.
    """
    texts = sources(rule)
    return Kernels(_compilation(texts.run), [(stage, _compilation(stage.source)) for stage in texts.stages])


@cache
def _compilation(source: str) -> Compilation:
    """One for each text: branches on scalars alone often lead to the same."""
    return Compilation(source)


class Job:
    """The tensors of one variant, and the tables of their addresses, sizes, groups and chunks.

    Args:
        variant: whose kernels are there.
        members: of which at least one.
        owners: of the variant's rules.
        check: the kernel that looks at arrays.

    Attributes:
        groups: those, by number, that have members.
    """

    def __init__(
        self, variant: Variant[Kernels], members: Sequence[Member], owners: Sequence[Any], check: Kernel
    ) -> None:
        self.variant = variant
        self.groups = sorted({member.group for member in members})
        self._owners = owners
        self._check = check
        self._kernel = variant.kernels.run.kernel
        self._sources = Sources(members, len(variant.rule.inputs))
        self._gathered: list[list[Array]] = []
        self._frame = table_of("q", [0] * at.FRAME)
        self._frame_address = self._frame.buffer_info()[0]
        self._tables: dict[int, Any] = {}
        self._make_tables(members)

    def _make_tables(self, members: Sequence[Member]) -> None:
        rule, count, width = self.variant.rule, len(members), len(self.variant.rule.inputs)
        gathered = self._sources.gather()
        data, dtypes = gathered[0], [arrays[0].dtype for arrays in gathered]
        axes = max(array.ndim for array in data)
        changed = {position for position, _ in rule.stores}
        places = 1 << (2 * count * width).bit_length()
        row = {group: place for place, group in enumerate(self.groups)}
        kinds = [at.ONE_NUMBER[each.dtype.name] if each.single else 0 for each in rule.inputs]
        flags = [at.ALIGNED | (at.WRITEABLE if position in changed else 0) for position in range(width)]
        self._dtypes = dtypes  # so that their addresses stay theirs
        self._scalars = self._table(at.SCALARS, table_of("d", [0.0] * max(len(self.groups) * len(rule.scalars), 1)))
        self._pack = struct.Struct(f"{len(rule.scalars)}d").pack_into
        self._numbers = self._table(at.NUMBERS, np.zeros((count, numbers_width(rule))))
        self._table(at.ADDRESSES, np.zeros((count, width), np.int64))
        self._table(at.GROUPS, np.array([row[member.group] for member in members], np.int64))
        self._table(at.DTYPES, np.array([[id(d), at.dtype_word(d), d.itemsize] for d in dtypes], np.int64))
        self._table(at.NEEDS, np.array([flags, kinds], np.int64).T.copy())
        self._table(
            at.SHAPES,
            np.array([[array.ndim, *array.shape, *[0] * (axes - array.ndim)] for array in data], np.int64),
        )
        self._table(at.LAYOUTS, np.zeros(count, np.int64))
        for table in (at.WRITTEN, at.OWNERS, at.LOWEST, at.HIGHEST):
            self._table(table, np.zeros(places, np.int64))
        fresh_places = 1 << (2 * count).bit_length() if 1 in changed else 1
        for table in (at.FRESH, at.ROOTS, at.ENDS):
            self._table(table, np.zeros(fresh_places, np.int64))
        self._frame[at.CHANGES_GRADIENTS], self._frame[at.FRESH_MASK] = 1 in changed, fresh_places - 1
        self._frame[at.WIDTH], self._frame[at.COLUMNS] = width, numbers_width(rule)
        self._frame[at.AXES], self._frame[at.MASK] = axes, places - 1
        self._frame[at.ARRAY] = id(np.ndarray)
        pairs = 2 if data[0].dtype.kind == "c" else 1
        self._chunks = chunks_of(tuple(array.size * pairs for array in data))
        self._frame[at.CHUNKS] = self._chunks.address
        if rule.reductions:
            self._numbers[:, -1] = [array.size * pairs for array in data]
            self._with_chunks, self._first_chunks = np.unique(self._chunks.rows[:, 0], return_index=True)
        self._count = count

    def _table(self, place: int, table: Any) -> Any:
        """Put a table into the frame."""
        self._tables[place] = table
        self._frame[place] = table.ctypes.data if isinstance(table, np.ndarray) else table.buffer_info()[0]
        return table

    def fits(self) -> bool:
        """Look at the arrays as they are now. False if any is not what the tables were made for."""
        gathered = self._sources.gather()
        self._frame[at.LISTS] = id(gathered)
        self._check(self._frame_address, 0, self._count)
        if self._frame[at.MISFIT]:
            return False
        self._gathered = gathered  # alive until the kernel has run
        return True

    def evaluate(self, holding: Holding) -> bool:
        """Evaluate the scalars of the step. False if the rules are not the same any more."""
        for row, number in enumerate(self.groups):
            with holding(number):
                scalars = self.variant.scalars_if_right(self._owners)
            if scalars is None:
                return False
            self._pack(self._scalars, 8 * row * len(scalars), *scalars)
        return True

    def run(self) -> None:
        """Run the kernels on the arrays that :meth:`fits` has seen, with the scalars of :meth:`evaluate`."""
        assert self._kernel is not None
        for stage, compilation in self.variant.kernels.stages:
            self._reduce(stage, compilation)
        self._chunks.run(self._kernel, self._frame_address)
        self._gathered = []

    def release(self) -> None:
        """Hold the arrays no longer."""
        self._gathered = []

    def _reduce(self, stage: Stage, compilation: Compilation) -> None:
        """Find out what a stage must know of each tensor, and put it into its columns of the numbers."""
        assert compilation.kernel is not None
        results = np.zeros((len(self._chunks), len(stage.reductions)))
        self._frame[at.RESULTS] = results.ctypes.data
        self._chunks.run(compilation.kernel, self._frame_address)
        for place, reduction in enumerate(stage.reductions):
            join = getattr(np, reduction.function).reduceat
            column = len(self.variant.rule.inputs) + self.variant.rule.reductions.index(reduction)
            if len(self._first_chunks):
                self._numbers[self._with_chunks, column] = join(results[:, place], self._first_chunks)
