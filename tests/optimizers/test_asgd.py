"""ASGD beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optreg.optimizers.asgd import ASGD

from .references import Torch, assert_same_path, every_problem, written_states


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.1, "lambd": 0.05, "alpha": 0.5}, id="changed"),
        pytest.param({"lr": 0.1, "t0": 0.0}, id="averaging-from-the-first-step"),
        pytest.param({"lr": 0.1, "t0": 2.0, "lambd": 0.0}, id="averaging-after-two-steps"),
    ],
)
def test_the_path_is_that_of_torch(changed, problem):
    theirs = Torch(lambda p: torch.optim.ASGD(p, **changed))
    assert_same_path(ASGD(**changed), theirs, problem, states={"ax": "ax"})


def test_a_parameter_that_joins_late_averages_from_where_it_begins():
    arrays = {"a": np.full(2, 5.0)}
    optimizer = ASGD(t0=0.0, lambd=0.0).setup(arrays)
    for _ in range(10):
        optimizer.apply_gradients({"a": np.ones(2)})
    arrays["b"] = np.full(2, 5.0)
    optimizer.apply_gradients({"b": np.zeros(2)})
    np.testing.assert_array_equal(written_states(optimizer)["b"]["ax"], 5.0)
