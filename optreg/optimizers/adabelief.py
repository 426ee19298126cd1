"""AdaBelief: large steps where the gradient is what its average foretold."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class AdaBelief(GradientMethod):
    """AdaBelief: Adam with the gradient's squared distance from its average in place of its square. ::

        m ← β1·m + (1 − β1)·g
        s ← β2·s + (1 − β2)·(g − m)² + eps
        p ← p − lr·(m̂ / (√ŝ + eps) + weight_decay·p),   m̂ = m / (1 − β1ᵗ),  ŝ = s / (1 − β2ᵗ)

    Zhuang, Tang, Ding, Tatikonda et al. 2020, arXiv:2010.07468.

    The form and defaults of the authors' code with ``rectify=False``, which are optax's too: eps
    accumulates in s, and is added to the root besides. By default the authors' package also rectifies the
    step as RAdam does; the paper's algorithm does not.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> adabelief = optreg.create("adabelief", lr=0.09).setup({"w": w})
    >>> adabelief.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> w
    array([ 0.9, -2. ])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-16)
    weight_decay: float = nonnegative(0.0)

    def rule(self, param: Array, grad: Array, m: Array, s: Array) -> None:
        m[...] = self.beta1 * m + (1 - self.beta1) * grad
        surprise = grad - m
        s[...] = self.beta2 * s + (1 - self.beta2) * surprise * surprise + self.eps
        step = self.lr / (1 - self.beta1**self.t)
        root = np.sqrt(s / (1 - self.beta2**self.t))
        param -= step * m / (root + self.eps) + self.lr * self.weight_decay * param
