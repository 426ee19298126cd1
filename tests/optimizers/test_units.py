"""Gradients clipped and centralized unit by unit, beside optax and pytorch_optimizer."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest
import torch
from pytorch_optimizer.optimizer.agc import agc
from pytorch_optimizer.optimizer.gradient_centralization import centralize_gradient

import optreg

SHAPES = {"matrix": (5, 4), "filters": (3, 3, 2, 6), "bias": (7,), "scale": (), "empty": (0, 3)}


def _arrays(seed, scale=1.0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    arrays = {name: np.asarray(scale * rng.normal(size=shape), dtype) for name, shape in SHAPES.items()}
    arrays["matrix"][0] = 0
    arrays["filters"][..., 1] = 0
    return arrays


def _hooked(hook, parameters, gradients):
    """What a hook makes of gradients."""
    found = {}

    def note(opt):
        found.update({name.strip("/"): each.grad.copy() for name, each in opt.target.namedparams()})

    optimizer = optreg.create("sgd", hooks=[hook, note]).setup(parameters)
    optimizer.apply_gradients(gradients)
    return found


@pytest.mark.parametrize("scale", [1e-4, 1.0])
@pytest.mark.parametrize("threshold", [0.01, 0.5])
def test_adaptive_clipping_is_optaxs(threshold, scale):
    with jax.enable_x64(True):
        method = optax.adaptive_grad_clip(threshold)
        parameters, gradients = _arrays(0), _arrays(1, scale)
        for name in ("scale", "empty"):  # optax takes neither
            parameters.pop(name), gradients.pop(name)
        expected, _ = method.update(gradients, method.init(parameters), parameters)
        hook = optreg.create_hook("adaptive_gradient_clipping", threshold=threshold, axis=-1)
        for name, array in _hooked(hook, parameters, {k: v.copy() for k, v in gradients.items()}).items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("threshold", [0.01, 0.5])
def test_adaptive_clipping_is_pytorch_optimizers(threshold):
    parameters, gradients = _arrays(0), _arrays(1)
    hook = optreg.create_hook("adaptive_gradient_clipping", threshold=threshold)
    found = _hooked(hook, parameters, {name: each.copy() for name, each in gradients.items()})
    for name in ("matrix", "bias"):
        expected = agc(torch.tensor(_arrays(0)[name]), torch.tensor(gradients[name]), 1e-3, threshold)
        np.testing.assert_allclose(found[name], expected.numpy(), rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("axis", [0, -1])
def test_centralization_is_pytorch_optimizers(axis):
    gradients = _arrays(1)
    hook = optreg.create_hook("gradient_centralization", axis=axis)
    found = _hooked(hook, _arrays(0), {name: each.copy() for name, each in gradients.items()})
    for name in ("matrix", "filters", "bias"):
        expected = torch.tensor(np.moveaxis(gradients[name], axis, 0).copy())
        centralize_gradient(expected)
        np.testing.assert_allclose(np.moveaxis(found[name], axis, 0), expected.numpy(), atol=1e-15, err_msg=name)
    np.testing.assert_array_equal(found["scale"], gradients["scale"])


def test_a_gradient_that_is_not_finite_stays_so():
    for name in ("adaptive_gradient_clipping", "gradient_centralization"):
        gradient = np.ones((2, 3))
        gradient[0, 0] = np.nan
        found = _hooked(optreg.create_hook(name), {"w": np.ones((2, 3))}, {"w": gradient})
        assert np.isnan(found["w"][0, 0])
        assert np.isfinite(found["w"][1]).all()
