"""Yogi beside optax."""

from __future__ import annotations

import numpy as np
import optax
import pytest

from optreg.optimizers.yogi import Yogi

from .references import Optax, assert_same_path, every_problem


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.05, "beta1": 0.6, "beta2": 0.8, "eps": 0.1}, id="changed"),
        pytest.param({"beta1": 0.0, "beta2": 0.0, "eps": 0.1}, id="no-betas"),
    ],
)
def test_yogi_walks_the_path_of_optax(changed, problem):
    values = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-3} | changed
    theirs = Optax(optax.yogi(values["lr"], b1=values["beta1"], b2=values["beta2"], eps=values["eps"]))
    states = {"m": lambda state: state[0].mu, "v": lambda state: state[0].nu}
    assert_same_path(Yogi(**changed), theirs, problem, states=states)


def test_both_parts_of_a_complex_parameter_begin_alike():
    number, pair = np.array([1.0 + 2.0j]), np.array([1.0, 2.0])
    one = Yogi().setup({"w": number})
    other = Yogi().setup({"w": pair})
    for _ in range(3):
        one.apply_gradients({"w": np.array([0.5 - 1.0j])})
        other.apply_gradients({"w": np.array([0.5, -1.0])})
    np.testing.assert_array_equal(number.view(float), pair)
