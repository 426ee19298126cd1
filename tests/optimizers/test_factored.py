"""Adafactor beside PyTorch, CAME beside its authors' package, MARS and Tiger beside pytorch_optimizer."""

from __future__ import annotations

import came_pytorch
import numpy as np
import pytest
import pytorch_optimizer
import torch

from optreg.optimizers.factored import CAME, Adafactor
from optreg.optimizers.mars import MARS
from optreg.optimizers.tiger import Tiger

from .references import Formula, Torch, assert_same_path, every_problem


def _adafactor(lr=1e-2, beta2_decay=-0.8, eps1=None, eps2=1e-3, d=1.0, weight_decay=0.0):
    return Torch(
        lambda params: torch.optim.Adafactor(
            params, lr, beta2_decay, (eps1, eps2), d, weight_decay=weight_decay, foreach=False
        )
    )


def _came(lr=2e-4, betas=(0.9, 0.999, 0.9999), eps=(1e-30, 1e-16), clip_threshold=1.0, weight_decay=0.0):
    return Torch(lambda params: came_pytorch.CAME(params, lr, eps, clip_threshold, betas, weight_decay))


def _mars(lr=3e-3, betas=(0.95, 0.99), gamma=0.025, weight_decay=0.0, one=(3e-3, 0.9, 0.95, 0.1), optimize_1d=False):
    """What the authors' code does; pytorch_optimizer adds a constant under its root, and has matrices of any axes."""
    eps = 1e-8

    def update(value, grad, state, t):
        if optimize_1d or grad.ndim == 2:
            rate, (beta1, beta2), decay = lr, betas, weight_decay
            grad, state["g"] = grad + gamma * beta1 / (1 - beta1) * (grad - state.get("g", 0)), grad
            grad = grad / max(np.sqrt(np.sum(grad**2)), 1)
        else:
            rate, beta1, beta2, decay = one
        state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * grad
        state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * grad**2
        divisor = (np.sqrt(state["v"] / (1 - beta2**t)) + eps) * (1 - beta1**t)
        return value - rate * (decay * value + state["m"] / divisor)

    return Formula(update)


def _tiger(lr=1e-3, beta=0.965, weight_decay=0.01):
    """What the author's code does to kernels and to biases, if these are the arrays with fewer than two axes."""

    def update(value, grad, state, t):
        state["m"] = beta * state.get("m", 0) + (1 - beta) * grad
        if value.ndim < 2:
            return value - lr * 0.5 * np.sign(state["m"])
        return value - (np.sign(state["m"]) + weight_decay * value) * lr * np.sqrt(np.mean(value**2))

    return Formula(update)


PAIRS = {
    "adafactor": (Adafactor(), _adafactor()),
    "adafactor-2": (
        Adafactor(lr=0.3, beta2_decay=-0.5, eps1=1e-3, eps2=0.1, d=1.1, weight_decay=0.1),
        _adafactor(0.3, -0.5, 1e-3, 0.1, 1.1, 0.1),
    ),
    "came": (CAME(), _came()),
    "came-2": (
        CAME(lr=0.1, beta1=0.7, beta2=0.9, beta3=0.8, eps1=1e-4, eps2=1e-3, clip_threshold=0.5, weight_decay=0.1),
        _came(0.1, (0.7, 0.9, 0.8), (1e-4, 1e-3), 0.5, 0.1),
    ),
    "mars": (MARS(), _mars()),
    "mars-2": (
        MARS(lr=0.1, beta1=0.8, beta2=0.9, gamma=0.5, weight_decay=0.2, optimize_1d=True),
        _mars(0.1, (0.8, 0.9), 0.5, 0.2, optimize_1d=True),
    ),
    "mars-1d": (
        MARS(lr_1d=0.1, beta1_1d=0.7, beta2_1d=0.8, weight_decay_1d=0.2),
        _mars(one=(0.1, 0.7, 0.8, 0.2)),
    ),
    "mars-lion": (
        MARS(lr=0.1, weight_decay=0.1, mars_type="lion", optimize_1d=True),
        Torch(
            lambda params: pytorch_optimizer.MARS(
                params, lr=0.1, weight_decay=0.1, mars_type="lion", optimize_1d=True, foreach=False
            )
        ),
    ),
    "tiger": (Tiger(), _tiger()),
    "tiger-2": (Tiger(lr=0.1, beta=0.7, weight_decay=0.2), _tiger(0.1, 0.7, 0.2)),
    "tiger-not-layerwise": (
        Tiger(lr=0.1, layerwise=False),
        Torch(lambda params: pytorch_optimizer.Tiger(params, lr=0.1, foreach=False)),
    ),
}


@every_problem
@pytest.mark.parametrize("name", PAIRS)
def test_the_path_is_that_of_another_implementation(name, problem):
    ours, theirs = PAIRS[name]
    assert_same_path(ours, theirs, problem)


@pytest.mark.parametrize("cls", [Adafactor, CAME])
def test_complex_matrices_are_pairs_of_real_numbers(cls):
    start = np.random.default_rng(0).normal(size=(3, 4, 2))
    pairs, numbers = start.reshape(24).copy(), start.copy().view(complex)[..., 0]
    one, other = cls().setup({"w": pairs}), cls().setup({"w": numbers})
    for seed in range(3):
        gradient = np.random.default_rng(seed).normal(size=(3, 4, 2))
        one.apply_gradients({"w": gradient.reshape(24)})
        other.apply_gradients({"w": gradient.view(complex)[..., 0]})
    np.testing.assert_array_equal(numbers, pairs.view(complex).reshape(3, 4))
