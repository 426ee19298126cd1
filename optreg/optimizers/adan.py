"""Adan: Nesterov's look ahead, made of gradient differences."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class Adan(GradientMethod):
    """Adan: averages of the gradient, of its change from step to step, and of the square of both together. ::

        change = g − the step before's g  (0 in the first step)
        m ← β1·m + (1 − β1)·g
        d ← β2·d + (1 − β2)·change
        n ← β3·n + (1 − β3)·(g + β2·change)²
        p ← p − lr·(m / (1 − β1ᵗ) + β2·d / (1 − β2ᵗ)) / (√(n / (1 − β3ᵗ)) + eps)
        p ← p / (1 + lr·weight_decay)

    Xie, Zhou, Li, Lin & Yan 2022, arXiv:2208.06677.

    The form and defaults of the authors' code: its betas are one minus the paper's, and the weight decay is
    the proximal one. Its clipping by a global norm is the hook ``gradient_clipping``. optax has 1 − β2 in
    place of the β2 in the last factor of n and p, which is neither the paper's nor the authors'.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> adan = optreg.create("adan", lr=0.1).setup({"w": w})
    >>> adan.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> w
    array([ 0.9, -2. ])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.98)
    beta2: float = fraction(0.92)
    beta3: float = fraction(0.99)
    eps: float = positive(1e-8)
    weight_decay: float = nonnegative(0.0)

    def rule(  # noqa: PLR0917 (the slots are arguments)
        self, param: Array, grad: Array, m: Array, d: Array, n: Array, previous: Array
    ) -> None:
        if self.t == 1:
            previous[...] = grad
        change = grad - previous
        ahead = grad + self.beta2 * change
        m[...] = self.beta1 * m + (1 - self.beta1) * grad
        d[...] = self.beta2 * d + (1 - self.beta2) * change
        n[...] = self.beta3 * n + (1 - self.beta3) * ahead * ahead
        step = self.lr / (1 - self.beta1**self.t)
        step_of_change = self.lr * self.beta2 / (1 - self.beta2**self.t)
        param -= (step * m + step_of_change * d) / (np.sqrt(n / (1 - self.beta3**self.t)) + self.eps)
        param /= 1 + self.lr * self.weight_decay
        previous[...] = grad
