"""Optimizers that are wrong on purpose: for each check one that fails it, and, as far as that can be, no other."""

from __future__ import annotations

import os
import time
from typing import Any

import attrs
import numpy as np

import optreg
from optreg import GradientMethod
from optreg.hyperparameters import fraction, positive


@attrs.define(eq=False)
class Momentum(GradientMethod):
    """Right: momentum, parameter by parameter."""

    lr: float = positive(0.1)
    momentum: float = fraction(0.5)

    def init_state(self, param, state):
        state["v"] = np.zeros_like(param.data)

    def update_one(self, param, state):
        state["v"] *= self.momentum
        state["v"] += param.grad
        param.data -= self.lr * state["v"]


@attrs.define(eq=False)
class Whole(Momentum):
    """Right: an update of its own."""

    def update(self, lossfun=None, *args: Any) -> Any:
        loss = self.evaluate(lossfun, args)
        try:
            self.call_hooks()
        except optreg.SkipStep:
            self.t += 1
            return loss
        self.prepare()
        self.t += 1
        self.change()
        self.call_hooks("post")
        return loss

    def evaluate(self, lossfun, args):
        loss, gradients = lossfun(*args)
        for name, param in self.target.namedparams():
            param.grad = gradients.get(name)
        self.reallocate_cleared_grads()
        return loss

    def change(self):
        states = self.states()
        for name, param in self.target.namedparams():
            self.update_one(param, states[name])

    def states(self):
        return self._states


RIGHT = [Momentum, Whole]


@attrs.define(eq=False)
class NoDocstring(Momentum):
    pass


class TakesAnything(Momentum):
    """Keywords without end."""

    def __init__(self, **kwds):
        super().__init__(**{name: value for name, value in kwds.items() if name in ("lr", "momentum")})


class Unchecked(Momentum):
    """A number that nobody looks at."""

    def __init__(self, lr=0.1):
        object.__setattr__(self, "lr", lr)
        object.__setattr__(self, "momentum", 0.5)


@attrs.define(eq=False)
class Undocumented(Momentum):
    """A hyperparameter that nobody explains."""

    zeta: float = positive(1.0)


@attrs.define(eq=False)
class HalvesItsRate(Momentum):
    """Its configuration makes another one."""

    def __attrs_post_init__(self):
        if not callable(self.lr):
            self.lr *= 0.5


class ComputesOnce(Momentum):
    """What the rate was when it was made is what it stays."""

    def __init__(self, lr: float = 0.1):
        super().__init__(lr=lr)
        self.rate = 1.0 * self.lr if not callable(self.lr) else 0.2

    def update_one(self, param, state):
        param.data -= self.rate * param.grad


@attrs.define(eq=False)
class ReturnsNothing(Momentum):
    """The loss is lost."""

    def update(self, lossfun=None, *args):
        super().update(lossfun, *args)


@attrs.define(eq=False)
class CountsTwice(Whole):
    """Every step is two."""

    def change(self):
        super().change()
        self.t += 1


@attrs.define(eq=False)
class Remembers(Momentum):
    """Slower with every step that this object has made."""

    made: int = attrs.field(default=0, init=False)

    def update_one(self, param, state):
        self.made += 1
        param.data -= self.lr / self.made * param.grad

    def get_extra_state(self):
        return {"made": self.made}

    def set_extra_state(self, state):
        self.made = state["made"]


@attrs.define(eq=False)
class Replaces(Momentum):
    """A new array in each step."""

    def update_one(self, param, state):
        param.data = np.array(param.data - self.lr * param.grad)


@attrs.define(eq=False)
class ReplacesStates(Momentum):
    """New states in each step."""

    def update_one(self, param, state):
        state["v"] = self.momentum * state["v"] + param.grad
        param.data -= self.lr * state["v"]


@attrs.define(eq=False)
class CrudeInSingle(Momentum):
    """Rough in float32."""

    def update_one(self, param, state):
        param.data -= self.lr * param.grad
        if param.data.dtype == np.float32:
            param.data += 0.01


@attrs.define(eq=False)
class SquaresInHalf(Momentum):
    """The square of a small number of float16 is zero."""

    def update_one(self, param, state):
        state["v"] += param.grad * param.grad * param.data.dtype.type(1e-3)
        param.data -= 1e-3 * param.grad / (np.sqrt(state["v"]) + 1e-8)


@attrs.define(eq=False)
class LargestOfNone(Momentum):
    """There is no largest element of none."""

    def update_one(self, param, state):
        param.data -= self.lr * np.clip(param.grad, -np.abs(param.grad).max(), np.abs(param.grad).max())


@attrs.define(eq=False)
class WantsAxes(Momentum):
    """A number has no first element."""

    def update_one(self, param, state):
        param.data[:] -= self.lr * param.grad


@attrs.define(eq=False)
class Flattens(Momentum):
    """A copy is flattened where the array is strided."""

    def update_one(self, param, state):
        flat = param.data.reshape(-1)
        flat -= self.lr * param.grad.reshape(-1)


@attrs.define(eq=False)
class GoesOverPaths(Whole):
    """An array under two paths is updated twice."""

    def change(self):
        for _, param in self.target.paths():
            self.update_one(param, self._states[param.name])


@attrs.define(eq=False)
class NeverPrepares(Whole):
    """States are made by setup(), and never again."""

    def prepare(self):
        if "made" not in vars(self).setdefault("_marks", set()) or self.t == 0:
            super().prepare()
            vars(self)["_marks"].add("made")


@attrs.define(eq=False)
class ScalesGradients(Momentum):
    """The user's gradient is its scratch memory."""

    def update_one(self, param, state):
        param.grad *= self.lr
        param.data -= param.grad


@attrs.define(eq=False)
class SkipsNone(Whole):
    """What has no gradient stands still, momentum and all."""

    def evaluate(self, lossfun, args):
        loss, gradients = lossfun(*args)
        for name, param in self.target.namedparams():
            param.grad = gradients.get(name)
        self.missing = [name for name, param in self.target.namedparams() if param.grad is None]
        self.reallocate_cleared_grads()
        return loss

    def change(self):
        for name, param in self.target.namedparams():
            if name not in self.missing:
                self.update_one(param, self._states[name])


@attrs.define(eq=False)
class Ascends(Momentum):
    """The wrong way."""

    def update_one(self, param, state):
        param.data += self.lr * param.grad


@attrs.define(eq=False)
class Wanders(Momentum):
    """Noise that nobody can repeat."""

    def update_one(self, param, state):
        param.data -= self.lr * (param.grad + 1e-3 * np.random.default_rng().normal(size=param.data.shape))


@attrs.define(eq=False)
class NoticesOthers(Momentum):
    """Slower once another one has begun."""

    def update_one(self, param, state):
        cls = type(self)
        if self.t == 1 and not hasattr(self, "number"):
            cls.begun += 1
            self.number = cls.begun
        later_ones = cls.begun - getattr(self, "number", cls.begun)
        param.data -= self.lr / (1 + later_ones) * param.grad


NoticesOthers.begun = 0


@attrs.define(eq=False)
class SharesScratch(Momentum):
    """One array for the work of all threads."""

    def update_one(self, param, state):
        scratch = SharesScratch.scratch
        scratch[param.data.shape] = self.lr * param.grad
        time.sleep(1e-3)
        param.data -= scratch[param.data.shape]


SharesScratch.scratch = {}


@attrs.define(eq=False)
class RemembersOneTensor(GradientMethod):
    """Has one place for what each tensor is to keep for itself."""

    elementwise = False
    tensors_in_parallel = True

    lr: float = positive(0.1)

    def rule(self, param, grad):
        self.longer = 1 + 1 / (1 + param.size)
        time.sleep(1e-3)
        param -= self.lr * self.longer * grad


@attrs.define(eq=False)
class CountsFirst(Whole):
    """The step is counted before there is one."""

    def evaluate(self, lossfun, args):
        self.t += 1
        loss = super().evaluate(lossfun, args)
        self.t -= 1
        return loss


@attrs.define(eq=False)
class DecaysFirst(Whole):
    """Parameters change before the hooks have been asked."""

    def evaluate(self, lossfun, args):
        loss = super().evaluate(lossfun, args)
        for _, param in self.target.namedparams():
            param.data *= 0.999
        return loss


@attrs.define(eq=False)
class WithoutFinally(Whole):
    """The rate is put back only if all goes well."""

    def change(self):
        lr = self.lr
        self.lr = 2 * lr
        super().change()
        self.lr = lr


@attrs.define(eq=False)
class ForgetsItsCount(Momentum):
    """A count that no checkpoint knows of."""

    made: int = attrs.field(default=0, init=False)

    def update_one(self, param, state):
        self.made = self.made + 1 if self.t > 1 else 1
        param.data -= self.lr / self.made * param.grad


@attrs.define(eq=False)
class WritesNoStates(Momentum):
    """A serializer sees nothing but t."""

    def serialize(self, serializer):
        self.t = int(serializer("t", self.t))


@attrs.define(eq=False)
class LooksBeforeTheHooks(Momentum):
    """The gradients that it uses are those that the hooks have not seen."""

    def call_hooks(self, timing="pre"):
        self.gradients = {id(param): param.grad.copy() for param in self.target.params()}
        super().call_hooks(timing)

    def update_one(self, param, state):
        param.data -= self.lr * self.gradients[id(param)]


@attrs.define(eq=False)
class NoHooksAfter(Whole):
    """Hooks after the update are never called."""

    def call_hooks(self, timing="pre"):
        if timing == "pre":
            super().call_hooks(timing)


@attrs.define(eq=False)
class LetsSkipStepThrough(Whole):
    """A hook that skips a step ends the training."""

    def update(self, lossfun=None, *args):
        loss = self.evaluate(lossfun, args)
        self.call_hooks()
        self.prepare()
        self.t += 1
        self.change()
        self.call_hooks("post")
        return loss


@attrs.define(eq=False)
class KnowsTheBackend(Momentum):
    """Another rate where kernels are compiled at once."""

    def update_one(self, param, state):
        param.data -= self.lr * param.grad * (1.0 if "OPTREG_COMPILE" not in os.environ else 0.5)


@attrs.define(eq=False)
class Untraceable(GradientMethod):
    """A function that no backend compiles."""

    lr: float = positive(0.1)

    def rule(self, param, grad):
        param -= self.lr * np.arctan(grad)


EVERY_RUN_IS_ANOTHER = """
    check_config_round_trip check_schedules check_setup_begins_anew check_shared check_strided check_none_gradients
    check_instances_are_apart check_threads check_failing_loss check_failing_hook check_resuming check_serializers
    check_builtin_hooks check_backends
"""

BROKEN = {
    "check_description": (NoDocstring, ""),
    "check_unknown_hyperparameters": (TakesAnything, ""),
    "check_hyperparameters_are_checked": (Unchecked, ""),
    "check_hyperparameters_are_documented": (Undocumented, ""),
    "check_config_round_trip": (HalvesItsRate, ""),
    "check_schedules": (ComputesOnce, ""),
    "check_step_count": (ReturnsNothing, ""),
    "check_setup_begins_anew": (Remembers, ""),
    "check_updates_in_place": (Replaces, "check_shared"),
    "check_states_in_place": (ReplacesStates, ""),
    "check_float32": (CrudeInSingle, ""),
    "check_float16": (SquaresInHalf, ""),
    "check_zero_size": (LargestOfNone, ""),
    "check_zero_dimensional": (WantsAxes, ""),
    "check_strided": (Flattens, ""),
    "check_shared": (GoesOverPaths, ""),
    "check_late_parameters": (NeverPrepares, ""),
    "check_gradients_are_kept": (ScalesGradients, ""),
    "check_none_gradients": (SkipsNone, ""),
    "check_minimizes_a_quadratic": (Ascends, "check_minimizes_rosenbrock check_learns_a_logistic_regression"),
    "check_minimizes_rosenbrock": (Ascends, "check_minimizes_a_quadratic check_learns_a_logistic_regression"),
    "check_learns_a_logistic_regression": (Ascends, "check_minimizes_a_quadratic check_minimizes_rosenbrock"),
    "check_deterministic": (Wanders, EVERY_RUN_IS_ANOTHER),
    "check_instances_are_apart": (NoticesOthers, "check_threads"),
    "check_threads": (SharesScratch, ""),
    "check_tensors_in_parallel": (RemembersOneTensor, ""),
    "check_failing_loss": (CountsFirst, ""),
    "check_failing_hook": (DecaysFirst, "check_skipped_steps"),
    "check_exception_in_the_middle": (WithoutFinally, ""),
    "check_resuming": (ForgetsItsCount, "check_serializers"),
    "check_serializers": (WritesNoStates, "check_resuming"),
    "check_builtin_hooks": (LooksBeforeTheHooks, ""),
    "check_hooks_are_called": (NoHooksAfter, ""),
    "check_skipped_steps": (LetsSkipStepThrough, ""),
    "check_backends": (KnowsTheBackend, ""),
    "check_step_cost": (Untraceable, ""),
}
"""For each check of level 1 the class that fails it, and the checks that this class cannot help failing as well."""
