"""Regularization through the gradient: weight decay and the lasso."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.hook import Hook
from optreg.hyperparameters import nonnegative


@attrs.define(eq=False, repr=False)
class WeightDecay(Hook):
    """Add the parameter, scaled, to its gradient (L2 regularization).

    ``grad += rate · param``. For decay that does not pass through an adaptive method's averages, see ``adamw``.

    Args:
        rate: coefficient of the decay, >= 0, or a schedule.

    >>> import optreg
    >>> optreg.create_hook("weight_decay", rate=1e-4)
    WeightDecay(rate=0.0001)
    """

    rate: float = nonnegative()

    def rule(self, param: Any, grad: Any) -> None:
        """Decay one parameter."""
        grad += self.rate * param


@attrs.define(eq=False, repr=False)
class Lasso(Hook):
    """Add the parameter's sign, scaled, to its gradient (L1 regularization).

    ``grad += rate · sign(param)`` (Tibshirani 1996).

    Args:
        rate: coefficient of the decay, >= 0, or a schedule.

    >>> import optreg
    >>> optreg.create_hook("lasso", rate=1e-5)
    Lasso(rate=1e-05)
    """

    rate: float = nonnegative()

    def rule(self, param: Any, grad: Any) -> None:
        """Decay one parameter."""
        grad += self.rate * np.sign(param)
