"""A job on a CUDA device: tensors that one launch updates, with the tables that it reads there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import is_
from typing import Any

import numpy as np

from optreg.arrays import Array, is_capturing
from optreg.backends.cuda_source import THREADS, partials_of
from optreg.backends.device_kernels import Kernels
from optreg.backends.device_tables import (
    ADDRESS,
    LOOK,
    Launch,
    Table,
    addresses_of,
    by_value,
    chunk_table,
    launches,
    layouts_of,
    send,
)
from optreg.backends.members import Holding, Job, Jobs, Member, Sources
from optreg.backends.variants import Variant
from optreg.backends.work import Decision
from optreg.errors import OptregError
from optreg.tracing.nodes import Input


class DeviceJob:
    """The tensors of one variant on one device.

    Args:
        variant: of the rules.
        members: of which at least one, all on the device.
        owners: of the variant's rules.
        device: its number.
        decision: whether a step is made.

    Attributes:
        groups: those, by number, that have members.

    Raises:
        UntraceableRuleError: the rule cannot be compiled for CUDA.
    """

    def __init__(
        self,
        variant: Variant[Kernels],
        members: Sequence[Member],
        owners: Sequence[Any],
        device: int,
        decision: Decision,
    ) -> None:
        import cupy

        self.variant = variant
        self.groups = sorted({member.group for member in members})
        self._owners = owners
        self._decision = decision
        self._cupy = cupy
        self.device = device
        rule = variant.rule
        self._inputs = rule.inputs
        self._columns = len(rule.scalars)
        on_device = {at for at, each in enumerate(variant.types or ()) if issubclass(each, cupy.ndarray)}
        self._on_device = sorted(on_device)
        members = sorted(members, key=lambda member: member.group)
        rows = [self.groups.index(member.group) for member in members]
        data = [member.parameter.data for member in members]
        pairs = 2 if data[0].dtype.kind == "c" else 1
        chunks, parts = chunk_table([array.size * pairs for array in data])
        self._launches, self._places = launches(rows, parts, self._columns)
        self._sources = Sources(members, len(rule.inputs))
        self._kept: list[list[Array]] = [data, *([None] * len(data) for _ in rule.inputs[2:])]
        self._looks: list[Any] = [None] * len(data)
        self._layouts: list[set[str]] = [set() for _ in data]
        self._not_empty = np.array([array.size > 0 for array in data])
        self._changed = sorted(position for position, _ in rule.stores)
        self._addresses = np.zeros((len(data), len(rule.inputs)), np.int64)
        self._bytes = np.zeros_like(self._addresses)
        self._seen: Table | None = None
        self._sent: Table | None = None
        self._words = np.zeros((len(self.groups), self._columns), np.int64)
        self._scalars: list[tuple[Any, ...]] = [()] * len(self.groups)
        self._captured = False
        with cupy.cuda.Device(device):
            self._kernels = variant.kernels.compiled(self._places, on_device)
            known = np.zeros((len(data), len(rule.reductions) + 1))
            known[:, -1] = [array.size * pairs for array in data]
            self._tables = (
                cupy.zeros(self._addresses.shape, np.int64),
                *(cupy.asarray(np.ascontiguousarray(table, np.int64)) for table in (rows, chunks, parts)),
                cupy.zeros(len(data), np.uint32),
                cupy.asarray(known),
                cupy.zeros(max(1, len(chunks) * partials_of(rule)), np.float64),
            )
            self._scalars_of_graphs = cupy.zeros(self._words.shape, np.int64)

    def fits(self) -> bool:
        """Look at the arrays as they are now. False if any is not what the tables were made for."""
        data, grads, *slots = self._sources.gather()
        if not all(map(is_, data, self._kept[0])):
            return False  # a parameter's array was replaced: whether it is shared now is for the plan to see
        for now, kept in zip([data, *slots], self._kept, strict=True):
            if not all(map(is_, now, kept)) or self._looks[0] is None:
                return self._keep([data, *slots]) and self._look_at(grads) and self._are_apart()
        return self._look_at(grads) and self._are_apart()

    def _keep(self, columns: list[list[Array]]) -> bool:
        """Take note of the parameters and slots, which are usually the same ones at each step."""
        inputs = [self._inputs[0], *self._inputs[2:]]
        for row, arrays in enumerate(zip(*columns, strict=True)):
            if not all(self._is_right(array, each, arrays[0]) for array, each in zip(arrays, inputs, strict=True)):
                return False
            full = [array for array, each in zip(arrays, inputs, strict=True) if not each.single]
            self._layouts[row] = set.intersection(*map(layouts_of, full))
            self._addresses[row] = [arrays[0].data.ptr, 0, *(array.data.ptr for array in arrays[1:])]
            gradient = arrays[0].nbytes // inputs[0].dtype.itemsize * self._inputs[1].dtype.itemsize
            self._bytes[row] = [arrays[0].nbytes, gradient, *(array.nbytes for array in arrays[1:])]
        self._kept = columns
        self._looks = [None] * len(columns[0])
        return True

    def _look_at(self, grads: list[Array]) -> bool:
        """Take note of the gradients, which are often new arrays that look like those before."""
        if set(map(type, grads)) != {self._cupy.ndarray}:
            return False
        looks = list(map(LOOK, grads))
        if looks != self._looks:
            for row, grad in enumerate(grads):
                fits = looks[row] == self._looks[row] or (
                    self._is_right(grad, self._inputs[1], self._kept[0][row]) and layouts_of(grad) & self._layouts[row]
                )
                if not fits:
                    return False
            self._looks = looks
        self._addresses[:, 1] = list(map(ADDRESS, grads))
        return True

    def _is_right(self, array: Array, each: Input, data: Array) -> bool:
        if not isinstance(array, self._cupy.ndarray) or array.device.id != self.device:
            return False
        alike = array.shape == data.shape and array.dtype.kind == data.dtype.kind
        return bool(array.real.dtype == each.dtype and (array.ndim == 0 if each.single else alike))

    def _are_apart(self) -> bool:
        """Whether no memory that is changed is another array's as well."""
        if self._seen is None or not np.array_equal(self._seen, self._addresses):
            begins = self._addresses[self._not_empty]
            ends = begins + self._bytes[self._not_empty]
            written, until = begins[:, self._changed].ravel(), ends[:, self._changed].ravel()
            order = np.argsort(written)
            written, until = written[order], until[order]
            if (until[:-1] > written[1:]).any():
                return False
            if 1 not in self._changed and len(written):
                before = np.searchsorted(written, ends[:, 1]) - 1  # the last that begins before a gradient ends
                if ((before >= 0) & (until[before] > begins[:, 1])).any():
                    return False
            self._seen = self._addresses.copy()
        return True

    def evaluate(self, holding: Holding) -> bool:
        """Evaluate the scalars of the step. False if the rules are not the same any more."""
        for row, number in enumerate(self.groups):
            with holding(number):
                scalars = self.variant.scalars_if_right(self._owners)
            if scalars is None:
                return False
            self._scalars[row] = scalars  # alive until their addresses are not used any more
            if self._on_device:
                if any(scalars[at].device.id != self.device for at in self._on_device):
                    return False
                addresses = [scalars[at].data.ptr for at in self._on_device]
                scalars = tuple(0.0 if at in self._on_device else each for at, each in enumerate(scalars))
            self._words[row].view(np.float64)[...] = scalars
            if self._on_device:
                self._words[row, self._on_device] = addresses
        return True

    def run(self) -> None:
        """Launch the kernels on what :meth:`fits` and :meth:`evaluate` have seen, in the current stream. Never waits.

        What is captured into a CUDA graph reads the scalars that :meth:`refresh` has sent before.
        """
        with self._cupy.cuda.Device(self.device):
            capturing = is_capturing(self.device)
            if capturing:
                self._refuse_to_calculate()
            # A graph sends its addresses whenever it is launched, so after that nobody knows which ones are there.
            self._captured = self._captured or capturing
            if self._captured or self._sent is None or not np.array_equal(self._sent, self._addresses):
                send(self._addresses, self._tables[0])
                self._sent = self._addresses.copy()
            scalars = self._scalars_of_graphs if capturing else None
            tables = addresses_of([*self._tables, self._decision.flag, scalars])
            arguments = [(tables, *self._arguments(launch)) for launch in self._launches]
            for kernel in self._kernels:
                for launch, each in zip(self._launches, arguments, strict=True):
                    kernel((launch.chunks,), (THREADS,), each)

    def _refuse_to_calculate(self) -> None:
        """Raise an OptregError if a scalar is made of numbers on the device: a graph would make it a step too early."""
        for at in self._on_device:
            source = self.variant.rule.scalars[at]
            if not re.fullmatch(r"owners\[\d+\]\.\w+", source):
                raise OptregError(
                    f"{source} is calculated from numbers on a device before a step, so it cannot be captured into a "
                    f"CUDA graph; have observe() put the result into an array that stays the same"
                )

    def refresh(self) -> None:
        """Send the scalars of :meth:`evaluate` to where a graph reads them, in the current stream. Never waits."""
        with self._cupy.cuda.Device(self.device):
            send(self._words, self._scalars_of_graphs)

    def _arguments(self, launch: Launch) -> tuple[Any, ...]:
        words = np.zeros(max(1, self._places * self._columns), np.int64)
        used = self._words[launch.first_row : launch.first_row + launch.rows]
        words[: used.size] = used.ravel()
        return np.int64(launch.first_chunk), np.int64(launch.first_row), by_value(words)

    def release(self) -> None:
        """Nothing to do: gradients are not held, only arrays that the optimizer holds, too."""


class DeviceJobs(Jobs):
    """Everything that a step does: on devices, and on the host beside them."""

    def __init__(self, jobs: Sequence[DeviceJob], on_host: Sequence[Job]) -> None:
        super().__init__([*jobs, *on_host])
        self._on_devices = jobs
        self._devices = sorted({job.device for job in jobs})
        self._in_one_place = len(self._devices) == 1 and not on_host

    def is_captured(self) -> bool:
        """Whether what :meth:`run` asks for becomes part of a CUDA graph now, instead of being done.

        Raises:
            OptregError: a graph cannot hold all of it.
        """
        captured = any(map(is_capturing, self._devices))
        if captured and not self._in_one_place:
            raise OptregError(
                "the step cannot be captured into a CUDA graph, because parameters are on several devices or on the "
                "host; give an optimizer of its own to those on the device that captures"
            )
        return captured

    def refresh(self) -> None:
        """Send the scalars of :meth:`evaluate` to where a CUDA graph reads them that holds what :meth:`run` did."""
        for job in self._on_devices:
            job.refresh()
