"""Averages of the parameters beside PyTorch's, and Lookahead beside pytorch_optimizer's and optax's."""

from __future__ import annotations

from typing import Any

import numpy as np
import optax
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import optreg

STEPS = 23


class _Model(torch.nn.Module):
    def __init__(self, start: Any) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(start.copy()))


def _gradients() -> Any:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(3, 4)) for _ in range(STEPS)]


def _ours(hook: Any) -> tuple[Any, Any]:
    w = np.random.default_rng(0).normal(size=(3, 4))
    optimizer = optreg.create("sgd", lr=0.1, hooks=[hook]).setup({"w": w})
    for gradient in _gradients():
        optimizer.apply_gradients({"w": gradient})
    with optimizer.evaluation_weights():
        return w.copy(), optimizer


def _torchs(averages: Any, counts: Any) -> Any:
    model = _Model(np.random.default_rng(0).normal(size=(3, 4)))
    averaged = averages(model)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    for t, gradient in enumerate(_gradients(), 1):
        model.w.grad = torch.tensor(gradient)
        sgd.step()
        if counts(t):
            averaged.update_parameters(model)
    return averaged.module.w.detach().numpy()


def test_the_exponential_moving_average_is_torchs():
    def begun_with_the_start(model: Any) -> Any:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.8))
        averaged.update_parameters(model)  # PyTorch begins with the first parameters that it is given
        return averaged

    found, _ = _ours(optreg.create_hook("exponential_moving_average", decay=0.8))
    np.testing.assert_allclose(found, _torchs(begun_with_the_start, lambda t: True), rtol=1e-12)


@pytest.mark.parametrize(("start", "every"), [(1, 1), (5, 1), (4, 3), (23, 7)])
def test_the_stochastic_weight_average_is_torchs(start, every):
    found, _ = _ours(optreg.create_hook("stochastic_weight_average", start=start, every=every))
    expected = _torchs(AveragedModel, lambda t: t >= start and (t - start) % every == 0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(("k", "alpha"), [(5, 0.5), (1, 0.3), (4, 1.0), (30, 0.5)])
def test_lookahead_is_optaxs(k, alpha):
    import jax

    with jax.enable_x64(True):
        start = np.random.default_rng(0).normal(size=(3, 4))
        method = optax.lookahead(optax.sgd(0.1), sync_period=k, slow_step_size=alpha)
        params = optax.LookaheadParams.init_synced({"w": jax.numpy.asarray(start)})
        state = method.init(params)
        for gradient in _gradients():
            updates, state = method.update({"w": gradient}, state, params)
            params = optax.apply_updates(params, updates)
        found, optimizer = _ours(optreg.create_hook("lookahead", k=k, alpha=alpha))
        np.testing.assert_allclose(optimizer.target["w"].data, params.fast["w"], rtol=1e-12)
        np.testing.assert_allclose(found, params.slow["w"], rtol=1e-12)
