"""Rules compiled by Numba: one loop over memory for a whole step, over all tensors, on several threads.

Until a kernel is there, and for what cannot be compiled, NumPy does the work; for arithmetic and roots, comparisons and
signs, the bits are the same. The compiler is started when NumPy has worked for as long as compiling takes, in a process
of its own.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from optreg.arrays import Array
from optreg.backends.array_check import ONE_NUMBER, layout_is_known
from optreg.backends.jobs import CHECK, Job, Kernels, kernels_of
from optreg.backends.kernel_cache import Compilation
from optreg.backends.kernel_source import NARROW
from optreg.backends.members import Jobs, members_of
from optreg.backends.native import Kernel, numba_is_installed
from optreg.backends.numpy import NumpyBackend
from optreg.backends.squares import DTYPES, SURVEY, compilation, sums, surveyed
from optreg.backends.variants import Signature, SlotType, Variant, variant_of
from optreg.backends.work import Group, Tensor, Work
from optreg.errors import UntraceableRuleError
from optreg.masters import MASTER

WORTH_COMPILING = 1.0
"""Seconds that NumPy works before the compiler is started."""


class NumbaBackend:
    """Runs rules on NumPy arrays by kernels that Numba compiled, and by NumPy where there is none.

    ``OPTREG_COMPILE=now`` compiles at the first step and waits for it; ``never`` keeps to NumPy and to kernels that are
    on disk already.
    """

    name = "numba"

    def __init__(self) -> None:
        self._numpy = NumpyBackend()
        self._warned: set[str] = set()
        self._works = numba_is_installed() and layout_is_known()
        if not numba_is_installed():
            self._warn("Numba is not installed, so NumPy runs the rules: pip install 'optreg[fast]'")
        elif not self._works:
            self._warn(
                "arrays lie in memory as optreg does not know it, in this build of Python, so NumPy runs the rules"
            )

    def run(self, work: Work) -> Jobs | None:
        """Make a step. Returns what can make it again, if everything in it was compiled."""
        sorted_out: dict[Variant[Kernels], list[tuple[int, Tensor]]] = {}
        left: list[tuple[Variant[Kernels] | None, int, Tensor]] = []
        if not self._works:
            self._numpy.run(work)
            return None
        with work.hooks_held():
            for number, group in enumerate(work.groups):
                with work.held(group):
                    self._sort(number, group, sorted_out, left)
        jobs = []
        for variant, found in sorted_out.items():
            job = self._job(variant, found, work)
            if job is None:
                left.extend((variant, number, tensor) for number, tensor in found)
            else:
                jobs.append(job)
        for job in jobs:
            job.run()
        if left:
            self._run_with_numpy(work, left)
        return Jobs(jobs) if jobs and not left and all(variant.lasts for variant in sorted_out) else None

    def _job(self, variant: Variant[Kernels], found: Sequence[tuple[int, Tensor]], work: Work) -> Job | None:
        """What is to be run, if all kernels are there and they can work on the arrays."""
        worth = variant.kernels.run.seconds >= WORTH_COMPILING
        check = self._kernel(CHECK, worth)
        kernels = [self._kernel(compilation, worth) for compilation in variant.kernels.all]
        if check is None or None in kernels:
            return None
        owners = [rule.owner for rule in work.groups[found[0][0]].rules]
        job = Job(variant, members_of(found, work), owners, check)
        with work.hooks_held():
            try:
                ready = job.fits() and job.evaluate(lambda number: work.held(work.groups[number]))
            except Exception:  # whatever is wrong with the rule, it says so when it runs
                ready = False
        return job if ready else None

    def sums_of_squares(self, arrays: Sequence[Array]) -> tuple[list[float], Sequence[Array]]:
        """The sums of squares of the chunks of the arrays that a kernel is there for, and the other arrays."""
        found: list[float] = []
        # Where the step has a kernel, so has the norm.
        survey = self._kernel(SURVEY, worth=CHECK.kernel is not None) if self._works and arrays else None
        if survey is None:
            return found, arrays
        kinds, sizes = surveyed(survey, arrays)
        left: list[Array] = []
        for kind in set(kinds):
            places = [place for place, each in enumerate(kinds) if each == kind]
            alike = arrays if len(places) == len(arrays) else [arrays[place] for place in places]
            kernel = self._kernel(compilation(DTYPES[kind - 1]), worth=True) if kind else None
            if kernel is None:
                left.extend(alike)
            else:
                found.extend(sums(kernel, alike, [sizes[place] for place in places]))
        return found, left

    def _sort(
        self,
        number: int,
        group: Group,
        sorted_out: dict[Variant[Kernels], list[tuple[int, Tensor]]],
        left: list[tuple[Variant[Kernels] | None, int, Tensor]],
    ) -> None:
        if any(bound.rule.needs_whole_tensors for bound in group.rules):
            left.extend((None, number, tensor) for tensor in group.tensors)
            return
        variants: dict[Signature, Variant[Kernels] | None] = {}
        for tensor in group.tensors:
            signature = _signature(tensor, group)
            if signature is None:
                left.append((None, number, tensor))
                continue
            if signature not in variants:
                try:
                    variants[signature] = variant_of(group.rules, signature, kernels_of)
                except UntraceableRuleError as error:
                    variants[signature] = None
                    self._warn(f"{error}; NumPy runs it, or say elementwise = False")
            variant = variants[signature]
            if variant is None:
                left.append((None, number, tensor))
            else:
                sorted_out.setdefault(variant, []).append((number, tensor))

    def _kernel(self, compilation: Compilation, worth: bool) -> Kernel | None:
        """The kernel, if it is there; asked for if NumPy has worked long enough to make it ``worth`` it."""
        if compilation.kernel is not None:
            return compilation.kernel
        when = os.environ.get("OPTREG_COMPILE", "")
        if when == "now":
            compilation.wait()
        elif worth or when == "never":
            compilation.advance(start=when != "never")
        if compilation.failure is not None:
            self._warn(f"{compilation.failure}; NumPy runs the rules")
        return compilation.kernel

    def _run_with_numpy(self, work: Work, left: Sequence[tuple[Variant[Kernels] | None, int, Tensor]]) -> None:
        begin = time.perf_counter()
        self._numpy.run(work.only([(number, tensor) for _, number, tensor in left]))
        elapsed = time.perf_counter() - begin
        for variant in {variant for variant, _, _ in left if variant is not None}:
            variant.kernels.run.seconds += elapsed

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def _signature(tensor: Tensor, group: Group) -> Signature | None:
    """The dtypes of a tensor's arrays; None if a kernel cannot work on them."""
    data, grad = tensor.parameter.data, tensor.parameter.grad
    arrays = [data, grad]
    slots = []
    for bound, state in zip(group.rules, tensor.states, strict=True):
        types: list[SlotType] = []
        for name in bound.rule.slots:
            slot = state.get(name)
            single = slot is not None and slot.ndim == 0 and data.ndim > 0
            types.append(None if slot is None else (slot.real.dtype, single))
            if single and not (type(slot) is np.ndarray and slot.dtype.isnative and slot.dtype.name in ONE_NUMBER):
                return None
            if slot is not None and not single:
                arrays.append(slot)
        slots.append(tuple(types))
    if tensor.master_in is not None:
        arrays.append(tensor.master_in[MASTER])
    if not all(type(array) is np.ndarray and _is_compiled_for(array.real.dtype) for array in arrays):
        return None
    if len({array.dtype.kind for array in arrays}) > 1 or not _are_alike_in_memory(arrays):
        return None
    has_master = tensor.master_in is not None
    return Signature(data.real.dtype, grad.real.dtype, tuple(slots), data.dtype.kind == "c", has_master)


def _is_compiled_for(dtype: np.dtype[Any]) -> bool:
    return dtype.isnative and (dtype.itemsize in (4, 8) or dtype.name in NARROW)


def _are_alike_in_memory(arrays: Sequence[np.ndarray[Any, Any]]) -> bool:
    """Whether an element of one lies where that of the others does, counted from their beginnings."""
    flags = [array.flags for array in arrays]
    in_order = all(each.c_contiguous for each in flags) or all(each.f_contiguous for each in flags)
    return in_order and all(each.aligned for each in flags)
