"""RAdam: Adam that begins without its divisor."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, positive
from optreg.optimizer import GradientMethod
from optreg.optimizers.adam import update_moments


@attrs.define(eq=False)
class RAdam(GradientMethod):
    """RAdam: Adam, rectified while the average of squares still rests on few gradients. ::

        m, v as in Adam;   rho∞ = 2/(1 − β2) − 1,   rho = rho∞ − 2t·β2ᵗ/(1 − β2ᵗ)
        p ← p − lr·m̂                                    while rho ≤ 5
        p ← p − lr·m̂ · r·√(1 − β2ᵗ) / (√v + eps)        then, with
            r = √((rho − 4)(rho − 2)·rho∞ / ((rho∞ − 4)(rho∞ − 2)·rho))

    Liu, Jiang, He, Chen, Liu, Gao & Han 2020, arXiv:1908.03265.

    PyTorch's form and defaults: the divisor comes in at rho > 5, where the paper has 4 and optax has rho ≥ 5,
    and eps is added to the uncorrected √v. With β2 up to 2/3 the divisor never comes in.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("radam", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([3.0, -0.01])})
    >>> w
    array([0.7  , 2.001])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-8)

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        update_moments(self, grad, m, v)
        rate = self.lr / (1 - self.beta1**self.t)
        correction = 1 - self.beta2**self.t
        longest = 2 / (1 - self.beta2) - 1
        length = longest - 2 * self.t * self.beta2**self.t / correction
        if length > 5:
            rectification = ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length)
            param -= rate * (rectification * correction) ** 0.5 * m / (np.sqrt(v) + self.eps)
        else:
            param -= rate * m
