"""A hook that lets small gradients wait."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg import Hook
from optreg.hyperparameters import nonnegative


@attrs.define(eq=False)
class Sparsify(Hook):
    """Make elements of the gradient zero until what they have added up to is large enough. ::

        rest ← rest + g
        g    ← rest where |rest| ≥ threshold, else 0
        rest ← rest − g

    Strom 2015, "Scalable distributed DNN training using commodity GPU cloud computing", who sends ± threshold; here
    all that has added up is let go at once.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 1.0])
    >>> hooks = [("example/sparsify", {"threshold": 0.3})]
    >>> optimizer = optreg.create("sgd", lr=1.0, hooks=hooks).setup({"w": w})
    >>> for _ in range(2):
    ...     optimizer.apply_gradients({"w": np.array([0.25, 0.5])})
    >>> w
    array([0.5, 0. ])
    """

    threshold: float = nonnegative(0.001, "how large an element must be not to wait")

    def rule(self, param: Any, grad: Any, rest: Any) -> None:
        rest += grad
        grad[...] = np.where(np.abs(rest) < self.threshold, 0, rest)
        rest -= grad
