"""Updates that go against the gradient, left out."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hook import Hook


@attrs.define(eq=False, repr=False)
class Cautious(Hook):
    """Make only that part of an update which goes down the gradient, and scale it up for what is left out. ::

        mask = 1 where the parameter's change and −g have the same sign, else 0
        p ← p_before + (p − p_before)·mask / max(mean(mask), 0.001)        mean over each tensor

    Liang et al. 2024, arXiv:2411.16085, in the form of the authors' code, for any optimizer: of its momentum, an
    element is left out as long as it points elsewhere than the present gradient, as hooks before the update have left
    that.

    What the optimizer has made of a parameter counts as a whole. In the authors' C-AdamW and C-Lion, decay that does
    not pass through the averages is always made; here it is part of what is left out and scaled. Without such decay,
    the steps are theirs. Changes are differences of parameters, so one that is too small for the parameter's dtype
    counts as none. Add this hook before others that come after the update: what those have changed would count, too.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 1.0])
    >>> optimizer = optreg.create("momentum_sgd", lr=0.1, hooks=["cautious"]).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([1.0, 1.0])})
    >>> w
    array([0.9, 0.9])
    >>> optimizer.apply_gradients({"w": np.array([1.0, -0.1])})     # the second would go on to fall
    >>> w
    array([0.52, 0.9 ])
    """

    timing: ClassVar[Literal["post"]] = "post"

    def rule(self, param: Array, grad: Array, before: Array) -> None:
        """Change one parameter by what is left of its update."""
        change = param - before
        mask = (np.sign(change) * np.sign(grad) < 0).astype(param.dtype)
        param[...] = before + change * (mask / np.maximum(np.mean(mask), 1e-3))
