"""What a step takes of memory beside parameters, gradients and states."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import optreg
from backends.steps import repeats

LIMIT = 16 * 2**20
SIZES = {"one of 64 MB": [1 << 24], "a thousand": [10_000] * 1000, "three thousand": [100] * 3000}


def _extra(optimizer: Any) -> int:
    """The most that was allocated within three steps with new gradients, which are not counted."""
    most = 0
    for _ in range(3):
        for parameter in optimizer.target.params():
            parameter.grad = np.ones_like(parameter.data)
        gradients = [id(parameter.grad) for parameter in optimizer.target.params()]
        tracemalloc.start()
        optimizer.update()
        most = max(most, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert [id(parameter.grad) for parameter in optimizer.target.params()] == gradients
    return most


@pytest.mark.parametrize("hooks", [[], [("gradient_clipping", {"threshold": 1.0}), ("weight_decay", {"rate": 0.1})]])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_step_needs_less_than_16_mb(backend, sizes, hooks):
    with optreg.use_backend(backend):
        optimizer = optreg.create("adamw", hooks=hooks)
        optimizer.setup({str(number): np.zeros(size, np.float32) for number, size in enumerate(sizes)})
        for parameter in optimizer.target.params():
            parameter.grad = np.ones_like(parameter.data)
        optimizer.update()  # which makes the states
        assert _extra(optimizer) < LIMIT
    assert repeats(optimizer) == (backend == "numba")


def test_gradients_are_given_back_after_a_step():
    with optreg.use_backend("numba"):
        optimizer = optreg.create("adamw").setup({"w": np.zeros(1 << 22, np.float32)})
        tracemalloc.start()
        for _ in range(5):
            optimizer.target["w"].grad = np.ones(1 << 22, np.float32)
            optimizer.update()
            optimizer.target["w"].grad = None
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert held < 2.5 * 4 * 2**22, "more than the two states is held"
