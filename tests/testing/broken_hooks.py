"""Hooks that are wrong on purpose: for each check one that fails it, and, as far as that can be, no other."""

from __future__ import annotations

import os

import attrs
import numpy as np

from optreg import Hook
from optreg.hyperparameters import positive


@attrs.define(eq=False)
class Right(Hook):
    """A rule with a slot."""

    rate: float = positive(0.1)

    def rule(self, param, grad, total):
        total += grad
        grad += self.rate * total


@attrs.define(eq=False)
class NoDocstring(Right):
    pass


class TakesAnything(Hook):
    """Keywords without end."""

    def __init__(self, **kwds):
        pass

    def rule(self, param, grad):
        grad *= 0.5


class Unchecked(Hook):
    """A number that nobody looks at."""

    def __init__(self, rate=0.1):
        self.rate = rate

    def rule(self, param, grad):
        grad *= self.rate


@attrs.define(eq=False)
class Undocumented(Right):
    """A number that nobody explains."""

    zeta: float = positive(1.0)


@attrs.define(eq=False)
class HalvesItsRate(Right):
    """Its configuration makes another one."""

    def __attrs_post_init__(self):
        self.rate *= 0.5


@attrs.define(eq=False)
class WantsAxes(Hook):
    """A number has no first element."""

    def __call__(self, opt):
        for param in opt.target.params():
            if param.grad is not None:
                param.grad[:] *= 0.5


@attrs.define(eq=False)
class Replaces(Hook):
    """A new gradient in each step."""

    def __call__(self, opt):
        for param in opt.target.params():
            if param.grad is not None:
                param.grad = np.array(param.grad * 0.5)


@attrs.define(eq=False)
class DecaysParameters(Hook):
    """Parameters change before the update."""

    def __call__(self, opt):
        for param in opt.target.params():
            param.data *= 0.5


class CountsOnGradients(Hook):
    """Looks at the gradients of the loss, before anybody has filled in what is missing."""

    def __call__(self, opt):
        if any(not param.grad.any() for param in opt.target.params() if param.grad.size):
            raise ValueError("no gradient")


@attrs.define(eq=False)
class Noise(Hook):
    """Noise that nobody can repeat."""

    def __call__(self, opt):
        for param in opt.target.params():
            param.grad += 1e-3 * np.random.default_rng().normal(size=param.grad.shape).astype(param.grad.dtype)


class NoticesOthers(Hook):
    """Stronger once another one has begun."""

    begun = 0

    def __call__(self, opt):
        if opt.t == 0 and not hasattr(self, "number"):
            type(self).begun += 1
            self.number = type(self).begun
        later_ones = type(self).begun - getattr(self, "number", type(self).begun)
        for param in opt.target.params():
            param.grad *= 1.0 / (1 + later_ones)


class KeepsByName(Hook):
    """What it keeps, it makes once."""

    def __call__(self, opt):
        if opt.t == 0 or not hasattr(self, "names"):
            self.names = {name for name, _ in opt.target.namedparams()}
        for name, param in opt.target.namedparams():
            if name not in self.names:
                raise KeyError(name)
            param.grad *= 0.5


class ForgetsItsCount(Hook):
    """A count that no checkpoint knows of."""

    made = 0

    def __call__(self, opt):
        self.made += 1
        for param in opt.target.params():
            param.grad *= 1.0 / self.made


class KnowsTheBackend(Hook):
    """Another rate where kernels are compiled at once."""

    def __call__(self, opt):
        for param in opt.target.params():
            param.grad *= 1.0 if "OPTREG_COMPILE" not in os.environ else 0.5


class Untraceable(Hook):
    """A function that no backend compiles."""

    def rule(self, param, grad):
        grad[...] = np.arctan(grad)


BROKEN = {
    "check_description": (NoDocstring, ""),
    "check_unknown_hyperparameters": (TakesAnything, ""),
    "check_hyperparameters_are_checked": (Unchecked, ""),
    "check_hyperparameters_are_documented": (Undocumented, ""),
    "check_hook_config_round_trip": (HalvesItsRate, ""),
    "check_hook_runs": (WantsAxes, ""),
    "check_hook_changes_in_place": (Replaces, ""),
    "check_hook_keeps_to_its_time": (DecaysParameters, ""),
    "check_hook_none_gradients": (CountsOnGradients, ""),
    "check_hook_deterministic": (
        Noise,
        "check_hook_config_round_trip check_hook_instances_are_apart check_hook_resuming check_hook_backends",
    ),
    "check_hook_instances_are_apart": (NoticesOthers, ""),
    "check_hook_late_parameters": (KeepsByName, ""),
    "check_hook_resuming": (ForgetsItsCount, ""),
    "check_hook_backends": (KnowsTheBackend, ""),
    "check_hook_cost": (Untraceable, ""),
}
"""For each check of level 1 the hook that fails it, and the checks that it cannot help failing as well."""
