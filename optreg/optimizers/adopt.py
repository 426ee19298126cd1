"""ADOPT: the gradient is normalized before it is averaged, and by what was known before it."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import boolean, fraction, nonnegative, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class ADOPT(GradientMethod):
    """ADOPT: Adam that divides by the second moment of the step before; the first step only measures it. ::

        t = 1:  v ← g²
        t > 1:  m ← β1·m + (1 − β1)·clip(g / max(√v, eps), ±(t − 1)^¼)
                p ← p − lr·(m + weight_decay·p)
                v ← β2·v + (1 − β2)·g²

    Taniguchi, Harada, Minegishi, Oshima et al. 2024, arXiv:2411.02853.

    The form and defaults of the authors' code with ``decouple=True``; without it their weight decay is an
    L2 penalty, the hook ``weight_decay``. ``clip=False`` is the algorithm of the paper's first version.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> adopt = optreg.create("adopt", lr=1.0).setup({"w": w})
    >>> adopt.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> w
    array([ 1., -2.])
    >>> adopt.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> w
    array([ 0.9, -2. ])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.9999)
    eps: float = positive(1e-6)
    weight_decay: float = nonnegative(0.0)
    clip: bool = boolean(True, doc="clip the normalized gradient to ±(t − 1)^¼")

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        if self.t == 1:
            v[...] = grad * grad
            return
        normalized = grad / np.maximum(np.sqrt(v), self.eps)
        if self.clip:
            bound = (self.t - 1) ** 0.25
            normalized = np.clip(normalized, -bound, bound)
        m[...] = self.beta1 * m + (1 - self.beta1) * normalized
        param -= self.lr * (m + self.weight_decay * param)
        v[...] = self.beta2 * v + (1 - self.beta2) * grad * grad
