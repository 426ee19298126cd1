"""M-SVAG beside pytorch_optimizer, and beside three steps worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_optimizer

from optreg.optimizers.msvag import MSVAG

from .references import Torch, assert_same_path, every_problem


@every_problem
@pytest.mark.parametrize(
    "changed",
    [{}, {"lr": 0.02, "beta": 0.6}, {"lr": 0.02, "beta": 0.0}],
    ids=["defaults", "changed", "no-beta"],
)
def test_msvag_walks_the_path_of_pytorch_optimizer(changed, problem):
    theirs = Torch(lambda params: pytorch_optimizer.MSVAG(params, **{"lr": 0.1, "beta": 0.9} | changed))
    states = {"m": "exp_avg", "v": "exp_avg_sq"}
    # Its first step, with a rho of 0.9999, multiplies the rounding of v̂ − m̂² by 10⁴.
    assert_same_path(MSVAG(**changed), theirs, problem, states=states, slack=1e4)


def test_msvag_makes_the_three_steps_that_were_worked_out_by_hand():
    """Gradients 4, −2, 1 with beta = 1/2 and lr = 1/8.

    t = 1: m̂ = 4; v̂ = 16; v̂ − m̂² = 0; the factor is 1; the step is 4/8.
    t = 2: m = 0; the step is 0.
    t = 3: m = 1/2; m̂ = 4/7; v = 7/2; v̂ = 4; betaᵗ = 1/8; rho = (1/2)(9/8) / ((3/2)(7/8)) = 3/7;
           m̂² = 16/49; s = (180/49)·(7/4) = 45/7; rho·s = 135/49; the factor is 16/151;
           the step is (1/8)(4/7)(16/151).
    """
    w = np.array([1.0])
    optimizer = MSVAG(lr=1 / 8, beta=1 / 2).setup({"w": w})
    for gradient, expected in [(4.0, 0.5), (-2.0, 0.5), (1.0, 0.5 - 8 / 1057)]:
        optimizer.apply_gradients({"w": np.array([gradient])})
        np.testing.assert_allclose(w, [expected], rtol=1e-14)


def test_the_first_step_is_a_whole_one_in_half_precision_as_well():
    gradient = np.linspace(-2, 2, 1000).astype(np.float16)
    w = np.zeros_like(gradient)
    MSVAG(lr=0.5).setup({"w": w}).apply_gradients({"w": gradient})
    np.testing.assert_allclose(w, -gradient / 2, rtol=2e-3)
