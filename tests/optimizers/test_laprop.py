"""LaProp beside pytorch_optimizer, and beside numbers that its authors' code gave."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import pytorch_optimizer

from optreg.optimizers.laprop import LaProp
from optreg.schedules import Exponential

from .references import Torch, assert_same_path, every_problem


class _ExactLaProp(pytorch_optimizer.LaProp):
    """Without the 1e-15 that the package adds to v before it takes the root."""

    apply_ams_bound = staticmethod(partial(pytorch_optimizer.LaProp.apply_ams_bound, exp_avg_sq_eps=0))


def _pytorch_optimizer(values):
    return lambda params: _ExactLaProp(
        params,
        lr=values["lr"],
        betas=(values["beta1"], values["beta2"]),
        eps=TINY,
        weight_decay=values["weight_decay"],
        weight_decouple=True,
        fixed_decay=True,
        foreach=False,  # which would round its bias correction to single precision
    )


# The package corrects eps for its bias as well, so here eps is only what keeps 0 / 0 from happening.
TINY = 1e-30
DEFAULTS = {"lr": 4e-4, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0}
STATES = {"m": "exp_avg", "v": "exp_avg_sq"}


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults-but-eps"),
        pytest.param({"lr": 0.05, "beta1": 0.6, "beta2": 0.8}, id="changed"),
        pytest.param({"lr": 0.05, "beta1": 0.0}, id="no-beta1"),
        pytest.param({"lr": 0.05, "weight_decay": 0.1}, id="weight-decay"),
    ],
)
def test_laprop_walks_the_path_of_pytorch_optimizer(changed, problem):
    theirs = Torch(_pytorch_optimizer(DEFAULTS | changed))
    assert_same_path(LaProp(**changed, eps=TINY), theirs, problem, states=STATES)


@every_problem
def test_a_schedule_weighs_each_gradient_with_its_own_rate(problem):
    falling = Exponential(initial=0.05, factor=0.8)
    theirs = Torch(_pytorch_optimizer(DEFAULTS | {"lr": 0.05}), lr=falling)
    assert_same_path(LaProp(lr=falling, eps=TINY), theirs, problem, states=STATES)


GRADIENTS = [[2.0, 0.0, -0.5], [-1.0, 0.0, -0.25], [0.0, 4.0, 1.0]]


@pytest.mark.parametrize(
    ("hyperparameters", "published"),
    [
        pytest.param(
            {},
            [
                [0.9996, -2.0, 3.0004],
                [0.9995436948356197, -2.0, 3.0007226422040407],
                [0.9995081664846638, -2.0002555254397594, 3.0007031395661765],
            ],
            id="defaults",
        ),
        pytest.param(
            {"lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.125, "weight_decay": 0.0625},
            [
                [0.8492647058823529, -1.875, 2.8875],
                [0.8049568085406656, -1.7578125, 2.7630970624748175],
                [0.7584060709108569, -1.7257190432397542, 2.5507773294292124],
            ],
            id="changed",
        ),
        pytest.param(
            {"lr": lambda t: [0.1, 0.05, 0.2][t - 1], "beta1": 0.8, "beta2": 0.9, "eps": 1e-8},
            [
                [0.9000000005, -2.0, 3.099999998],
                [0.8815900887843598, -2.0, 3.1431285468152965],
                [0.8563975780155892, -2.21660628375532, 3.0090825587084993],
            ],
            id="schedule",
        ),
    ],
)
def test_laprop_makes_the_three_steps_of_its_authors_code(hyperparameters, published):
    """The numbers were printed by the authors' laprop.py in double precision."""
    w = np.array([1.0, -2.0, 3.0])
    optimizer = LaProp(**hyperparameters).setup({"w": w})
    for gradient, expected in zip(GRADIENTS, published, strict=True):
        optimizer.apply_gradients({"w": np.array(gradient)})
        np.testing.assert_allclose(w, expected, rtol=1e-14)


def test_at_a_rate_of_zero_nothing_moves():
    w = np.ones(2)
    optimizer = LaProp(lr=lambda t: [0.0, 0.1, 0.0][t - 1]).setup({"w": w})
    optimizer.apply_gradients({"w": np.array([1.0, 0.0])})
    np.testing.assert_array_equal(w, 1)
    optimizer.apply_gradients({"w": np.array([1.0, 0.0])})
    moved = w.copy()
    assert moved[0] < 1
    optimizer.apply_gradients({"w": np.array([1.0, 0.0])})
    np.testing.assert_array_equal(w, moved)
