"""The schedule-free methods beside their authors' package."""

from __future__ import annotations

import numpy as np
import pytest
import schedulefree

import optreg
from optreg.optimizers.schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD

from .references import Torch, assert_same_path, every_problem

CHANGED = [
    pytest.param({}, id="defaults"),
    pytest.param({"lr": 0.05, "weight_decay": 0.1}, id="weight-decay"),
    pytest.param({"lr": 0.05, "warmup_steps": 7}, id="warm-up"),
    pytest.param({"lr": 0.05, "warmup_steps": 60, "r": 1.0, "weight_lr_power": 1.0}, id="weights"),
]


def _training(cls, arguments):
    def make(params):
        method = cls(params, **arguments, foreach=False)
        method.train()
        return method

    return make


@every_problem
@pytest.mark.parametrize("changed", CHANGED)
def test_schedule_free_sgd_walks_the_path_of_its_authors(changed, problem):
    # At the default rate of 1.0 rounding grows on this problem, for them as for us.
    changed = {"lr": 0.1} | changed
    theirs = Torch(_training(schedulefree.SGDScheduleFree, changed | {"momentum": 0.8}))
    assert_same_path(ScheduleFreeSGD(**changed, momentum=0.8), theirs, problem, states={"z": "z"})


@every_problem
@pytest.mark.parametrize("changed", CHANGED)
def test_schedule_free_adamw_walks_the_path_of_its_authors(changed, problem):
    theirs = Torch(_training(schedulefree.AdamWScheduleFree, changed | {"betas": (0.7, 0.99)}))
    ours = ScheduleFreeAdamW(**changed, beta1=0.7, beta2=0.99)
    assert_same_path(ours, theirs, problem, states={"z": "z", "v": "exp_avg_sq"})


@every_problem
def test_schedule_free_adamw_has_the_defaults_of_its_authors(problem):
    theirs = Torch(_training(schedulefree.AdamWScheduleFree, {}))
    assert_same_path(ScheduleFreeAdamW(), theirs, problem, states={"z": "z", "v": "exp_avg_sq"})


@pytest.mark.parametrize("name", ["schedule_free_sgd", "schedule_free_adamw"])
def test_what_is_evaluated_is_what_their_package_evaluates(name):
    import torch

    rng = np.random.default_rng(0)
    start = rng.normal(size=(4, 3))
    mine = start.copy()
    theirs = torch.tensor(start.copy(), requires_grad=True)
    optimizer = optreg.create(name, lr=0.05).setup({"w": mine})
    cls = schedulefree.SGDScheduleFree if name == "schedule_free_sgd" else schedulefree.AdamWScheduleFree
    reference = cls([theirs], lr=0.05)
    reference.train()
    for _ in range(20):
        gradient = rng.normal(size=(4, 3))
        optimizer.apply_gradients({"w": gradient.copy()})
        theirs.grad = torch.tensor(gradient)
        reference.step()
    reference.eval()
    with optimizer.evaluation_weights():
        np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-12)
