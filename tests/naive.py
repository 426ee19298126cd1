"""Momentum and hooks as a beginner would write them: one parameter at a time, nothing fused, nothing cached."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import attrs
import numpy as np

Gradients = dict[str, Any]


@attrs.define
class NaiveMomentum:
    """What a step of ``momentum_sgd`` with hooks must do, by CONTRACT.md, as plainly as it can be said.

    Attributes:
        hooks: functions of (t, parameters, gradients) by name; those in ``after`` run after the update.
    """

    parameters: dict[str, Any]
    lr: Any = 0.5
    momentum: float = 0.5
    options: dict[str, dict[str, Any]] = attrs.Factory(dict)
    hooks: dict[str, Callable[[int, Gradients, Gradients], None]] = attrs.Factory(dict)
    after: dict[str, Callable[[int, Gradients, Gradients], None]] = attrs.Factory(dict)
    buffers: dict[str, Any] = attrs.Factory(dict)
    t: int = 0

    def step(self, gradients: Gradients) -> Gradients:
        """Make a step; returns the gradients as the hooks have left them."""
        gradients = {name: gradients.get(name) for name in self.parameters}
        self._fill(gradients)
        for hook in self.hooks.values():
            hook(self.t, self.parameters, gradients)
            self._fill(gradients)
        self.t += 1
        for name, parameter in self.parameters.items():
            buffer = self.buffers.setdefault(name, np.zeros_like(parameter))
            buffer *= self.momentum
            buffer += gradients[name]
            np.subtract(parameter, self._rate(name) * buffer, out=parameter)
        for hook in self.after.values():
            hook(self.t, self.parameters, gradients)
        return gradients

    def _fill(self, gradients: Gradients) -> None:
        for name, parameter in self.parameters.items():
            if gradients[name] is None:
                gradients[name] = np.zeros_like(parameter)

    def _rate(self, name: str) -> float:
        rate = self.lr
        for pattern, overrides in self.options.items():
            if fnmatchcase(f"/{name}", pattern):
                rate = overrides.get("lr", rate)
        return rate(self.t) if callable(rate) else rate
