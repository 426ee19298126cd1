"""Gradients kept within bounds: by their norm, or element by element."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import numpy as np

from optreg.arrays import Array, are_captured, common_device, is_number_on_device, to_host
from optreg.backends.device_survey import SQUARES, Survey, survey_on
from optreg.copying import attributes_of
from optreg.errors import HyperparameterError, OptregError
from optreg.gradients import gradients_of
from optreg.hook import Hook
from optreg.hyperparameters import nonnegative, number
from optreg.norms import global_norm
from optreg.passes import step_of
from optreg.signatures import holding, values_at


@attrs.define(eq=False, repr=False)
class GradientClipping(Hook):
    """Scale all gradients together so that their global L2 norm is at most the threshold.

    ``grad *= threshold / ‖g‖`` if that is < 1 (Pascanu et al. 2013, arXiv:1211.5063). A norm of zero changes
    nothing; a norm that is not finite leaves the gradients as they are, with one warning: see ``skip_nonfinite``.
    Where all gradients are on one device, the norm stays there: the host does not wait for it, and cannot warn.

    Args:
        threshold: the largest norm allowed, >= 0, or a schedule.

    Attributes:
        rate: what the gradients of the last step were multiplied with; 1.0 where they were left as they are. An array
            without axes if it is on a device; ``float(rate)`` waits for it.

    >>> import optreg
    >>> optreg.create_hook("gradient_clipping", threshold=1.0)
    GradientClipping(threshold=1.0)
    """

    threshold: float = nonnegative()
    stays_on_device: ClassVar[bool] = True
    rate: Any = attrs.field(default=1.0, init=False)
    _warned: bool = attrs.field(default=False, init=False)
    _scales: bool = attrs.field(default=False, init=False)
    _survey: Survey | None = attrs.field(default=None, init=False)

    def observe(self, opt: Any) -> None:
        """Measure the norm of all gradients."""
        gradients = gradients_of(opt.target)
        device = common_device(gradients)
        values = values_at(self, step_of(self, opt.t))
        if values and are_captured(gradients):
            raise OptregError(
                "the threshold of GradientClipping is a schedule, which a CUDA graph would not follow; give it a number"
            )
        with holding(self, values):
            if device is None:
                self._observe_on_host(gradients)
            else:
                self._observe_on_device(gradients, device)

    def _observe_on_device(self, gradients: Sequence[Array], device: int) -> None:
        self._survey = survey_on(device, SQUARES, self._survey)
        self.rate = self._survey.run(gradients, limit=self.threshold)[1]
        self._scales = True

    def _observe_on_host(self, gradients: Sequence[Array]) -> None:
        norm = global_norm(gradients)
        self.rate = 1.0
        if not math.isfinite(norm):
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"the norm of the gradients is {norm}, so GradientClipping leaves them as they are; "
                    f"add the hook skip_nonfinite before it to skip such steps (this is said once)",
                    RuntimeWarning,
                    stacklevel=2,
                )
        elif norm > self.threshold:
            self.rate = self.threshold / norm
        self._scales = self.rate < 1

    def get_extra_state(self) -> dict[str, Any]:
        """The rate, for a checkpoint, and whether the warning was given."""
        return {"rate": self._rate_on_host(), "warned": self._warned}

    def _rate_on_host(self) -> float:
        return float(to_host(self.rate)) if is_number_on_device(self.rate) else self.rate

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The same, from a checkpoint."""
        self.rate, self._warned = float(state["rate"]), bool(state["warned"])

    def rule(self, param: Array, grad: Array) -> None:  # noqa: ARG002 (a rule takes both)
        """Scale one gradient."""
        if self._scales:
            grad *= self.rate

    def __getstate__(self) -> dict[str, Any]:
        """For copies, which look at gradients themselves."""
        return attributes_of(self) | {"rate": self._rate_on_host(), "_survey": None}


@attrs.define(eq=False, repr=False)
class GradientHardClipping(Hook):
    """Clip every element of the gradients to an interval.

    ``grad = min(max(grad, lower_bound), upper_bound)``; NaN stays NaN.

    Args:
        lower_bound: the smallest value allowed.
        upper_bound: the largest value allowed, at least ``lower_bound``.

    >>> import optreg
    >>> optreg.create_hook("gradient_hard_clipping", lower_bound=-1.0, upper_bound=1.0)
    GradientHardClipping(lower_bound=-1.0, upper_bound=1.0)
    """

    lower_bound: float = number()
    upper_bound: float = number()

    def __attrs_post_init__(self) -> None:
        low, high = self.lower_bound, self.upper_bound
        if not callable(low) and not callable(high) and low > high:
            raise HyperparameterError(
                f"GradientHardClipping: lower_bound must be at most upper_bound, but they are {low} and {high}"
            )

    def rule(self, param: Any, grad: Any) -> None:  # noqa: ARG002 (a rule takes both)
        """Clip one gradient."""
        grad[...] = np.clip(grad, self.lower_bound, self.upper_bound)
