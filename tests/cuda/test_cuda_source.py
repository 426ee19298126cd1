"""The CUDA source of every built-in compiles, without a GPU, and keeps to registers."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

import optreg
from optreg.backends.cuda_source import OPTIONS, REDUCE, STEP, TABLES, THREADS, WORDS, cuda_sources
from optreg.rule import OwnedRule
from optreg.tracing.chain import Link, chain
from optreg.tracing.nodes import Input
from optreg.tracing.trace import trace

from .nvrtc import Resources, cubin, library, resources
from .rules import rules

needs_nvrtc = pytest.mark.skipif(library() is None, reason="needs nvidia-cuda-nvrtc")

REGISTERS_OF_A_MULTIPROCESSOR = 65536
SOURCES = {
    dtype: {cuda_sources(rule): name for name, rule in rules(dtype)} for dtype in ("float32", "float64", "float16")
}
SOURCES["master weights"] = {cuda_sources(rule): name for name, rule in rules("float16", with_masters=True)}
ARCHITECTURES = {
    "float32": [pytest.param("sm_90"), pytest.param("sm_80", marks=pytest.mark.exhaustive)],
    "float64": [pytest.param("sm_80"), pytest.param("sm_90", marks=pytest.mark.exhaustive)],
    "float16": [pytest.param("sm_90")],
    "master weights": [pytest.param("sm_90")],
}


@cache
def compiled(source: str, architecture: str, kernel: str = STEP) -> Resources:
    return resources(cubin(source, architecture, OPTIONS), kernel)


def steps(dtype):
    """The kernels that change arrays, by the name of the rule."""
    return {name: sources.step for sources, name in SOURCES[dtype].items()}


@needs_nvrtc
@pytest.mark.parametrize(
    ("dtype", "name", "architecture"),
    [
        pytest.param(dtype, name, *each.values, marks=each.marks)
        for dtype in SOURCES
        for each in ARCHITECTURES[dtype]
        for name in SOURCES[dtype].values()
    ],
)
def test_every_built_in_compiles_and_keeps_to_registers(dtype, name, architecture):
    sources = next(sources for sources, each in SOURCES[dtype].items() if each == name)
    for source, kernel in [*((each, REDUCE) for each in sources.stages), (sources.step, STEP)]:
        found = compiled(source, architecture, kernel)
        assert found.stack == found.least_stack == 0, "spilled to local memory"
        # A third of the threads that a multiprocessor can have is enough to keep the memory busy; with twice as many
        # elements for each thread, or elements twice as large, a quarter.
        blocks = 3 if dtype == "float32" else 2
        assert found.registers * THREADS * blocks <= REGISTERS_OF_A_MULTIPROCESSOR


@needs_nvrtc
def test_all_hooks_and_adamw_are_one_kernel_that_keeps_to_registers():
    (source,) = {cuda_sources(rule).step for name, rule in rules("float32", True) if name.startswith("adamw")}
    assert source.count("__global__") == 1
    assert compiled(source, "sm_90").stack == 0


@needs_nvrtc
def test_a_spill_would_be_noticed():
    body = "float of[64]; for (int k = 0; k < 64; ++k) of[k * i & 63] += a[k]; a[0] = of[i];"
    text = f'extern "C" __global__ void {STEP}(float *a, int i) {{ {body} }}'
    assert resources(cubin(text, "sm_90", OPTIONS), STEP).stack >= 256


def rule_of(name, dtype="float32"):
    optimizer = optreg.create(name)
    return chain(
        [Link(trace(OwnedRule(optimizer), (Input("param", np.dtype(dtype)), Input("grad", np.dtype(dtype)))), True)]
    )


@pytest.mark.parametrize(("dtype", "elements"), [("float32", 4), ("float64", 2)])
def test_elements_are_moved_sixteen_bytes_at_a_time(dtype, elements):
    assert f"struct alignas(16) Pack {{ T of[{elements}]; }}" in cuda_sources(rule_of("sgd", dtype)).step


def test_half_precision_is_moved_sixteen_bytes_at_a_time_and_computed_in_single():
    (source,) = (source for name, source in steps("float16").items() if name.startswith("adamw"))
    assert "struct alignas(16) Pack { T of[8]; }" in source
    assert "to_half(v" in source
    assert "Pack<Half> x0" in source
    assert "Pack<float> x2" in source


def test_only_what_is_read_is_loaded_and_only_what_changes_is_stored():
    (source,) = (
        source for name, source in steps("float32").items() if name.startswith("adopt") and name.endswith("at 1")
    )  # v[...] = g·g
    assert re.findall(r"x(\d+) = \*\(const Pack", source) == ["1"]
    assert re.findall(r"\*\(Pack<float> \*\)\(p(\d) \+ i\) = ", source) == ["3"]


def test_the_scalars_of_many_groups_fit_into_a_launch():
    columns = len(rule_of("sgd").scalars)
    source = cuda_sources(rule_of("sgd"), rows=WORDS // columns).step
    assert f"Word of[{WORDS}]" in source
    assert 8 * WORDS + 8 * len(TABLES) + 2 * 8 <= 4096
    if library() is not None:
        assert compiled(source, "sm_80").stack == 0


def test_numbers_of_a_tensor_are_written_by_the_last_block_that_has_read_them():
    (source,) = (source for name, source in steps("float32").items() if name.startswith("nadam"))
    read = source.index("*(const volatile float *)address[4]")
    assert (
        read
        < source.index("__syncthreads()")
        < source.index("atomicAdd(tables.arrived")
        < source.index("*(float *)address[4] =")
    )
    assert "atomicAdd" not in next(source for name, source in steps("float32").items() if name.startswith("adamw"))
