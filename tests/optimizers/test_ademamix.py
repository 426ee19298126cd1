"""AdEMAMix beside optax, and with the paper's warm-up beside pytorch_optimizer."""

from __future__ import annotations

import optax
import pytest
import pytorch_optimizer

from optreg.optimizers.ademamix import AdEMAMix, HalfLifeWarmup
from optreg.schedules import LinearWarmup

from .references import Optax, Torch, assert_same_path, every_problem


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.05, "beta1": 0.6, "beta2": 0.8, "beta3": 0.95, "alpha": 4.0, "eps": 1e-3}, id="changed"),
        pytest.param({"beta1": 0.0, "beta2": 0.0, "beta3": 0.0, "eps": 1e-3}, id="no-betas"),
        pytest.param({"alpha": 0.0, "lr": 0.1, "weight_decay": 0.3}, id="no-alpha-but-weight-decay"),
    ],
)
def test_ademamix_walks_the_path_of_optax(changed, problem):
    betas = {"beta1": 0.9, "beta2": 0.999, "beta3": 0.9999}
    values = {"lr": 1e-3, **betas, "alpha": 2.0, "eps": 1e-8, "weight_decay": 0.0} | changed
    theirs = Optax(
        optax.contrib.ademamix(
            values["lr"],
            b1=values["beta1"],
            b2=values["beta2"],
            b3=values["beta3"],
            alpha=values["alpha"],
            eps=values["eps"],
            weight_decay=values["weight_decay"],
        )
    )
    states = {
        "m1": lambda state: state[0].m1,
        "m2": lambda state: state[0].m2,
        "v": lambda state: state[0].nu,
    }
    assert_same_path(AdEMAMix(**changed), theirs, problem, states=states)


@every_problem
def test_the_warm_up_of_alpha_and_beta3_is_that_of_the_paper(problem):
    steps = 20
    ours = AdEMAMix(
        lr=0.05,
        alpha=LinearWarmup(steps=steps, then=8.0),
        beta3=HalfLifeWarmup(initial=0.9, final=0.9999, steps=steps),
    )
    theirs = Torch(
        lambda params: pytorch_optimizer.AdEMAMix(
            params, lr=0.05, betas=(0.9, 0.999, 0.9999), alpha=8.0, t_alpha_beta3=steps
        )
    )
    states = {"m1": "exp_avg", "m2": "exp_avg_slow", "v": "exp_avg_sq"}
    assert_same_path(ours, theirs, problem, states=states)


@pytest.mark.parametrize(
    ("initial", "t", "published"),
    [
        (0.9, 1, 0.9909009905567496),
        (0.9, 50, 0.9998002195855972),
        (0.9, 99, 0.9998990010191962),
        (0.0, 50, 0.9998000310834049),
        (0.9, 100, 0.9999),
    ],
)
def test_the_half_life_rises_as_in_the_authors_code(initial, t, published):
    """The numbers are those of the authors' function, which adds 1e-8 to the rates."""
    schedule = HalfLifeWarmup(initial=initial, final=0.9999, steps=100)
    assert schedule(t) == pytest.approx(published, abs=1e-6)


def test_a_warm_up_between_zero_rates_stays_at_zero():
    assert HalfLifeWarmup(initial=0.0, final=0.0, steps=3)(2) == 0
