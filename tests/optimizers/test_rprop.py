"""Rprop beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optreg.optimizers.rprop import Rprop

from .references import Torch, assert_same_path, every_problem


@every_problem
@pytest.mark.parametrize(
    ("optimizer", "theirs"),
    [
        pytest.param(Rprop(), Torch(torch.optim.Rprop), id="defaults"),
        pytest.param(
            Rprop(lr=0.05, eta_minus=0.3, eta_plus=1.5, min_step=1e-3, max_step=0.1),
            Torch(lambda p: torch.optim.Rprop(p, lr=0.05, etas=(0.3, 1.5), step_sizes=(1e-3, 0.1))),
            id="changed",
        ),
    ],
)
def test_the_path_is_that_of_torch(optimizer, theirs, problem):
    assert_same_path(optimizer, theirs, problem, states={"prev": "prev", "step": "step_size"})


def test_gradients_whose_product_is_too_small_for_a_float_still_agree():
    w = np.zeros(1, dtype=np.float32)
    optimizer = Rprop(lr=1.0, eta_plus=2.0).setup({"w": w})
    for _ in range(3):
        optimizer.apply_gradients({"w": np.array([1e-30], dtype=np.float32)})
    np.testing.assert_array_equal(w, [-7.0])


def test_the_first_step_of_a_parameter_is_the_rate_of_that_time():
    """PyTorch reads lr once, when a parameter has its first gradient, and so is a schedule read."""
    arrays = {"a": np.zeros(2)}
    optimizer = Rprop(lr=lambda t: 0.1 * t).setup(arrays)
    optimizer.apply_gradients({"a": np.ones(2)})
    arrays["b"] = np.zeros(2)
    optimizer.apply_gradients({"a": np.ones(2), "b": np.ones(2)})
    np.testing.assert_allclose(arrays["a"], -0.1 - 0.1 * 1.2)
    np.testing.assert_allclose(arrays["b"], -0.2)
