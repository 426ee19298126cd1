"""SGD, plain and with momentum, beside PyTorch and optax."""

from __future__ import annotations

import optax
import pytest
import torch

from optreg.optimizers.sgd import SGD, MomentumSGD, NesterovAG

from .references import Optax, Torch, assert_same_path, every_problem

BUFFER = {"buf": "momentum_buffer"}


@every_problem
@pytest.mark.parametrize(
    ("optimizer", "theirs", "states"),
    [
        # torch's default lr is 1e-3, and it has no momentum unless it is asked for.
        pytest.param(SGD(), Torch(lambda p: torch.optim.SGD(p, lr=1e-2)), {}, id="sgd"),
        pytest.param(SGD(lr=0.3), Torch(lambda p: torch.optim.SGD(p, lr=0.3)), {}, id="sgd-changed"),
        pytest.param(
            MomentumSGD(),
            Torch(lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9)),
            BUFFER,
            id="momentum_sgd",
        ),
        pytest.param(
            MomentumSGD(lr=0.1, momentum=0.5),
            Torch(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5)),
            BUFFER,
            id="momentum_sgd-changed",
        ),
        pytest.param(
            NesterovAG(),
            Torch(lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True)),
            BUFFER,
            id="nesterov_ag",
        ),
        pytest.param(
            NesterovAG(lr=0.1, momentum=0.5),
            Torch(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5, nesterov=True)),
            BUFFER,
            id="nesterov_ag-changed",
        ),
    ],
)
def test_the_path_is_that_of_torch(optimizer, theirs, states, problem):
    assert_same_path(optimizer, theirs, problem, states=states)


@every_problem
@pytest.mark.parametrize(
    ("optimizer", "theirs"),
    [
        pytest.param(SGD(lr=0.05), Optax(optax.sgd(0.05)), id="sgd"),
        pytest.param(MomentumSGD(lr=0.05, momentum=0.8), Optax(optax.sgd(0.05, momentum=0.8)), id="momentum_sgd"),
        pytest.param(
            NesterovAG(lr=0.05, momentum=0.8),
            Optax(optax.sgd(0.05, momentum=0.8, nesterov=True)),
            id="nesterov_ag",
        ),
    ],
)
def test_the_path_is_that_of_optax(optimizer, theirs, problem):
    assert_same_path(optimizer, theirs, problem)
