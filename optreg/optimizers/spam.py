"""SPAM: Adam that clips spikes and forgets its averages every few hundred steps."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, nonnegative, positive, whole
from optreg.optimizer import GradientMethod
from optreg.optimizers.adam import update_moments


@attrs.define(eq=False)
class SPAM(GradientMethod):
    """SPAM: Adam that clips spikes of the gradient, and begins its averages anew every so often. ::

        m, v ← 0                                  at each step that reset_every divides
        g ← sign(g)·√(threshold·v)                where g² > threshold·v
        m ← β1·m + (1 − β1)·g
        v ← β2·v + (1 − β2)·g²
        p ← p − w·lr·√(1 − β2ᵗ) / (1 − β1ᵗ) · m / (√v + eps)
        p ← (1 − lr·weight_decay)·p

    w is 1, but after a reset it rises as a cosine from 0.01, within ``warmup_steps``. In the first ``clip_after``
    steps, and as many after each reset, nothing is clipped. An element that had no gradient until then has v = 0, so
    its gradients are clipped to zero until the next reset.

    Huang et al. 2025, arXiv:2501.06842.

    The form and defaults of the authors' code, without its sparse momentum (``density``). The correction of the bias
    counts all steps, not those since the reset, which the warm-up makes up for.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> spam = optreg.create("spam", lr=0.1, clip_after=2, threshold=100.0).setup({"w": w})
    >>> spam.apply_gradients({"w": np.array([1.0, -1.0])})
    >>> w.round(4)
    array([0.9, 2.1])
    >>> spam.apply_gradients({"w": np.array([1.0, -1e6])})     # counts as -√(100·0.001)
    >>> w.round(4)
    array([0.8137, 2.1863])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-6)
    weight_decay: float = nonnegative(0.0)
    threshold: float = nonnegative(5000.0, doc="how many times the average of squares a square may be; 0: no clipping")
    reset_every: int = whole(500, low=2, doc="steps from one reset of the averages to the next")
    warmup_steps: int = whole(150, doc="steps of a rise of lr after each reset")
    clip_after: int = whole(20, doc="steps after a reset in which nothing is clipped")

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        since_reset = self.t % self.reset_every
        if since_reset == 0:
            m[...] = 0
            v[...] = 0
        if self.threshold > 0 and since_reset >= self.clip_after:
            most = self.threshold * v
            grad = np.where(grad * grad > most, np.sign(grad) * np.sqrt(most), grad)
        update_moments(self, grad, m, v)
        rate = self.lr * (1 - self.beta2**self.t) ** 0.5 / (1 - self.beta1**self.t)
        if self.t >= self.reset_every and since_reset < self.warmup_steps:
            rate *= _warmed_up(since_reset / (self.warmup_steps + 1))
        param -= rate * m / (np.sqrt(v) + self.eps)
        param *= 1 - self.lr * self.weight_decay


def _warmed_up(progress: Any) -> Any:
    return 1 - 0.99 * (1 + np.cos(np.pi * progress)) / 2
