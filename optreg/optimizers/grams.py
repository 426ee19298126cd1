"""Grams: Adam says how far, the gradient says where."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod
from optreg.optimizers.adam import update_moments


@attrs.define(eq=False)
class Grams(GradientMethod):
    """Grams: a step as long as AdamW's in the direction of the present gradient; none where that is zero. ::

        m, v as in Adam
        p ← p − lr·(√(1 − β2ᵗ) / (1 − β1ᵗ)·sign(g)·|m| / (√v + eps) + weight_decay·p)

    Cao, Li & Song 2024, arXiv:2412.17107.

    The form and defaults of the authors' code; the paper adds eps to the corrected √v̂, as Adam does.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> grams = optreg.create("grams", lr=0.1).setup({"w": w})
    >>> grams.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> w.round(3)
    array([ 0.9, -2. ])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-6)
    weight_decay: float = nonnegative(0.0)

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        update_moments(self, grad, m, v)
        step = self.lr * (1 - self.beta2**self.t) ** 0.5 / (1 - self.beta1**self.t)
        param *= 1 - self.lr * self.weight_decay
        param -= step * np.sign(grad) * np.abs(m) / (np.sqrt(v) + self.eps)
