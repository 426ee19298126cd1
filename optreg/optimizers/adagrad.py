"""Learning rates for every element, from sums or averages of squared gradients: AdaGrad and AdaDelta."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class AdaGrad(GradientMethod):
    """AdaGrad: steps divided by the root of the sum of all squared gradients. ::

        h ← h + g²
        p ← p − lr·g / (√h + eps)

    Duchi, Hazan & Singer 2011, "Adaptive subgradient methods for online learning and stochastic
    optimization".

    The form of PyTorch and Chainer, with PyTorch's defaults: the sum starts at zero, eps stands outside the
    root. optax starts the sum at 0.1 and has eps inside.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("adagrad", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([3.0, -0.01])})
    >>> w
    array([0.9, 2.1])
    """

    lr: float = positive(1e-2)
    eps: float = positive(1e-10)

    def rule(self, param: Array, grad: Array, h: Array) -> None:
        h += grad * grad
        param -= self.lr * grad / (np.sqrt(h) + self.eps)


@attrs.define(eq=False)
class AdaDelta(GradientMethod):
    """ADADELTA: steps in the units of the parameter, from averages of squared gradients and squared steps. ::

        msg  ← rho·msg + (1 − rho)·g²
        d    = √((msdx + eps) / (msg + eps)) · g
        msdx ← rho·msdx + (1 − rho)·d²
        p    ← p − lr·d

    Zeiler 2012, arXiv:1212.5701. The paper has no learning rate: ``lr`` is 1 there.

    The form and defaults of PyTorch; with ``lr=1`` the form of Chainer, whose rho is 0.95. In PyTorch and
    optax, as here, the average of squared steps does not contain ``lr``.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("adadelta", rho=0.96, eps=0.01).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([0.0, 0.5])})
    >>> w.round(4)
    array([1.    , 1.6464])
    """

    lr: float = positive(1.0)
    rho: float = fraction(0.9)
    eps: float = positive(1e-6)

    def rule(self, param: Array, grad: Array, msg: Array, msdx: Array) -> None:
        msg *= self.rho
        msg += (1 - self.rho) * grad * grad
        step = np.sqrt((msdx + self.eps) / (msg + self.eps)) * grad
        msdx *= self.rho
        msdx += (1 - self.rho) * step * step
        param -= self.lr * step
