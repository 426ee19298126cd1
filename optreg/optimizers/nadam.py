"""NAdam: Adam that looks one step ahead."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, new_number
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod
from optreg.optimizers.adam import update_moments


@attrs.define(eq=False)
class NAdam(GradientMethod):
    """NAdam: Adam with Nesterov's look-ahead and a momentum that grows towards β1. ::

        m, v as in Adam
        μₜ ← β1·(1 − ½·0.96^(t·momentum_decay))
        p  ← p − lr · ((1 − μₜ)/(1 − Πμᵢ)·g + μₜ₊₁/(1 − Πμᵢ·μₜ₊₁)·m) / (√v̂ + eps)

    Πμᵢ, the product of μ₁ … μₜ, is the slot ``mu_product``: one number for each array.

    Dozat 2016, "Incorporating Nesterov momentum into Adam".

    PyTorch's form and defaults. In optax the momentum is β1 from the first step.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("nadam", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([3.0, -0.01])})
    >>> w.round(4)
    array([0.8944, 2.1056])
    """

    lr: float = positive(2e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-8)
    momentum_decay: float = nonnegative(4e-3, doc="how fast the momentum grows from half of beta1 to beta1")

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        state["mu_product"] = new_number(param.data, 1.0)

    def rule(self, param: Array, grad: Array, m: Array, v: Array, mu_product: Array) -> None:
        update_moments(self, grad, m, v)
        mu = self._momentum(self.t)
        mu_next = self._momentum(self.t + 1)
        mu_product *= mu
        ahead = (1 - mu) / (1 - mu_product) * grad + mu_next / (1 - mu_product * mu_next) * m
        param -= self.lr * ahead / (np.sqrt(v / (1 - self.beta2**self.t)) + self.eps)

    def _momentum(self, t: int) -> Any:
        return self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))
