"""Steps scaled layer by layer, to a fraction of the norm of each parameter: LARS and LAMB."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod
from optreg.optimizers.adam import update_moments


def _ratio(of: Array, to: Array) -> Array:
    """``of / to``, or 1 where one of them is zero."""
    both = (of > 0) & (to > 0)
    return np.where(both, of / np.where(both, to, 1), 1)


@attrs.define(eq=False)
class LARS(GradientMethod):
    """LARS: momentum of gradients whose norm is made a fraction of the parameter's. ::

        u   = g + weight_decay·p
        buf ← momentum·buf + lr·trust·(‖p‖ / ‖u‖)·u
        p   ← p − buf

    The ratio of the norms is 1 where one of them is zero.

    You, Gitman & Ginsburg 2017, arXiv:1708.03888.

    The form and defaults of optax: the ratio and ``lr`` stand inside the momentum.

    >>> import numpy as np, optreg
    >>> w = np.array([3.0, -4.0])
    >>> lars = optreg.create("lars", lr=1.0, trust=0.1).setup({"w": w})
    >>> lars.apply_gradients({"w": np.array([1.0, 0.0])})
    >>> w
    array([ 2.5, -4. ])
    """

    lr: float = positive(1e-2)
    momentum: float = fraction(0.9)
    trust: float = positive(1e-3, doc="the norm of a step of lr 1, as a fraction of the parameter's norm")
    weight_decay: float = nonnegative(0.0)

    def rule(self, param: Array, grad: Array, buf: Array) -> None:
        update = grad + self.weight_decay * param
        ratio = _ratio(self.trust * np.linalg.norm(param), np.linalg.norm(update))
        buf *= self.momentum
        buf += self.lr * ratio * update
        param -= buf


@attrs.define(eq=False)
class LAMB(GradientMethod):
    """LAMB: AdamW whose step is as long as ``lr`` times the parameter's norm. ::

        m, v as in Adam
        u = (m / (1 − β1ᵗ)) / (√(v / (1 − β2ᵗ)) + eps) + weight_decay·p
        p ← p − lr·(‖p‖ / ‖u‖)·u

    The ratio of the norms is 1 where one of them is zero.

    You, Li, Reddi et al. 2019, arXiv:1904.00962.

    The form and defaults of NVIDIA's Apex, but for its clipping of all gradients to a norm of 1, which is the hook
    ``gradient_clipping``.

    >>> import numpy as np, optreg
    >>> w = np.array([3.0, -4.0])
    >>> lamb = optreg.create("lamb", lr=0.1, weight_decay=0.0).setup({"w": w})
    >>> lamb.apply_gradients({"w": np.array([1.0, 0.0])})
    >>> w.round(3)
    array([ 2.5, -4. ])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-6)
    weight_decay: float = nonnegative(1e-2)

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        update_moments(self, grad, m, v)
        update = m / (1 - self.beta1**self.t) / (np.sqrt(v / (1 - self.beta2**self.t)) + self.eps)
        update += self.weight_decay * param
        param -= self.lr * _ratio(np.linalg.norm(param), np.linalg.norm(update)) * update
