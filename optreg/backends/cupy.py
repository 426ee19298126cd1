"""Rules compiled to CUDA: one launch for a whole step on each device, over all tensors of the same dtypes.

What cannot be compiled is run as written, on CuPy's arrays; arrays on the host are left to the fastest backend there.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from optreg.arrays import array_module
from optreg.backends import host_backend
from optreg.backends.device_job import DeviceJob, DeviceJobs
from optreg.backends.device_kernels import Kernels, kernels_of
from optreg.backends.device_tables import layouts_of
from optreg.backends.members import Jobs, members_of
from optreg.backends.numpy import NumpyBackend
from optreg.backends.variants import Signature, SlotType, Variant, variant_of
from optreg.backends.work import Group, Repeatable, Tensor, Work
from optreg.errors import UntraceableRuleError
from optreg.masters import MASTER


@attrs.frozen
class Kind:
    """What the tensors of a job have in common."""

    signature: Signature
    device: int


class CupyBackend:
    """Runs rules on CuPy arrays by kernels that NVRTC compiled."""

    name = "cupy"
    decides_on_device = True
    array_module = "cupy"

    def __init__(self) -> None:
        self._as_written = NumpyBackend()
        self._warned: set[str] = set()

    def run(self, work: Work) -> Repeatable | None:
        """Make a step. Returns what can make it again, if everything in it was compiled."""
        if all(_is_on_host(tensor) for group in work.groups for tensor in group.tensors):
            return host_backend().run(work)
        jobs: list[DeviceJob] = []
        left: list[tuple[int, Tensor]] = []
        on_host: list[tuple[int, Tensor]] = []
        with work.hooks_held():
            for (variant, kind), found in self._sorted(work, left, on_host).items():
                job = self._job(variant, kind, found, work)
                if job is None:
                    left.extend(found)
                else:
                    jobs.append(job)
        if (left or on_host) and not work.decision.is_made():
            return None
        for job in jobs:
            job.run()
        if left:
            self._as_written.run(work.only(left))
        there = host_backend().run(work.only(on_host)) if on_host else None
        if left or not all(job.variant.lasts for job in jobs):
            return None
        if on_host:
            return DeviceJobs(jobs, there.jobs) if isinstance(there, Jobs) else None
        return DeviceJobs(jobs, [])

    def _sorted(
        self, work: Work, left: list[tuple[int, Tensor]], on_host: list[tuple[int, Tensor]]
    ) -> dict[tuple[Variant[Kernels], Kind], list[tuple[int, Tensor]]]:
        """The tensors that kernels can work on, by what they have in common; the others go to one of the two lists."""
        found: dict[tuple[Variant[Kernels], Kind], list[tuple[int, Tensor]]] = {}
        for number, group in enumerate(work.groups):
            with work.held(group):
                for tensor in group.tensors:
                    if _is_on_host(tensor):
                        on_host.append((number, tensor))
                        continue
                    kind = _kind(tensor, group)
                    variant = None if kind is None else self._variant(group, kind.signature)
                    if kind is None or variant is None:
                        left.append((number, tensor))
                    else:
                        found.setdefault((variant, kind), []).append((number, tensor))
        return found

    def _variant(self, group: Group, signature: Signature) -> Variant[Kernels] | None:
        if any(bound.rule.needs_whole_tensors for bound in group.rules):
            return None
        try:
            return variant_of(group.rules, signature, kernels_of)
        except UntraceableRuleError as error:
            self._warn(f"{error}; CuPy runs it as it is written, or say elementwise = False")
            return None

    def _job(
        self, variant: Variant[Kernels], kind: Kind, found: Sequence[tuple[int, Tensor]], work: Work
    ) -> DeviceJob | None:
        """What is to be run, if a kernel can be written and can work on the arrays."""
        owners = [rule.owner for rule in work.groups[found[0][0]].rules]
        members = members_of(found, work)
        try:
            job = DeviceJob(variant, members, owners, kind.device, work.decision)
        except UntraceableRuleError as error:
            self._warn(f"{error}; CuPy runs the rule as it is written")
            return None
        try:
            ready = job.fits() and job.evaluate(lambda number: work.held(work.groups[number]))
        except Exception:  # whatever is wrong with the rule, it says so when it runs
            ready = False
        return job if ready else None

    def sums_of_squares(
        self, arrays: Sequence[np.ndarray[Any, Any]]
    ) -> tuple[list[float], Sequence[np.ndarray[Any, Any]]]:
        """Those of arrays on the host, which the backend there makes, and the arrays that it leaves."""
        of_host = getattr(host_backend(), "sums_of_squares", None)
        return ([], arrays) if of_host is None else of_host(arrays)

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def _is_on_host(tensor: Tensor) -> bool:
    return array_module(tensor.parameter.data) is np


def _kind(tensor: Tensor, group: Group) -> Kind | None:
    """What a kernel depends on of a tensor; None if a kernel cannot work on it."""
    data, grad = tensor.parameter.data, tensor.parameter.grad
    arrays = [data, grad]
    slots = []
    for bound, state in zip(group.rules, tensor.states, strict=True):
        types: list[SlotType] = []
        for name in bound.rule.slots:
            slot = state.get(name)
            single = slot is not None and slot.ndim == 0 and data.ndim > 0
            types.append(None if slot is None else (slot.real.dtype, single))
            if slot is not None:
                if array_module(slot) is not array_module(data) or (single and slot.dtype == np.float16):
                    return None
                if not single:
                    arrays.append(slot)
        slots.append(tuple(types))
    if tensor.master_in is not None:
        arrays.append(tensor.master_in[MASTER])
    if len({array.dtype.kind for array in arrays}) > 1 or not set.intersection(*map(layouts_of, arrays)):
        return None
    has_master = tensor.master_in is not None
    signature = Signature(data.real.dtype, grad.real.dtype, tuple(slots), data.dtype.kind == "c", has_master)
    return Kind(signature, data.device.id)
