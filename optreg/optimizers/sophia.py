"""Sophia: momentum divided by an estimate of the curvature, every element clipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class Sophia(GradientMethod):
    """Sophia-G: steps along an average of the gradient, divided by an estimate of the curvature, and clipped. ::

        p ← (1 − lr·weight_decay)·p
        m ← β1·m + (1 − β1)·g
        p ← p − lr·sign(m)·min(|m| / (rho·batch_size·h + eps), 1)

        h ← β2·h + (1 − β2)·ĝ²        in update_hessian(), every ten steps or so

    ĝ is the gradient of the loss on labels that were drawn from what the model predicts. It takes a backward pass of
    its own, so it is the user who calls ``update_hessian()``. Until then h is zero, and every step is ``lr`` long.

    Liu et al. 2023, arXiv:2305.14342.

    The form and defaults of the authors' code, in which ``batch_size``, the number of labels that ĝ averages over,
    is an argument of ``step()``.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> sophia = optreg.create("sophia", lr=0.1, beta1=0.0, rho=1.0, batch_size=100, weight_decay=0.0).setup({"w": w})
    >>> sophia.update_hessian(lambda: (None, {"w": np.array([2.0, 0.5])}))     # h becomes [0.04, 0.0025]
    >>> sophia.apply_gradients({"w": np.array([1.0, 1.0])})
    >>> w.round(4)
    array([0.975, 1.9  ])
    """

    lr: float = positive(1e-4)
    beta1: float = fraction(0.965)
    beta2: float = fraction(0.99)
    rho: float = positive(0.04, doc="how much curvature counts: the smaller, the more steps are clipped")
    batch_size: float = positive(5120.0, doc="the number of labels that the gradients for h average over")
    eps: float = positive(1e-15)
    weight_decay: float = nonnegative(0.1)

    def rule(self, param: Array, grad: Array, m: Array, h: Array) -> None:
        param *= 1 - self.lr * self.weight_decay
        m *= self.beta1
        m += (1 - self.beta1) * grad
        ratio = np.abs(m) / (self.rho * self.batch_size * h + self.eps)
        param -= self.lr * np.sign(m) * np.minimum(ratio, 1)

    def curvature_rule(self, param: Array, grad: Array, h: Array) -> None:  # noqa: ARG002 (a rule takes both)
        h *= self.beta2
        h += (1 - self.beta2) * grad * grad

    def update_hessian(self, lossfun: Callable[..., Any] | None = None, *args: Any, **kwds: Any) -> Any:
        """Take gradients into the estimate of the curvature; no step is made, and ``t`` stays as it is.

        No hook sees these gradients; they stay in the parameters until the next ones. The estimate is part of the
        state, so a checkpoint may be made at any time.

        Args:
            lossfun: as in ``update()``: the loss on labels that are drawn from the model's own predictions.
                Without it, the gradients of the parameters are taken as they are.

        Returns:
            The loss, or None.
        """
        loss = None if lossfun is None else self.compute_gradients(lossfun, *args, **kwds)
        self.run_rule("curvature_rule")
        return loss
