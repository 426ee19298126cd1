"""Steps that are not made, because a gradient is not finite."""

from __future__ import annotations

from typing import Any

import attrs

from optreg.arrays import array_module, device_of
from optreg.errors import SkipStep
from optreg.hook import Hook
from optreg.targets import named_parameters


@attrs.define(eq=False, repr=False)
class SkipNonfinite(Hook):
    """Skip the step if any gradient holds a NaN or an infinity.

    Parameters and states stay as they are, the hooks after this one do not run, and ``t`` counts the step.

    Attributes:
        skipped: the number of steps skipped so far, saved with the optimizer.

    >>> import optreg
    >>> optreg.create_hook("skip_nonfinite").skipped
    0
    """

    skipped: int = attrs.field(default=0, init=False)

    def __call__(self, opt: Any) -> None:
        """Raise SkipStep if a gradient is not finite."""
        for _, param in named_parameters(opt.target):
            grad = param.grad
            if grad is not None:
                with device_of(grad):
                    if not bool(array_module(grad).isfinite(grad).all()):
                        self.skipped += 1
                        raise SkipStep

    def get_extra_state(self) -> dict[str, Any]:
        """The count, for a checkpoint."""
        return {"skipped": self.skipped}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The count, from a checkpoint."""
        self.skipped = int(state["skipped"])
