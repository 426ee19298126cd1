"""SPAM beside pytorch_optimizer, and across resets beside numbers that its authors' code gave."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_optimizer

from optreg.optimizers.spam import SPAM

from .references import Torch, assert_same_path, every_problem


@every_problem
@pytest.mark.parametrize(
    ("changed", "theirs"),
    [
        pytest.param({}, {}, id="defaults"),
        pytest.param(
            {
                "lr": 0.05,
                "beta1": 0.7,
                "beta2": 0.9,
                "eps": 1e-3,
                "weight_decay": 0.1,
                "threshold": 3.0,
                "clip_after": 4,
            },
            {
                "lr": 0.05,
                "betas": (0.7, 0.9),
                "eps": 1e-3,
                "weight_decay": 0.1,
                "threshold": 3,
                "grad_accu_steps": 4,
            },
            id="changed",
        ),
    ],
)
def test_spam_walks_the_path_of_pytorch_optimizer_until_it_is_reset(changed, theirs, problem):
    reference = Torch(lambda params: pytorch_optimizer.SPAM(params, foreach=False, **theirs))
    assert_same_path(SPAM(**changed), reference, problem)


def _gradient(t):
    gradient = np.random.default_rng(t).normal(size=3)
    gradient[1] *= 40.0 if t % 4 == 3 else 1.0
    gradient[2] *= t >= 6
    return gradient


PUBLISHED = {
    1: [0.8964022216839497, -2.0891185086125788, 2.985],
    3: [0.7071168632185347, -2.018392147263856, 2.955224625],
    5: [0.7447035287433801, -1.881726821759348, 2.925746259365625],
    6: [0.7166694684312211, -1.8829041545013194, 2.911117528068797],
    7: [0.7128241942735501, -1.874424631863073, 2.897486520629536],
    8: [0.7241985610158658, -1.8727012550350042, 2.8994446838593015],
    10: [0.87667034962801, -1.886372831120863, 3.03914923857488],
    12: [0.9816133822827854, -1.985896430458813, 2.9726229928291983],
    14: [0.9347378620434763, -1.967171811345338, 2.8727662522637476],
    16: [0.9793433150429236, -1.8941570867264512, 2.82923154832136],
}


def test_spam_makes_the_steps_of_its_authors_code_across_two_resets():
    """The numbers were printed by the authors' SPAM.py in double precision; pytorch_optimizer warms up a step ahead."""
    w = np.array([1.0, -2.0, 3.0])
    changed = {"lr": 0.1, "beta1": 0.6, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.05}
    spam = SPAM(**changed, threshold=4.0, reset_every=7, warmup_steps=3, clip_after=2).setup({"w": w})
    for t in range(1, 17):
        spam.apply_gradients({"w": _gradient(t)})
        if t in PUBLISHED:
            np.testing.assert_allclose(w, PUBLISHED[t], rtol=1e-14)


def test_a_spike_moves_the_averages_no_further_than_the_threshold():
    w = np.zeros(1)
    spam = SPAM(threshold=100.0, clip_after=0).setup({"w": w})
    spam.apply_gradients({"w": np.ones(1)})
    assert not w.any()  # at first there is no average, so everything is a spike
    spam = SPAM(threshold=100.0, clip_after=2).setup({"w": w})
    spam.apply_gradients({"w": np.ones(1)})
    before = spam._states["/w"]["v"].copy()
    spam.apply_gradients({"w": np.array([1e8])})
    np.testing.assert_allclose(spam._states["/w"]["v"], before * 0.999 + 0.001 * 100 * before)
