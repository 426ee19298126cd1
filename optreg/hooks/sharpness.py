"""Sharpness-aware minimization: the gradients where the loss is worst near the parameters, for any optimizer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, device_of, new_number, zero_state
from optreg.errors import OptregError
from optreg.gradients import gradients_of
from optreg.hook import Hook, name_of_hook, timing_of
from optreg.hyperparameters import nonnegative, positive
from optreg.masters import MASTER, has_master
from optreg.norms import global_norm
from optreg.passes import step_of
from optreg.signatures import holding, values_at
from optreg.targets import named_parameters

_NEVER_ZERO = 1e-12


@attrs.define(eq=False, repr=False)
class SAM(Hook):
    """Take the gradients at the worst point of a ball around the parameters. ::

        p̂ = p + rho·g / ‖g‖          ‖g‖ over all parameters
        g ← the gradients at p̂       the step is made at p

    Foret et al. 2021, arXiv:2010.01412, for any optimizer; default as there. The loss function is called twice a step,
    so this needs ``update(lossfun)``; what is returned is the loss at p. p comes back bit for bit, also where the loss
    function raises. Where ‖g‖ is not finite, g stays: see ``skip_nonfinite``.

    Hooks that change gradients come after this one, before which their work would be lost. With
    ``gradient_accumulation`` after it, each part of a batch has its own p̂ (the paper's m-sharpness).

    Args:
        rho: the radius of the ball, > 0, or a schedule.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0])
    >>> optimizer = optreg.create("sgd", lr=0.1, hooks=[("sam", {"rho": 0.5})]).setup({"w": w})
    >>> optimizer.update(lambda: (float(w[0] ** 2), {"w": 2 * w}))  # the gradient at 1.5 is 3
    1.0
    >>> print(w)
    [0.7]
    """

    rho: float = positive(0.05, doc="the radius of the ball")
    _rate: float = attrs.field(default=0.0, init=False)

    def __call__(self, opt: Any) -> None:
        """Move the parameters to the worst point, have the gradients there, and put the parameters back."""
        self._refuse_hooks_before(opt)
        members = [(name, parameter) for name, parameter in named_parameters(opt.target) if parameter.grad is not None]
        norm = self._norm(opt, members)
        if not math.isfinite(norm):
            return
        with holding(self, values_at(self, step_of(self, opt.t))):
            self._rate = self.rho / (norm + _NEVER_ZERO)
        arrays = [parameter.data for _, parameter in members]
        opt._run_rules_of_hooks([self], opt.t)
        try:
            opt.recompute_gradients()
        finally:
            states = self._states(opt)
            for (name, _), data in zip(members, arrays, strict=True):
                _put_back(data, states[name]["old"], opt._states.get(name, {}), opt)

    def _norm(self, opt: Any, members: Sequence[tuple[str, Any]]) -> float:  # noqa: ARG002 (a variant needs both)
        return global_norm(gradients_of(opt.target))

    def rule(self, param: Array, grad: Array, old: Array) -> None:
        """Move one parameter up its gradient."""
        old[...] = param
        param += self._rate * grad

    def _states(self, opt: Any) -> Any:
        return next(opt._hook_states[name] for name, hook in opt._hooks.items() if hook is self)

    def _refuse_hooks_before(self, opt: Any) -> None:
        for name, hook in opt._hooks.items():
            if hook is self:
                return
            changes = isinstance(hook, Hook) and callable(getattr(hook, "rule", None)) and hook.changes_gradients
            if changes and timing_of(hook) == "pre":
                raise OptregError(
                    f"{name_of_hook(self)} has the gradients computed anew at other parameters, so that what the hook "
                    f"{name} has made of them is lost; add {name} after it"
                )


def _put_back(data: Array, old: Array, state: Any, optimizer: Any) -> None:
    with device_of(data):
        if has_master(optimizer, state):
            state[MASTER][...] = old
        data[...] = old


@attrs.define(eq=False, repr=False)
class ASAM(SAM):
    """Take the gradients at the worst point of a region that is as wide as the weights are large. ::

        p̂ = p + rho·T²·g / ‖T·g‖      T = |p| + eta for weights, 1 for others
        g ← the gradients at p̂       the step is made at p

    Kwon et al. 2021, arXiv:2102.11600, in the form and with the defaults of the authors' code, for any optimizer.
    There, weights are what is called so; here, parameters with two axes or more. All else is as with ``sam``.

    Args:
        rho: the radius of the region, > 0, or a schedule.
        eta: added to the size of weights, >= 0, or a schedule.

    >>> import optreg
    >>> optreg.create_hook("asam")
    ASAM(rho=0.5, eta=0.01)
    """

    rho: float = positive(0.5, doc="the radius of the region")
    eta: float = nonnegative(0.01, doc="added to the size of weights")
    _measures: bool = attrs.field(default=False, init=False)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        """Tell weights from other parameters."""
        state["old"] = zero_state(param.data)
        state["is_weight"] = new_number(param.data, float(param.data.ndim >= 2))

    def _norm(self, opt: Any, members: Sequence[tuple[str, Any]]) -> float:
        self._measures = True
        try:
            opt._run_rules_of_hooks([self], opt.t)
        finally:
            self._measures = False
        states = self._states(opt)
        return global_norm(states[name]["old"] for name, _ in members)

    def rule(  # type: ignore[override] # each rule names slots of its own
        self, param: Array, grad: Array, old: Array, is_weight: Array
    ) -> None:
        """Scale one gradient into ``old``, to be measured; then move the parameter up what was measured."""
        scale = np.where(is_weight > 0, np.abs(param) + self.eta, 1.0)
        if self._measures:
            old[...] = scale * grad
        else:
            step = self._rate * scale * old
            old[...] = param
            param += step
