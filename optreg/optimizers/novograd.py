"""NovoGrad: gradients divided by an average of the norm of their whole tensor."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, new_number
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class NovoGrad(GradientMethod):
    """NovoGrad: averaged gradients, divided by the root of an average of the square of their norm. ::

        v ← β2·v + (1 − β2)·‖g‖²,   but ‖g‖² as long as v is zero
        m ← β1·m + (1 − β1)·g
        p ← p − lr·(m̂ / (√v̂ + eps) + weight_decay·p),   m̂ = m / (1 − β1ᵗ),  v̂ = v / (1 − β2ᵗ)

    v is one number for each array, so the state takes half of Adam's memory.

    Ginsburg, Castonguay, Hrinchuk et al. 2019, arXiv:1905.11286.

    The form and defaults of NVIDIA's Apex. v begins with the first norm and is corrected all the same, so the first
    steps are shorter than ``lr``: by √(1 − β2ᵗ). In the paper, and in optax, nothing is corrected, the gradient is
    divided and decayed before it is added to m, not averaged, and the betas are 0.95 and 0.98.

    >>> import numpy as np, optreg
    >>> w = np.array([3.0, -4.0])
    >>> novograd = optreg.create("novograd", lr=1.0, beta2=0.75).setup({"w": w})
    >>> novograd.apply_gradients({"w": np.array([6.0, -8.0])})
    >>> w.round(4)
    array([ 2.7, -3.6])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-8)
    weight_decay: float = nonnegative(0.0)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        state["v"] = new_number(param.data, 0.0)

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        squared_norm = np.sum(grad * grad)
        v[...] = np.where(v > 0, self.beta2 * v + (1 - self.beta2) * squared_norm, squared_norm)
        m *= self.beta1
        m += (1 - self.beta1) * grad
        norm = np.sqrt(v / (1 - self.beta2**self.t)) + self.eps
        param -= self.lr * (m / (1 - self.beta1**self.t) / norm + self.weight_decay * param)
