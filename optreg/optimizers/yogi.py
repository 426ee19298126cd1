"""Yogi: Adam whose second moment grows and shrinks by additions."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, real_elements
from optreg.hyperparameters import fraction, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class Yogi(GradientMethod):
    """Yogi: Adam with a second moment that changes by at most (1 − β2)·g² in a step. ::

        m ← β1·m + (1 − β1)·g
        v ← v − (1 − β2)·sign(v − g²)·g²
        p ← p − lr·m̂ / (√v̂ + eps),   m̂ = m / (1 − β1ᵗ),  v̂ = v / (1 − β2ᵗ)

    Zaheer, Reddi, Sachan, Kale & Kumar 2018, "Adaptive methods for nonconvex optimization" (NeurIPS).

    optax's form and eps; it has no default ``lr``, and 1e-3 is Adam's. Both averages begin at 1e-6 and are
    corrected as Adam's, neither of which is in the paper; so at first a parameter moves a little even if
    its gradient is zero.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> yogi = optreg.create("yogi", lr=0.1).setup({"w": w})
    >>> yogi.apply_gradients({"w": np.array([5.0, -5.0])})
    >>> w.round(3)
    array([ 0.9, -1.9])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-3)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        for moment in (state["m"], state["v"]):
            real_elements(moment)[...] = 1e-6

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        square = grad * grad
        m[...] = self.beta1 * m + (1 - self.beta1) * grad
        v -= (1 - self.beta2) * np.sign(v - square) * square
        step = self.lr / (1 - self.beta1**self.t)
        param -= step * m / (np.sqrt(v / (1 - self.beta2**self.t)) + self.eps)
