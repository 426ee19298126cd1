"""M-SVAG: momentum, shortened where the gradient is uncertain."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class MSVAG(GradientMethod):
    """M-SVAG: each element of the momentum is scaled by how sure its mean is. ::

        m ← β·m + (1 − β)·g,    m̂ = m / (1 − βᵗ)
        v ← β·v + (1 − β)·g²,   v̂ = v / (1 − βᵗ)
        rho = (1 − β)·(1 + βᵗ) / ((1 + β)·(1 − βᵗ))
        s = max(v̂ − m̂², 0) / (1 − rho)
        p ← p − lr·m̂·m̂² / (m̂² + rho·s)

    In the first step, where rho is 1, one gradient says nothing of its variance s: p ← p − lr·m̂.

    Balles & Hennig 2018, arXiv:1705.07774.

    The form of the authors' code and of Chainer, with Chainer's defaults but without its weight decay, of
    which the paper knows nothing. In the first step both compute with a rho of 0.9999, which gives the same
    up to rounding errors, multiplied by 10⁴.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> msvag = optreg.create("msvag", lr=0.02).setup({"w": w})
    >>> msvag.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> w
    array([ 0.9, -2. ])
    """

    lr: float = positive(0.1)
    beta: float = fraction(0.9)

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        m[...] = self.beta * m + (1 - self.beta) * grad
        v[...] = self.beta * v + (1 - self.beta) * grad * grad
        seen = 1 - self.beta**self.t
        rho = (1 - self.beta) * (2 - seen) / ((1 + self.beta) * seen)
        mean = m / seen
        if rho > 0.9999:
            param -= self.lr * mean
            return
        square = mean * mean
        variance = np.maximum(v / seen - square, 0) / (1 - rho)
        total = square + rho * variance
        param -= self.lr * mean * (square / np.where(total > 0, total, 1))
