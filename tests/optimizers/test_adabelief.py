"""AdaBelief beside optax and beside its authors' package."""

from __future__ import annotations

import adabelief_pytorch
import optax
import pytest

from optreg.optimizers.adabelief import AdaBelief

from .references import Optax, Torch, assert_same_path, every_problem

DEFAULTS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-16, "weight_decay": 0.0}

every_setting = pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.05, "beta1": 0.6, "beta2": 0.8, "eps": 1e-3}, id="changed"),
        pytest.param({"lr": 0.05, "beta1": 0.5, "beta2": 0.0, "eps": 0.1}, id="no-beta2"),
        pytest.param({"lr": 0.1, "weight_decay": 0.3, "eps": 1e-8}, id="weight-decay"),
    ],
)


@every_problem
@every_setting
def test_adabelief_walks_the_path_of_its_authors_without_rectification(changed, problem):
    values = DEFAULTS | changed
    theirs = Torch(
        lambda params: adabelief_pytorch.AdaBelief(
            params,
            lr=values["lr"],
            betas=(values["beta1"], values["beta2"]),
            eps=values["eps"],
            weight_decay=values["weight_decay"],
            weight_decouple=True,
            rectify=False,
            print_change_log=False,
        )
    )
    assert_same_path(AdaBelief(**changed), theirs, problem, states={"m": "exp_avg", "s": "exp_avg_var"})


@every_problem
@every_setting
def test_adabelief_walks_the_path_of_optax(changed, problem):
    values = DEFAULTS | changed
    theirs = Optax(
        optax.chain(
            optax.scale_by_belief(values["beta1"], values["beta2"], eps=values["eps"], eps_root=values["eps"]),
            optax.add_decayed_weights(values["weight_decay"]),
            optax.scale_by_learning_rate(values["lr"]),
        )
    )
    states = {"m": lambda state: state[0].mu, "s": lambda state: state[0].nu}
    assert_same_path(AdaBelief(**changed), theirs, problem, states=states)
