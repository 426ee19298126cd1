"""Muon beside PyTorch's, optax's and pytorch_optimizer's, whose Newton–Schulz steps are made without bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
from sides import MATRICES, MORE, Ours, Torch, assert_same_path, every_length, torch, without_bfloat16

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
pytorch_optimizer = pytest.importorskip("pytorch_optimizer")

POLAR_EXPRESS = [(8.2872, -23.5959, 17.3004), (4.1071, -2.9478, 0.5448), (3.9487, -2.9089, 0.5518)]
CHANGED = {"lr": 0.1, "momentum": 0.7, "weight_decay": 0.2, "ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5)}
ADAMW = {"adamw_lr": 0.1, "adamw_beta1": 0.7, "adamw_beta2": 0.9, "adamw_eps": 1e-3, "adamw_weight_decay": 0.3}


@pytest.fixture(autouse=True)
def the_dtype_of_the_matrix():
    with without_bfloat16():
        yield


@every_length
@pytest.mark.parametrize("changed", [{}, CHANGED], ids=["default", "changed"])
@pytest.mark.parametrize(("nesterov", "scale"), [(True, "original"), (False, "match_rms_adamw")])
def test_the_path_is_that_of_pytorch(dtype, steps, changed, nesterov, scale):
    arguments = {"lr": 0.02, "weight_decay": 0.0, **changed, "nesterov": nesterov, "eps": 1e-12}

    def make(tensors):
        return torch.optim.Muon(tensors.values(), **arguments, adjust_lr_fn=scale)

    assert_same_path(Ours("matrix/muon", **arguments, scale=scale), Torch(make), dtype, steps)


def groups(tensors, matrices, **adamw):
    """The groups of pytorch_optimizer: matrices and others."""
    chosen = [tensor for name, tensor in tensors.items() if name in matrices]
    others = [tensor for name, tensor in tensors.items() if name not in matrices]
    return [{"params": chosen, "use_muon": True}, {"params": others, "use_muon": False, **adamw}]


@every_length
@pytest.mark.parametrize("changed", [{}, ADAMW], ids=["default", "changed"])
def test_filters_and_what_is_no_matrix_go_the_ways_of_pytorch_optimizer(dtype, steps, changed):
    names = {"adamw_lr": "lr", "adamw_eps": "eps", "adamw_weight_decay": "weight_decay"}
    adamw = {names[name]: value for name, value in changed.items() if name in names}
    if changed:
        adamw["betas"] = (changed["adamw_beta1"], changed["adamw_beta2"])

    def make(tensors):
        return pytorch_optimizer.Muon(groups(tensors, {"wide", "tall", "filters"}, **adamw))

    ours = Ours("matrix/muon", **changed, options={"square": {"matrix": False}}, eps=1e-12)
    assert_same_path(ours, Torch(make), dtype, steps, shapes={**MATRICES, **MORE})


class Optax:
    """optax's Muon without Nesterov's momentum, where its correction of the average for the start changes nothing."""

    def __init__(self, **arguments):
        self.method = optax.contrib.muon(**arguments, nesterov=False)
        self.update = jax.jit(self.method.update)

    def start(self, values):
        self.values = values
        self.state = self.method.init(values)

    def step(self, gradients):
        updates, self.state = self.update(gradients, self.state, self.values)
        self.values = {name: np.array(array) for name, array in optax.apply_updates(self.values, updates).items()}


def test_with_coefficients_for_each_step_the_path_is_that_of_optax():
    # Its matrices act on rows, so what is √(columns / rows) there is √(rows / columns) of ours.
    shapes = {"square": (5, 5), "wide": (3, 11)}
    theirs = Optax(learning_rate=0.05, ns_coeffs=tuple(POLAR_EXPRESS), ns_steps=3, consistent_rms=0.2, eps=1e-12)
    hyperparameters = {"lr": 0.05, "ns_coefficients": POLAR_EXPRESS, "ns_steps": 3, "scale": "match_rms_adamw"}
    with jax.enable_x64(True):
        ours = Ours("matrix/muon", **hyperparameters, nesterov=False, eps=1e-12)
        assert_same_path(ours, theirs, "float64", 100, shapes=shapes)


@every_length
@pytest.mark.parametrize(
    "changed", [{}, {"lr": 0.1, "momentum": 0.7, "beta2": 0.5, "weight_decay": 0.2}], ids=["0", "1"]
)
def test_normuon_goes_the_way_of_pytorch_optimizer(dtype, steps, changed):
    def make(tensors):
        return pytorch_optimizer.NorMuon(groups(tensors, {*MATRICES, "filters"}), **changed)

    ours = Ours("matrix/normuon", **changed, eps=1e-12)
    assert_same_path(ours, Torch(make), dtype, steps, shapes={**MATRICES, **MORE})
