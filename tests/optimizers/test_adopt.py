"""ADOPT beside its authors' package and beside optax."""

from __future__ import annotations

import adopt
import optax
import pytest

from optreg.optimizers.adopt import ADOPT

from .references import Optax, Torch, assert_same_path, every_problem

# The package calls what PyTorch has since renamed.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use _accelerator_graph_capture_health_check:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*is_compiling. is deprecated:UserWarning"),
]

DEFAULTS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.9999, "eps": 1e-6, "weight_decay": 0.0}


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.05, "beta1": 0.6, "beta2": 0.8, "eps": 0.1}, id="changed"),
        pytest.param({"lr": 0.05, "eps": 0.5, "clip": False}, id="no-clipping"),
        pytest.param({"lr": 0.05, "beta1": 0.0, "beta2": 0.0, "eps": 0.1}, id="no-betas"),
        pytest.param({"lr": 0.1, "weight_decay": 0.3}, id="weight-decay"),
    ],
)
def test_adopt_walks_the_path_of_its_authors(changed, problem):
    values = DEFAULTS | changed
    clipping = {} if values.get("clip", True) else {"clip_lambda": None}
    theirs = Torch(
        lambda params: adopt.ADOPT(
            params,
            lr=values["lr"],
            betas=(values["beta1"], values["beta2"]),
            eps=values["eps"],
            weight_decay=values["weight_decay"],
            decouple=True,
            **clipping,
        )
    )
    states = {"m": "exp_avg", "v": "exp_avg_sq"}
    assert_same_path(ADOPT(**changed), theirs, problem, states=states)


@every_problem
@pytest.mark.parametrize("clip", [True, False])
def test_adopt_walks_the_path_of_optax(clip, problem):
    theirs = Optax(optax.contrib.adopt(0.05, b1=0.8, b2=0.9, eps=0.2, use_clipping=clip))
    states = {"m": lambda state: state[0].mu, "v": lambda state: state[0].nu}
    ours = ADOPT(lr=0.05, beta1=0.8, beta2=0.9, eps=0.2, clip=clip)
    assert_same_path(ours, theirs, problem, states=states)
