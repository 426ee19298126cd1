"""LaProp: momentum of normalized gradients."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, new_number
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class LaProp(GradientMethod):
    """LaProp: Adam that normalizes each gradient before it enters the momentum. ::

        v ← β2·v + (1 − β2)·g²
        m ← β1·m + (1 − β1)·lr·g / (√(v / (1 − β2ᵗ)) + eps)
        average_lr ← β1·average_lr + (1 − β1)·lr
        p ← (1 − weight_decay)·(p − lr·m / average_lr)

    Ziyin, Wang & Ueda 2020, arXiv:2002.04839.

    The form and defaults of the authors' code. ``lr`` stands inside the momentum, whose bias is therefore
    corrected by the average of ``lr``, one number for each array; while ``lr`` is constant, lr / average_lr
    is 1 / (1 − β1ᵗ). Weight decay is not multiplied by ``lr``. At an ``lr`` of zero the momentum rests; in
    the authors' code it would act in full.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> laprop = optreg.create("laprop", lr=0.1).setup({"w": w})
    >>> laprop.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> w
    array([ 0.9, -2. ])
    """

    lr: float = positive(4e-4)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-15)
    weight_decay: float = nonnegative(0.0, doc="not multiplied by lr")

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        state["average_lr"] = new_number(param.data, 0.0)

    def rule(self, param: Array, grad: Array, m: Array, v: Array, average_lr: Array) -> None:
        v[...] = self.beta2 * v + (1 - self.beta2) * grad * grad
        normalized = grad / (np.sqrt(v / (1 - self.beta2**self.t)) + self.eps)
        m[...] = self.beta1 * m + (1 - self.beta1) * self.lr * normalized
        average_lr[...] = self.beta1 * average_lr + (1 - self.beta1) * self.lr
        param -= self.lr / np.where(average_lr > 0, average_lr, 1) * m
        param *= 1 - self.weight_decay
