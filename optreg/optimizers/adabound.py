"""AdaBound: Adam that turns into gradient descent."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, new_number
from optreg.hyperparameters import fraction, positive
from optreg.optimizer import GradientMethod
from optreg.optimizers.adam import update_moments


@attrs.define(eq=False)
class AdaBound(GradientMethod):
    """AdaBound: Adam whose rates are clipped between two bounds that both approach ``final_lr``. ::

        m, v as in Adam
        rate  = lr·√(1 − β2ᵗ) / (1 − β1ᵗ) / (√v + eps)
        final = final_lr·lr / highest_lr
        p ← p − clip(rate, final·(1 − 1/(gamma·t + 1)), final·(1 + 1/(gamma·t)))·m

    Luo, Xiong, Liu & Sun 2019, arXiv:1902.09843.

    The form and defaults of the authors' code; the paper corrects no bias, divides the rate by √t, and has
    1 − β2 for gamma. Their weight decay is an L2 penalty: the hook ``weight_decay``.

    The bounds follow ``lr``, or its decay would have no effect once they have closed. The authors compare
    ``lr`` with its first value. Here the measure is the slot ``highest_lr``, one number for each array: the
    same while ``lr`` only falls, and a warm-up does not turn its small beginnings into the measure.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> adabound = optreg.create("adabound", lr=0.1).setup({"w": w})
    >>> adabound.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> w.round(3)
    array([ 0.9, -2. ])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    final_lr: float = positive(0.1, doc="the rate, that of gradient descent, that both bounds approach")
    gamma: float = positive(1e-3, doc="how fast the bounds close")
    eps: float = positive(1e-8)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        state["highest_lr"] = new_number(param.data, 0.0)

    def rule(self, param: Array, grad: Array, m: Array, v: Array, highest_lr: Array) -> None:
        update_moments(self, grad, m, v)
        highest_lr[...] = np.maximum(highest_lr, self.lr)
        final = self.final_lr * (self.lr / np.where(highest_lr > 0, highest_lr, 1))
        step = self.lr * (1 - self.beta2**self.t) ** 0.5 / (1 - self.beta1**self.t)
        lower = final * (1 - 1 / (self.gamma * self.t + 1))
        upper = final * (1 + 1 / (self.gamma * self.t))
        param -= np.clip(step / (np.sqrt(v) + self.eps), lower, upper) * m
