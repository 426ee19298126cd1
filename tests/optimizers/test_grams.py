"""Grams beside its authors' package."""

from __future__ import annotations

import grams
import pytest

from optreg.optimizers.grams import Grams

from .references import Torch, assert_same_path, every_problem


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.05, "beta1": 0.6, "beta2": 0.8, "eps": 0.1}, id="changed"),
        pytest.param({"lr": 0.05, "beta1": 0.0, "beta2": 0.0, "eps": 0.1}, id="no-betas"),
        pytest.param({"lr": 0.1, "weight_decay": 0.3}, id="weight-decay"),
    ],
)
def test_grams_walks_the_path_of_its_authors(changed, problem):
    values = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-6, "weight_decay": 0.0} | changed
    theirs = Torch(
        lambda params: grams.Grams(
            params,
            lr=values["lr"],
            betas=(values["beta1"], values["beta2"]),
            eps=values["eps"],
            weight_decay=values["weight_decay"],
        )
    )
    states = {"m": "exp_avg", "v": "exp_avg_sq"}
    assert_same_path(Grams(**changed), theirs, problem, states=states)
