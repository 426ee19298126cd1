"""Kernels for devices, compiled by NVRTC through CuPy when they are first launched there."""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import cache
from typing import Any

import attrs
import numpy as np

from optreg.backends.cuda_source import OPTIONS, REDUCE, SEND, STEP, THREADS, WORDS, CudaSources, cuda_sources
from optreg.errors import UntraceableRuleError
from optreg.tracing.nodes import Rule

Table = np.ndarray[Any, Any]


@attrs.frozen(eq=False)
class Kernels:
    """What a rule is compiled to: texts that depend on where scalars are, as well."""

    rule: Rule

    def compiled(self, rows: int, on_device: Set[int]) -> list[Any]:
        """The kernels in the order in which they are launched, compiled for the current device.

        Args:
            rows: of scalars that a launch holds.
            on_device: the scalars that are there, by position.

        Raises:
            UntraceableRuleError: NVRTC cannot compile one.
        """
        import cupy

        texts = cuda_sources(self.rule, rows, on_device)
        found = [*(kernel(text, REDUCE) for text in texts.stages), kernel(texts.step, STEP)]
        try:
            for each in found:
                each.compile()
        except cupy.cuda.compiler.CompileException as error:
            raise UntraceableRuleError(f"NVRTC cannot compile a kernel: {error}") from error
        return found


def kernels_of(rule: Rule) -> Kernels:
    """The kernels of a rule.

    Raises:
        UntraceableRuleError: it computes something that cannot be done in CUDA as NumPy does it.
    """
    _: CudaSources = cuda_sources(rule)  # which raises it
    return Kernels(rule)


@cache
def kernel(source: str, name: str) -> Any:
    """A kernel, compiled on each device when it is first launched there; CuPy keeps the results on disk."""
    import cupy

    return cupy.RawKernel(source, name, OPTIONS)


def by_value(words: Table) -> Table:
    """Numbers in the form in which CuPy hands them to a kernel as one structure."""
    return words.view([("of", words.dtype, words.shape)])


def addresses_of(tables: Sequence[Any]) -> Table:
    """The structure of the addresses of arrays on the current device."""
    return by_value(np.array([table.data.ptr for table in tables], np.int64))


def send(numbers: Table, table: Any) -> None:
    """Write int64 numbers to a table on the current device, from the launch itself: never waits."""
    flat = numbers.ravel()
    for first in range(0, flat.size, WORDS):
        part = flat[first : first + WORDS]
        words = np.zeros(WORDS, np.int64)
        words[: part.size] = part
        kernel(SEND, "send")((1,), (THREADS,), (table, np.int64(first), np.int32(part.size), by_value(words)))
