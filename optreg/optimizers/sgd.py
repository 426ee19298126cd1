"""Stochastic gradient descent, plain and with momentum."""

from __future__ import annotations

import attrs

from optreg.arrays import Array
from optreg.hyperparameters import fraction, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class SGD(GradientMethod):
    """Stochastic gradient descent: a step down the gradient. ::

        p ← p − lr·g

    Robbins & Monro 1951, "A stochastic approximation method".

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("sgd", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([1.0, -1.0])})
    >>> w
    array([0.9, 2.1])
    """

    lr: float = positive(1e-2)

    def rule(self, param: Array, grad: Array) -> None:
        param -= self.lr * grad


@attrs.define(eq=False)
class MomentumSGD(GradientMethod):
    """SGD with momentum: steps along a decaying sum of the gradients (the heavy ball). ::

        buf ← momentum·buf + g
        p   ← p − lr·buf

    Polyak 1964, "Some methods of speeding up the convergence of iteration methods".

    The form of PyTorch and optax, without dampening: a new learning rate acts on the whole sum at once.
    Chainer and Caffe sum ``lr·g``, which is the same only while ``lr`` is constant.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("momentum_sgd", lr=0.1, momentum=0.5).setup({"w": w})
    >>> for _ in range(2):
    ...     optimizer.apply_gradients({"w": np.array([1.0, -1.0])})
    >>> w
    array([0.75, 2.25])
    """

    lr: float = positive(1e-2)
    momentum: float = fraction(0.9)

    def rule(self, param: Array, grad: Array, buf: Array) -> None:
        buf *= self.momentum
        buf += grad
        param -= self.lr * buf


@attrs.define(eq=False)
class NesterovAG(GradientMethod):
    """Nesterov's accelerated gradient: momentum that looks one step ahead. ::

        buf ← momentum·buf + g
        p   ← p − lr·(g + momentum·buf)

    Nesterov 1983, "A method of solving a convex programming problem with convergence rate O(1/k²)"; for
    neural networks, Sutskever, Martens, Dahl & Hinton 2013, "On the importance of initialization and momentum
    in deep learning".

    The form of PyTorch and optax: the parameters are those that the gradient is taken at. Chainer 1's
    NesterovAG has other coefficients.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("nesterov_ag", lr=0.1, momentum=0.5).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([1.0, -1.0])})
    >>> w
    array([0.85, 2.15])
    """

    lr: float = positive(1e-2)
    momentum: float = fraction(0.9)

    def rule(self, param: Array, grad: Array, buf: Array) -> None:
        buf *= self.momentum
        buf += grad
        param -= self.lr * (grad + self.momentum * buf)
