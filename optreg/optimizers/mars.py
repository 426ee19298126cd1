"""MARS: Adam on gradients from which the noise that two steps share is removed."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import boolean, choice, fraction, nonnegative, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class MARS(GradientMethod):
    """MARS: Adam, or Lion, on gradients corrected by their change since the step before. ::

        c ← g + gamma·β1/(1 − β1)·(g − previous),  c ← c / max(1, ‖c‖)
        m ← β1·m + (1 − β1)·c
        v ← β2·v + (1 − β2)·c²
        p ← p − lr·(m / (1 − β1ᵗ) / (√(v / (1 − β2ᵗ)) + eps) + weight_decay·p)

    With ``mars_type="lion"`` the step is lr·(sign(m) + weight_decay·p), without v. What is no matrix (as many axes as
    two) gets AdamW with ``lr_1d``, ``beta1_1d``, ``beta2_1d`` and ``weight_decay_1d``, unless ``optimize_1d``.

    Yuan, Liu, Wu et al. 2024, arXiv:2411.10438.

    The form and defaults of the authors' code, in its approximate version, which takes the gradient of the step before
    as it was then; the exact one needs the gradients of both steps on the same data. The previous gradient begins with
    zeros. Their ``lr_1d`` is 3e-3 whatever ``lr`` is, and their variant "mars-shampoo" is not here.

    >>> import numpy as np, optreg
    >>> w = np.array([[1.0, 2.0]])
    >>> mars = optreg.create("mars", lr=0.1).setup({"w": w})
    >>> mars.apply_gradients({"w": np.array([[3.0, -0.01]])})
    >>> w.round(4)
    array([[0.9, 2.1]])
    """

    rules = "rule", "adamw"

    lr: float = positive(3e-3)
    beta1: float = fraction(0.95)
    beta2: float = fraction(0.99)
    gamma: float = nonnegative(0.025, doc="how much of the change of the gradient is added to it")
    eps: float = positive(1e-8)
    weight_decay: float = nonnegative(0.0)
    mars_type: str = choice("adamw", ("adamw", "lion"), doc="what is made of the corrected gradient")
    optimize_1d: bool = boolean(False, doc="whether arrays that are no matrices have the same rule as matrices")
    lr_1d: float | None = positive(None, doc="the learning rate of what is no matrix; None: lr")
    beta1_1d: float = fraction(0.9, doc="beta1 of what is no matrix")
    beta2_1d: float = fraction(0.95, doc="beta2 of what is no matrix")
    weight_decay_1d: float = nonnegative(0.1, doc="weight_decay of what is no matrix")

    def rule_for(self, param: Any) -> str:
        """``rule`` for matrices."""
        return "rule" if param.data.ndim == 2 or self.optimize_1d else "adamw"

    def uses_slot(self, name: str) -> bool:
        """``v`` for the variant that divides by its root."""
        return name != "v" or self.mars_type == "adamw"

    def rule(self, param: Array, grad: Array, m: Array, previous: Array, v: Array | None = None) -> None:
        corrected = grad + self.gamma * self.beta1 / (1 - self.beta1) * (grad - previous)
        corrected /= np.maximum(np.linalg.norm(corrected), 1)
        previous[...] = grad
        m += (1 - self.beta1) * (corrected - m)
        if v is None:
            step = np.sign(m)
        else:
            v += (1 - self.beta2) * (corrected * corrected - v)
            step = m / (1 - self.beta1**self.t) / (np.sqrt(v / (1 - self.beta2**self.t)) + self.eps)
        param -= self.lr * (step + self.weight_decay * param)

    def adamw(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        """What is no matrix."""
        m += (1 - self.beta1_1d) * (grad - m)
        v += (1 - self.beta2_1d) * (grad * grad - v)
        step = m / (1 - self.beta1_1d**self.t) / (np.sqrt(v / (1 - self.beta2_1d**self.t)) + self.eps)
        param -= (self.lr if self.lr_1d is None else self.lr_1d) * (step + self.weight_decay_1d * param)
