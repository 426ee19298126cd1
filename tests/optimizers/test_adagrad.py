"""AdaGrad and AdaDelta beside PyTorch and optax."""

from __future__ import annotations

import optax
import pytest
import torch

from optreg.optimizers.adagrad import AdaDelta, AdaGrad

from .references import Optax, Torch, assert_same_path, every_problem

SQUARES = {"msg": "square_avg", "msdx": "acc_delta"}


@every_problem
@pytest.mark.parametrize(
    ("optimizer", "theirs", "states"),
    [
        pytest.param(AdaGrad(), Torch(torch.optim.Adagrad), {"h": "sum"}, id="adagrad"),
        pytest.param(
            AdaGrad(lr=0.3, eps=1e-3),
            Torch(lambda p: torch.optim.Adagrad(p, lr=0.3, eps=1e-3)),
            {"h": "sum"},
            id="adagrad-changed",
        ),
        pytest.param(AdaDelta(), Torch(torch.optim.Adadelta), SQUARES, id="adadelta"),
        pytest.param(
            AdaDelta(lr=0.5, rho=0.6, eps=1e-3),
            Torch(lambda p: torch.optim.Adadelta(p, lr=0.5, rho=0.6, eps=1e-3)),
            SQUARES,
            id="adadelta-changed",
        ),
        pytest.param(
            AdaDelta(rho=0.0),
            Torch(lambda p: torch.optim.Adadelta(p, rho=0.0)),
            SQUARES,
            id="adadelta-no-rho",
        ),
    ],
)
def test_the_path_is_that_of_torch(optimizer, theirs, states, problem):
    assert_same_path(optimizer, theirs, problem, states=states)


@every_problem
def test_adadelta_walks_the_path_of_optax(problem):
    theirs = Optax(optax.adadelta(0.7, rho=0.8, eps=1e-4))
    states = {"msg": lambda state: state[1].e_g, "msdx": lambda state: state[1].e_x}
    assert_same_path(AdaDelta(lr=0.7, rho=0.8, eps=1e-4), theirs, problem, states=states)
