"""Kernels for devices, compiled by NVRTC through CuPy when they are first launched there."""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from typing import Any

import attrs

from optreg.backends.cuda_source import OPTIONS, REDUCE, STEP, CudaSources, cuda_sources
from optreg.errors import UntraceableRuleError
from optreg.tracing.nodes import Rule


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
