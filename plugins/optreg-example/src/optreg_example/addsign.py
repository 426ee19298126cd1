"""AddSign, which trusts a gradient more if it agrees with those before it."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg import GradientMethod
from optreg.hyperparameters import fraction, positive


@attrs.define(eq=False)
class AddSign(GradientMethod):
    """Longer steps where the gradient agrees with its average, shorter ones where it does not. ::

        m ← beta·m + (1 − beta)·g
        p ← p − lr·(alpha + sign(g)·sign(m))·g

    Bello, Zoph, Vasudevan & Le 2017, "Neural optimizer search with reinforcement learning", arXiv:1709.07417.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> optimizer = optreg.create("example/addsign", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([0.5, -0.5])})
    >>> w
    array([ 0.9, -1.9])
    """

    lr: float = positive(0.01, "the length of a step, as a multiple of the gradient")
    alpha: float = positive(1.0, "what the step is multiplied by where the average says nothing")
    beta: float = fraction(0.9, "how much of the average is kept in a step")

    def rule(self, param: Any, grad: Any, m: Any) -> None:
        m *= self.beta
        m += (1 - self.beta) * grad
        param -= self.lr * (self.alpha + np.sign(grad) * np.sign(m)) * grad
