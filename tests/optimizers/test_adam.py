"""Adam, AdamW, AMSGrad, Adamax, NAdam and RAdam beside PyTorch, and optax where its formula is the same."""

from __future__ import annotations

import numpy as np
import optax
import pytest
import torch

from optreg.optimizers.adam import Adam, Adamax, AdamW, AMSGrad
from optreg.optimizers.nadam import NAdam
from optreg.optimizers.radam import RAdam

from .references import Optax, Torch, assert_same_path, every_problem

MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}
CHANGED = {"lr": 0.05, "beta1": 0.7, "beta2": 0.95, "eps": 1e-4}
NO_BETAS = {"beta1": 0.0, "beta2": 0.0}
METHODS = {
    "adam": (Adam, torch.optim.Adam, {}, MOMENTS),
    "adamw": (AdamW, torch.optim.AdamW, {}, MOMENTS),
    "amsgrad": (AMSGrad, torch.optim.Adam, {"amsgrad": True}, MOMENTS | {"vhat": "max_exp_avg_sq"}),
    "adamax": (Adamax, torch.optim.Adamax, {}, {"m": "exp_avg", "u": "exp_inf"}),
    "nadam": (NAdam, torch.optim.NAdam, {}, MOMENTS | {"mu_product": "mu_product"}),
    "radam": (RAdam, torch.optim.RAdam, {}, MOMENTS),
}


def _as_torch_says(hyperparameters):
    given = dict(hyperparameters)
    if "beta1" in given:
        given["betas"] = (given.pop("beta1"), given.pop("beta2"))
    return given


@every_problem
@pytest.mark.parametrize("changed", [{}, CHANGED, NO_BETAS], ids=["defaults", "changed", "no-betas"])
@pytest.mark.parametrize("name", METHODS)
def test_the_path_is_that_of_torch(name, changed, problem):
    ours, theirs, option, states = METHODS[name]
    reference = Torch(lambda p: theirs(p, **option, **_as_torch_says(changed)))
    assert_same_path(ours(**changed), reference, problem, states=states)


@every_problem
def test_decoupled_decay_is_that_of_torch(problem):
    reference = Torch(lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5))
    assert_same_path(AdamW(lr=0.1, weight_decay=0.5), reference, problem, states=MOMENTS)


@every_problem
def test_the_momentum_of_nadam_grows_as_that_of_torch(problem):
    reference = Torch(lambda p: torch.optim.NAdam(p, momentum_decay=0.1))
    states = {"mu_product": "mu_product"}
    assert_same_path(NAdam(momentum_decay=0.1), reference, problem, states=states)


@every_problem
@pytest.mark.parametrize(
    ("optimizer", "theirs"),
    [
        pytest.param(Adam(**CHANGED), Optax(optax.adam(0.05, 0.7, 0.95, 1e-4)), id="adam"),
        pytest.param(
            AdamW(**CHANGED, weight_decay=0.1),
            Optax(optax.adamw(0.05, 0.7, 0.95, 1e-4, weight_decay=0.1)),
            id="adamw",
        ),
        pytest.param(Adamax(**CHANGED), Optax(optax.adamax(0.05, 0.7, 0.95, 1e-4)), id="adamax"),
    ],
)
def test_the_path_is_that_of_optax(optimizer, theirs, problem):
    assert_same_path(optimizer, theirs, problem)


def test_without_betas_a_small_gradient_after_a_large_one_is_not_lost():
    """With both betas zero Adam's step is lr times the sign, whatever came before."""
    w = np.zeros(1, dtype=np.float32)
    optimizer = Adam(lr=1.0, beta1=0.0, beta2=0.0, eps=1e-30).setup({"w": w})
    for gradient in (1e6, 1e-6, -1e-3):
        optimizer.apply_gradients({"w": np.array([gradient], dtype=np.float32)})
    np.testing.assert_allclose(w, [-1.0], rtol=1e-6)
