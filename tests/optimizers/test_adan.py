"""Adan beside pytorch_optimizer, and beside optax where the two formulas meet."""

from __future__ import annotations

import optax
import pytest
import pytorch_optimizer

from optreg.optimizers.adan import Adan

from .references import Optax, Torch, assert_same_path, every_problem


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.01, "beta1": 0.8, "beta2": 0.7, "beta3": 0.9, "eps": 0.1}, id="changed"),
        pytest.param({"lr": 0.05, "beta1": 0.0, "beta2": 0.0, "beta3": 0.0, "eps": 1e-3}, id="no-betas"),
        pytest.param({"lr": 0.1, "weight_decay": 0.3}, id="weight-decay"),
    ],
)
def test_adan_walks_the_path_of_pytorch_optimizer(changed, problem):
    defaults = {"lr": 1e-3, "beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "eps": 1e-8, "weight_decay": 0.0}
    values = defaults | changed
    theirs = Torch(
        lambda params: pytorch_optimizer.Adan(
            params,
            lr=values["lr"],
            betas=(values["beta1"], values["beta2"], values["beta3"]),
            eps=values["eps"],
            weight_decay=values["weight_decay"],
            weight_decouple=False,  # its name for the proximal form
        )
    )
    states = {"m": "exp_avg", "d": "exp_avg_diff", "n": "exp_avg_sq"}
    assert_same_path(Adan(**changed), theirs, problem, states=states)


@every_problem
def test_adan_walks_the_path_of_optax_where_beta2_is_one_minus_beta2(problem):
    theirs = Optax(optax.adan(0.01, b1=0.9, b2=0.5, b3=0.95, eps=0.01, eps_root=0.0))
    states = {
        "m": lambda state: state[0].m,
        "d": lambda state: state[0].v,
        "n": lambda state: state[0].n,
        "previous": lambda state: state[0].g,
    }
    ours = Adan(lr=0.01, beta1=0.9, beta2=0.5, beta3=0.95, eps=0.01)
    assert_same_path(ours, theirs, problem, states=states)
