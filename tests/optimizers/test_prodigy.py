"""Prodigy and D-Adaptation beside their authors' packages."""

from __future__ import annotations

import contextlib
import io

import dadaptation
import prodigyopt
import pytest

from optreg.optimizers.dadapt import DAdaptAdam, DAdaptSGD
from optreg.optimizers.prodigy import Prodigy

from .references import Torch, assert_same_path, every_problem

ADAM = {"m": "exp_avg", "v": "exp_avg_sq", "s": "s"}


class _Reshaped(prodigyopt.Prodigy):
    """With s in the shape of its tensor, to be compared."""

    def step(self):
        super().step()
        for param, state in self.state.items():
            state["s of its shape"] = state["s"].reshape(param.shape)


def _made(cls, arguments):
    def make(params):
        with contextlib.redirect_stdout(io.StringIO()):  # theirs print which decay they use
            return cls(params, **arguments)

    return make


def _theirs(changed):
    given = dict(changed)
    betas = given.pop("beta1", 0.9), given.pop("beta2", 0.999)
    return given | ({"betas": betas} if betas != (0.9, 0.999) else {})


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param(
            {"lr": 0.5, "beta1": 0.7, "beta2": 0.95, "beta3": 0.9, "weight_decay": 0.1, "d_coef": 0.5, "d0": 1e-3},
            id="changed",
        ),
        pytest.param(
            {"decouple": False, "weight_decay": 0.1, "use_bias_correction": True, "growth_rate": 1.5}, id="corrected"
        ),
        pytest.param({"lr": 0.3, "safeguard_warmup": True, "d0": 1e-2}, id="safeguard"),
    ],
)
def test_prodigy_walks_the_path_of_its_authors(changed, problem):
    theirs = Torch(_made(_Reshaped, _theirs(changed)))
    # The estimate is a quotient of sums that grows a millionfold, in which rounding adds up.
    states = {"m": "exp_avg", "v": "exp_avg_sq"}
    assert_same_path(Prodigy(**changed), theirs, problem, states=states, slack=2)


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.5, "momentum": 0.8, "weight_decay": 0.1, "d0": 1e-3, "growth_rate": 1.3}, id="changed"),
    ],
)
def test_dadapt_sgd_walks_the_path_of_its_authors(changed, problem):
    theirs = Torch(_made(dadaptation.DAdaptSGD, changed))
    assert_same_path(DAdaptSGD(**changed), theirs, problem, states={"s": "s", "p0": "x0"}, slack=2)


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param(
            {"lr": 0.5, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.1, "d0": 1e-3}, id="changed"
        ),
        pytest.param(
            {"decouple": True, "weight_decay": 0.1, "use_bias_correction": True, "growth_rate": 1.5}, id="corrected"
        ),
    ],
)
def test_dadapt_adam_walks_the_path_of_its_authors(changed, problem):
    theirs = Torch(_made(dadaptation.DAdaptAdam, _theirs(changed)))
    assert_same_path(DAdaptAdam(**changed), theirs, problem, states=ADAM, slack=2)
