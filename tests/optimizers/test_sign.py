"""The methods of signs beside optax."""

from __future__ import annotations

import numpy as np
import optax
import pytest

from optreg.optimizers.sign import Lion, SignSGD, Signum

from .references import Optax, assert_same_path, every_problem


@every_problem
@pytest.mark.parametrize("lr", [1e-4, 0.1])
def test_signsgd_walks_the_path_of_optax(lr, problem):
    assert_same_path(SignSGD(lr=lr), Optax(optax.sign_sgd(lr)), problem)


@every_problem
@pytest.mark.parametrize(
    "changed",
    [{}, {"lr": 0.1, "momentum": 0.5}, {"momentum": 0.0}],
    ids=["defaults", "changed", "no-momentum"],
)
def test_signum_walks_the_path_of_optax(changed, problem):
    values = {"lr": 1e-4, "momentum": 0.9} | changed
    theirs = Optax(optax.signum(values["lr"], beta=values["momentum"]))
    assert_same_path(Signum(**changed), theirs, problem, states={"m": lambda state: state[0].ema})


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.05, "beta1": 0.6, "beta2": 0.8, "weight_decay": 0.3}, id="changed"),
        pytest.param({"lr": 0.05, "beta1": 0.0, "beta2": 0.0}, id="no-betas"),
    ],
)
def test_lion_walks_the_path_of_optax(changed, problem):
    values = {"lr": 1e-4, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0} | changed
    theirs = Optax(
        optax.lion(values["lr"], b1=values["beta1"], b2=values["beta2"], weight_decay=values["weight_decay"])
    )
    assert_same_path(Lion(**changed), theirs, problem, states={"m": lambda state: state[0].mu})


def test_signum_without_momentum_takes_the_steps_of_signsgd_after_a_far_larger_gradient():
    by_signum, by_signsgd = np.ones(2), np.ones(2)
    signum, signsgd = Signum(lr=0.5, momentum=0.0), SignSGD(lr=0.5)
    signum.setup({"w": by_signum})
    signsgd.setup({"w": by_signsgd})
    for gradient in (np.array([1.0, -1e20]), np.array([-1e-20, 1e-20]), np.zeros(2)):
        signum.apply_gradients({"w": gradient})
        signsgd.apply_gradients({"w": gradient})
    np.testing.assert_array_equal(by_signum, by_signsgd)
