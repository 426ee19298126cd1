"""Steps that are not made, because a gradient is not finite."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from optreg.arrays import array_module, common_device, device_of, to_host
from optreg.backends.device_survey import FINITE, Survey, survey_on
from optreg.copying import attributes_of
from optreg.errors import SkipStep
from optreg.gradients import gradients_of
from optreg.hook import Hook


@attrs.define(eq=False, repr=False)
class SkipNonfinite(Hook):
    """Skip the step if any gradient holds a NaN or an infinity.

    Parameters and states stay as they are, the hooks after this one do not run, and ``t`` counts the step. Where all
    gradients are on one device, the decision stays there, and kernels do nothing if it says so; the host waits for it
    only where something else comes after it: a hook that is a function, a rule that cannot be compiled.

    Attributes:
        skipped: the number of steps skipped so far, saved with the optimizer. Asking for it waits for the device.

    >>> import optreg
    >>> optreg.create_hook("skip_nonfinite").skipped
    0
    """

    stays_on_device: ClassVar[bool] = True
    _skipped: int = attrs.field(default=0, init=False)
    _survey: Survey | None = attrs.field(default=None, init=False)

    @property
    def skipped(self) -> int:
        """The number of steps skipped so far."""
        return self._skipped + (0 if self._survey is None else int(to_host(self._survey.results)[1]))

    def __call__(self, opt: Any) -> None:
        """Raise SkipStep if a gradient is not finite, or have the device decide."""
        gradients = gradients_of(opt.target)
        device = common_device(gradients)
        if device is not None:
            self._decide_on(device, gradients, opt._decision)
            return
        for grad in gradients:
            with device_of(grad):
                if not bool(array_module(grad).isfinite(grad).all()):
                    self._skipped += 1
                    raise SkipStep

    def _decide_on(self, device: int, gradients: list[Any], decision: Any) -> None:
        survey = survey_on(device, FINITE, self._survey)
        if survey is not self._survey:
            self._skipped, self._survey = self.skipped, survey
        decision.flag = survey.run(gradients, is_made=decision.flag)[:1]
        if not decision.may_wait and not decision.is_made():
            decision.flag = None
            raise SkipStep

    def get_extra_state(self) -> dict[str, Any]:
        """The count, for a checkpoint."""
        return {"skipped": self.skipped}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The count, from a checkpoint."""
        self._skipped, self._survey = int(state["skipped"]), None

    def __getstate__(self) -> dict[str, Any]:
        """For copies, which decide themselves."""
        return attributes_of(self) | {"_skipped": self.skipped, "_survey": None}
