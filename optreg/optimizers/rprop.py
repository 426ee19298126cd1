"""Rprop: steps that look at the signs of the gradient only."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, number, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class Rprop(GradientMethod):
    """Rprop: every element has its own step, longer while the gradient keeps its sign, shorter at a turn. ::

        step ← step·eta_plus    where g and prev have the same sign
               step·eta_minus   where they have opposite signs; g counts as 0 there
               step             where one of them is 0
        step ← min(max(step, min_step), max_step)
        p    ← p − sign(g)·step
        prev ← g

    Riedmiller & Braun 1993, "A direct adaptive method for faster backpropagation learning". It is meant for
    the gradient of all the data: the signs of mini-batches are mostly noise.

    PyTorch's form and defaults: at a turn the element rests for one step, and no step is taken back (the
    iRprop⁻ of Igel & Hüsken 2000). A step of zero in the state has not begun: it begins at ``lr``, which
    matters only then.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("rprop", lr=0.1).setup({"w": w})
    >>> for _ in range(2):
    ...     optimizer.apply_gradients({"w": np.array([3.0, -0.01])})
    >>> w
    array([0.78, 2.22])
    """

    lr: float = positive(1e-2, doc="the length of the first step")
    eta_minus: float = fraction(0.5, doc="the factor at a turn")
    eta_plus: float = number(1.2, low=1, doc="the factor while the sign stays")
    min_step: float = positive(1e-6)
    max_step: float = positive(50.0)

    def rule(self, param: Array, grad: Array, prev: Array, step: Array) -> None:
        agreement = np.sign(grad) * np.sign(prev)
        factor = np.where(agreement > 0, self.eta_plus, np.where(agreement < 0, self.eta_minus, 1.0))
        begun = np.where(step == 0, self.lr, step)
        step[...] = np.clip(begun * factor, self.min_step, self.max_step)
        prev[...] = np.where(agreement < 0, 0.0, grad)
        param -= np.sign(prev) * step
