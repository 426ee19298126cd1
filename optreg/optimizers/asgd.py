"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import attrs

from optreg.arrays import Array
from optreg.hyperparameters import nonnegative, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class ASGD(GradientMethod):
    """Averaged SGD: SGD with a falling rate, and beside it the average of where the parameters have been. ::

        eta = lr / (1 + lambd·lr·(t − 1))^alpha
        mu  = 1 / max(1, t − 1 − t0)
        p   ← (1 − lambd·eta)·p − eta·g
        ax  ← ax + mu·(p − ax)

    The slot ``ax`` is the result: the parameters themselves until step ``t0 + 2``, from then on the average
    of the parameters since. ``lambd`` is a decay of the parameters.

    Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the falling rate is from
    Xu 2011, arXiv:1107.2490.

    PyTorch's form and defaults. Where ``lr`` is a schedule, eta follows it at once, not a step later.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("asgd", lr=0.1, lambd=0.0).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([1.0, -1.0])})
    >>> w
    array([0.9, 2.1])
    """

    lr: float = positive(1e-2)
    lambd: float = nonnegative(1e-4, doc="a decay of the parameters, and how fast the rate falls")
    alpha: float = nonnegative(0.75, doc="the power by which the rate falls")
    t0: float = nonnegative(1e6, doc="the number of steps before averaging begins")

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        # A parameter that joins after t0 averages from where it begins, not from zero.
        state["ax"][...] = param.data

    def rule(self, param: Array, grad: Array, ax: Array) -> None:
        eta = self.lr / (1 + self.lambd * self.lr * (self.t - 1)) ** self.alpha
        mu = 1 / max(1.0, self.t - 1 - self.t0)
        param *= 1 - self.lambd * eta
        param -= eta * grad
        ax *= 1 - mu
        ax += mu * param
