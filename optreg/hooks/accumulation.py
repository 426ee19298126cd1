"""Gradients of several calls, put together to those of one step."""

from __future__ import annotations

from typing import Any

import attrs

from optreg.arrays import Array
from optreg.errors import SkipStep
from optreg.hook import Hook
from optreg.hyperparameters import boolean, whole


@attrs.define(eq=False, repr=False)
class GradientAccumulation(Hook):
    """Make one step of every ``steps`` calls of ``update()``, with the mean of their gradients.

    A call that only accumulates makes no step: the parameters, the optimizer's states and ``t`` stay as they are, its
    gradients as well, and the hooks after this one do not run. Those before it see the gradients of each call. In the
    call that makes the step, the gradients become the mean, or the sum, and stay so.

    An accumulation that is under way is saved with the optimizer, and goes on where that is loaded. ``setup()`` forgets
    it. It cannot become part of a CUDA graph.

    Args:
        steps: calls for each step, at least 1.
        mean: divide the sum by the number of calls; False where the losses are divided already.

    Attributes:
        gathered: the number of calls since the last step.

    >>> import numpy as np, optreg
    >>> w = np.zeros(1)
    >>> optimizer = optreg.create("sgd", lr=1.0, hooks=[("gradient_accumulation", {"steps": 2})]).setup({"w": w})
    >>> for gradient in (1.0, 3.0):
    ...     optimizer.apply_gradients({"w": np.array([gradient])})
    ...     print(optimizer.t, w)
    0 [0.]
    1 [-2.]
    """

    steps: int = whole(low=1, doc="calls of update() for each step")
    mean: bool = boolean(True, doc="divide the sum of the gradients by the number of calls")
    gathered: int = attrs.field(default=0, init=False)
    _number: int = attrs.field(default=1, init=False)
    _makes_step: bool = attrs.field(default=True, init=False)

    def observe(self, opt: Any) -> None:
        """Count the call; unless it makes the step, accumulate, and end it here."""
        self._number = self.gathered + 1
        self._makes_step = self._number >= self.steps
        if self._makes_step:
            self.gathered = 0
            return
        opt._run_rules_of_hooks([self], opt.t)
        self.gathered = self._number
        raise SkipStep(counts=False)

    def rule(self, param: Array, grad: Array, total: Array) -> None:  # noqa: ARG002 (a rule takes both)
        """Take one gradient into the total, or the total into the gradient."""
        if not self._makes_step and self._number == 1:
            total[...] = grad
        elif not self._makes_step:
            total += grad
        elif self._number > 1:
            grad[...] = (total + grad) / self._number if self.mean else total + grad

    def forget(self) -> None:
        """Begin anew."""
        self.gathered = 0

    def get_extra_state(self) -> dict[str, Any]:
        """How far it is, for a checkpoint."""
        return {"gathered": self.gathered}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The same, from a checkpoint."""
        self.gathered = int(state["gathered"])
