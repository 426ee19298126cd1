"""Rules compiled by Numba: one loop over memory for a whole step, over all tensors, on several threads.

Until a kernel is there, and for what cannot be compiled, NumPy does the work; for arithmetic and roots, comparisons and
signs, the bits are the same. The compiler is started when NumPy has worked for as long as compiling takes, in a process
of its own.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any, TypeAlias

import attrs
import numpy as np

from optreg.backends.array_check import layout_is_known
from optreg.backends.jobs import CHECK, Job, Member
from optreg.backends.kernel_cache import Compilation
from optreg.backends.native import Kernel
from optreg.backends.numpy import NumpyBackend
from optreg.backends.squares import can_sum, compilation, sums
from optreg.backends.variants import Signature, SlotType, Variant, variant_of
from optreg.backends.work import Group, Tensor, Work
from optreg.errors import UntraceableRuleError
from optreg.rule import slots_of

WORTH_COMPILING = 1.0
"""Seconds that NumPy works before the compiler is started."""

Holding: TypeAlias = Callable[[int], AbstractContextManager[None]]
"""A context in which the optimizer has the hyperparameters of the group of that number."""


class Jobs:
    """Everything that a step does, ready to be done again on the arrays that the parameters then have."""

    def __init__(self, jobs: Sequence[tuple[Job, Kernel]], owners: Sequence[Any], check: Kernel) -> None:
        self._jobs = jobs
        self._owners = owners
        self._check = check
        self._scalars: list[np.ndarray[Any, Any]] = []

    def fit(self) -> bool:
        """Whether the arrays still have the shapes, dtypes and places that the tables say."""
        return all(job.fits(self._check) for job, _ in self._jobs)

    def evaluate(self, holding: Holding) -> bool:
        """Evaluate the scalars of the step. False if a rule would take another branch than the one compiled."""
        self._scalars = []
        for job, _ in self._jobs:
            rows = []
            for number in job.groups:
                with holding(number):
                    if not job.variant.holds(self._owners):
                        return False
                    rows.append(job.variant.scalars(self._owners))
            self._scalars.append(np.array(rows, np.float64))
        return True

    def run(self) -> None:
        """Change the arrays."""
        for (job, kernel), scalars in zip(self._jobs, self._scalars, strict=True):
            job.run(kernel, scalars)


class NumbaBackend:
    """Runs rules on NumPy arrays by kernels that Numba compiled, and by NumPy where there is none.

    ``OPTREG_COMPILE=now`` compiles at the first step and waits for it; ``never`` keeps to NumPy and to kernels that are
    on disk already.
    """

    name = "numba"

    def __init__(self) -> None:
        self._numpy = NumpyBackend()
        self._warned: set[str] = set()
        self._works = find_spec("numba") is not None and layout_is_known()
        if not self._works:
            self._warn("Numba is not installed, so NumPy runs the rules: pip install 'optreg[fast]'")

    def run(self, work: Work) -> Jobs | None:
        """Make a step. Returns what can make it again, if everything in it was compiled."""
        sorted_out: dict[Variant, list[tuple[int, Tensor]]] = {}
        left: list[tuple[Variant | None, int, Tensor]] = []
        if not self._works:
            self._numpy.run(work)
            return None
        with work.hooks_held():
            for number, group in enumerate(work.groups):
                with work.held(group):
                    self._sort(number, group, sorted_out, left)
        jobs = []
        for variant, found in sorted_out.items():
            worth = variant.compilation.seconds >= WORTH_COMPILING
            kernels = [self._kernel(compilation, worth) for compilation in variant.compilations]
            kernel, check = kernels[0], self._kernel(CHECK, worth)
            if kernel is not None and check is not None and None not in kernels:
                job = Job(variant, [_member(*each, work) for each in found])
                if job.fits(check):
                    jobs.append((job, kernel))
                    continue
            left.extend((variant, number, tensor) for number, tensor in found)
        owners = [rule.owner for rule in work.groups[0].rules] if work.groups else []
        made = Jobs(jobs, owners, CHECK.kernel) if jobs and CHECK.kernel is not None else None
        if made is not None:
            with work.hooks_held():
                made.evaluate(lambda number: work.held(work.groups[number]))
            made.run()
        if left:
            self._run_with_numpy(work, left)
        return made if not left and all(variant.lasts for variant in sorted_out) else None

    def sums_of_squares(
        self, arrays: Sequence[np.ndarray[Any, Any]]
    ) -> tuple[list[float], Sequence[np.ndarray[Any, Any]]]:
        """The sums of squares of the chunks of the arrays that a kernel is there for, and the other arrays."""
        found: list[float] = []
        if not self._works:
            return found, arrays
        left = [array for array in arrays if not can_sum(array)]
        for dtype in {array.dtype for array in arrays if can_sum(array)}:
            of_dtype = [array for array in arrays if can_sum(array) and array.dtype == dtype]
            kernel = self._kernel(compilation(dtype), worth=CHECK.kernel is not None)
            if kernel is None:
                left.extend(of_dtype)
            else:
                found.extend(sums(kernel, of_dtype))
        return found, left

    def _sort(
        self,
        number: int,
        group: Group,
        sorted_out: dict[Variant, list[tuple[int, Tensor]]],
        left: list[tuple[Variant | None, int, Tensor]],
    ) -> None:
        owners = [rule.owner for rule in group.rules]
        if any(getattr(owner, "elementwise", True) is False for owner in owners):
            left.extend((None, number, tensor) for tensor in group.tensors)
            return
        keeps = [not rule.changes_gradients for rule in group.rules]
        variants: dict[Signature, Variant | None] = {}
        for tensor in group.tensors:
            signature = _signature(tensor, group)
            if signature is None:
                left.append((None, number, tensor))
                continue
            if signature not in variants:
                try:
                    variants[signature] = variant_of(owners, keeps, signature)
                except UntraceableRuleError as error:
                    variants[signature] = None
                    self._warn(f"{error}; NumPy runs it, or say elementwise = False")
            variant = variants[signature]
            # A sum over complex numbers is not one over their parts.
            if variant is None or (variant.rule.reductions and tensor.parameter.data.dtype.kind == "c"):
                left.append((None, number, tensor))
            else:
                sorted_out.setdefault(variant, []).append((number, tensor))

    def _kernel(self, compilation: Compilation, worth: bool) -> Kernel | None:
        """The kernel, if it is there; asked for if NumPy has worked long enough to make it ``worth`` it."""
        when = os.environ.get("OPTREG_COMPILE", "")
        if when == "now":
            compilation.wait()
        elif worth or when == "never":
            compilation.advance(start=when != "never")
        if compilation.failure is not None:
            self._warn(f"{compilation.failure}; NumPy runs the rules")
        return compilation.kernel

    def _run_with_numpy(self, work: Work, left: Sequence[tuple[Variant | None, int, Tensor]]) -> None:
        by_group: dict[int, list[Tensor]] = {}
        for _, number, tensor in left:
            by_group.setdefault(number, []).append(tensor)
        groups = [attrs.evolve(work.groups[number], tensors=tensors) for number, tensors in by_group.items()]
        begin = time.perf_counter()
        self._numpy.run(attrs.evolve(work, groups=groups))
        elapsed = time.perf_counter() - begin
        for variant in {variant for variant, _, _ in left if variant is not None}:
            variant.compilation.seconds += elapsed

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def _signature(tensor: Tensor, group: Group) -> Signature | None:
    """The dtypes of a tensor's arrays; None if a kernel cannot work on them."""
    data, grad = tensor.parameter.data, tensor.parameter.grad
    arrays = [data, grad]
    slots = []
    for rule, state in zip(group.rules, tensor.states, strict=True):
        types: list[SlotType] = []
        for name in slots_of(type(rule.owner).rule).names:
            slot = state.get(name)
            single = slot is not None and slot.ndim == 0 and data.ndim > 0
            types.append(None if slot is None else (slot.real.dtype, single))
            if slot is not None and not single:
                arrays.append(slot)
        slots.append(tuple(types))
    kinds = {array.dtype.kind for array in arrays}
    if len(kinds) > 1 or not all(type(array) is np.ndarray and _is_compiled_for(array.real.dtype) for array in arrays):
        return None
    return Signature(data.real.dtype, grad.real.dtype, tuple(slots), data.dtype.kind == "c")


def _is_compiled_for(dtype: np.dtype[Any]) -> bool:
    return dtype.isnative and dtype.itemsize in (4, 8)


def _member(number: int, tensor: Tensor, work: Work) -> Member:
    places: list[tuple[dict[str, Any], str]] = []
    for rule, state in zip(work.groups[number].rules, tensor.states, strict=True):
        places.extend((state, name) for name in slots_of(type(rule.owner).rule).names if state.get(name) is not None)
    return Member(tensor.parameter, number, places)
