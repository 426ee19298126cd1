"""AdaBound beside its authors' package."""

from __future__ import annotations

import adabound
import numpy as np
import pytest

from optreg.optimizers.adabound import AdaBound
from optreg.schedules import Constant, Exponential, LinearWarmup

from .references import Torch, assert_same_path, every_problem

# The package was written for PyTorch 1.0.
pytestmark = pytest.mark.filterwarnings("ignore:This overload of add:UserWarning")

DEFAULTS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "final_lr": 0.1, "gamma": 1e-3, "eps": 1e-8}


def _authors(values):
    return lambda params: adabound.AdaBound(
        params,
        lr=values["lr"],
        betas=(values["beta1"], values["beta2"]),
        final_lr=values["final_lr"],
        gamma=values["gamma"],
        eps=values["eps"],
    )


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.05, "beta1": 0.6, "beta2": 0.8, "eps": 1e-2}, id="changed"),
        pytest.param({"lr": 0.01, "final_lr": 0.02, "gamma": 0.3}, id="bounds-that-bind"),
        pytest.param({"lr": 0.01, "beta1": 0.0, "beta2": 0.0}, id="no-betas"),
    ],
)
def test_adabound_walks_the_path_of_its_authors(changed, problem):
    states = {"m": "exp_avg", "v": "exp_avg_sq"}
    theirs = Torch(_authors(DEFAULTS | changed))
    assert_same_path(AdaBound(**changed), theirs, problem, states=states)


@every_problem
def test_the_bounds_follow_a_falling_rate_as_they_do_for_its_authors(problem):
    falling = Exponential(initial=0.01, factor=0.9)
    changed = {"final_lr": 0.02, "gamma": 0.3}
    theirs = Torch(_authors(DEFAULTS | changed | {"lr": 0.01}), lr=falling)
    assert_same_path(AdaBound(lr=falling, **changed), theirs, problem)


def test_after_a_warm_up_the_bounds_are_those_of_the_full_rate():
    steps, rate = 10, 0.01
    constant, warmed = np.ones(3), np.ones(3)
    bounds = {"final_lr": 0.02, "gamma": 0.3, "beta1": 0.0, "beta2": 0.0}
    one = AdaBound(lr=Constant(rate), **bounds).setup({"w": constant})
    other = AdaBound(lr=LinearWarmup(steps=steps, then=rate), **bounds).setup({"w": warmed})
    gradient = np.array([3.0, -0.01, 0.0])
    for _ in range(steps):
        one.apply_gradients({"w": gradient})
        other.apply_gradients({"w": gradient})
    before = constant.copy(), warmed.copy()
    one.apply_gradients({"w": gradient})
    other.apply_gradients({"w": gradient})
    np.testing.assert_allclose(warmed - before[1], constant - before[0], rtol=1e-12)


def test_a_schedule_that_begins_at_zero_rests_there_and_goes_on():
    w = np.ones(2)
    optimizer = AdaBound(lr=lambda t: (t - 1) * 1e-3).setup({"w": w})
    optimizer.apply_gradients({"w": np.array([1.0, 0.0])})
    np.testing.assert_array_equal(w, 1)
    optimizer.apply_gradients({"w": np.array([1.0, 0.0])})
    assert w[0] < 1
    assert w[1] == 1
