"""Scalars of a rule, and the branches that it takes on them."""

from __future__ import annotations

import enum
import functools

import attrs
import numpy as np
import pytest

from optreg.hyperparameters import boolean, fraction, positive
from optreg.optimizer import GradientMethod
from optreg.rule import OwnedRule
from optreg.tracing.nodes import Input
from optreg.tracing.trace import guard, trace, traced

from .interpreter import interpret

INPUTS = (Input("param", np.dtype("float32")), Input("grad", np.dtype("float32")))


def assert_traced(owner):
    """The trace does what the rule does, with the owner as it is now. Returns the trace."""
    rule = trace(OwnedRule(owner), INPUTS)
    grad = np.linspace(-2, 2, 9, dtype=np.float32)
    param, traced_param = np.ones(9, np.float32), np.ones(9, np.float32)
    owner.rule(param, grad)
    interpret(rule, [traced_param, grad], "self", owner)
    assert param.tobytes() == traced_param.tobytes()
    return rule


class Plain:
    t = 1

    def __init__(self, **values):
        vars(self).update(values)


class StepByStep(Plain):
    def rule(self, param, grad):
        if self.t == 1:
            param -= grad
        elif self.t % 3 == 0 or 1 / (self.t - 1) < 0.2:
            param *= 2
        else:
            param += max(1.0, self.t - self.t0)


def test_a_branch_on_the_step_is_another_trace():
    owner = StepByStep(t0=1.5)
    guards = []
    for t in range(1, 9):
        owner.t = t
        guards.append(assert_traced(owner).guards)
    assert guards[0] == (("(self.t == 1)", True),)
    assert guards[2] == (("(self.t == 1)", False), ("((self.t % 3) == 0)", True))
    assert guards[1][-1] == ("((self.t - self.t0) > 1.0)", False)
    assert guards[3][-1] == ("((self.t - self.t0) > 1.0)", True)


def test_a_guard_is_not_asked_after_one_that_fails():
    owner = StepByStep(t0=1.5)
    owner.t = 2
    holds = guard(trace(OwnedRule(owner), INPUTS).guards)
    assert holds(owner)
    owner.t = 1  # where 1 / (t - 1) is an error
    assert not holds(owner)


def test_a_trace_is_made_once_for_each_branch():
    owner = StepByStep(t0=1.5)
    found = set()
    for owner.t in range(1, 30):
        found.add(traced(OwnedRule(owner), INPUTS))
        assert traced(OwnedRule(owner), INPUTS) in found
    assert len(found) == 5


@attrs.define(eq=False)
class Declared(GradientMethod):
    lr: float = positive(0.1)
    clip: bool = boolean(True)
    momentum: float | None = fraction(None)

    def rule(self, param, grad):
        if self.clip:
            grad = np.clip(grad, -1, 1)
        if self.momentum is not None:
            grad = grad * self.momentum
        param -= self.lr * grad


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("momentum", [None, 0.5])
def test_hyperparameters_that_choose_a_variant_do(clip, momentum):
    rule = assert_traced(Declared(clip=clip, momentum=momentum))
    assert ("self.momentum" in rule.scalars) == (momentum is not None)


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


class Modes(Plain):
    def rule(self, param, grad):
        if self.mode is Mode.FAST and self.kind == "sum" and self.flag and not self.other:
            param += grad
        else:
            param -= grad


def test_changing_what_a_rule_branched_on_makes_another_trace():
    owner = Modes(mode=Mode.FAST, kind="sum", flag=np.True_, other=None)
    first = assert_traced(owner)
    for name, value in {"mode": Mode.SLOW, "kind": "mean", "flag": False, "other": "x"}.items():
        kept = getattr(owner, name)
        setattr(owner, name, value)
        assert assert_traced(owner).guards != first.guards
        setattr(owner, name, kept)
    assert assert_traced(owner) is first


class Helpful(Plain):
    factor = 0.25

    def rule(self, param, grad):
        param -= self.rate * self.decayed(self.t) * grad + self.constant() + self.root + self.shape["a"] * self.pair[1]
        for _ in range(self.repeats):
            param *= self.factor

    @property
    def rate(self):
        return self.lr / (1 - self.beta**self.t)

    def decayed(self, t):
        return abs(-self.lr) * t**0.5 // 0.01 % 7

    @staticmethod
    def constant():
        return 0.125

    @functools.cached_property
    def root(self):
        return np.sqrt(self.lr)


def test_methods_and_properties_are_part_of_the_rule():
    owner = Helpful(lr=0.1, beta=0.9, repeats=2, pair=[1, 2.0], shape={"a": 3.0})
    rule = assert_traced(owner)
    assert "self.factor" in rule.scalars
    assert ("(self.repeats == 2)", True) in rule.guards
    owner.lr, owner.pair, owner.shape, owner.factor = 0.2, (2, 4.0), {"a": 4.0}, 0.3
    assert assert_traced(owner) is rule
    owner.repeats = 3
    assert assert_traced(owner) is not rule


class Sub(Helpful):
    def rule(self, param, grad):
        super().rule(param, grad)
        assert isinstance(self, Helpful)
        param += self.lr


def test_a_rule_calls_that_of_its_base():
    assert_traced(Sub(lr=0.1, beta=0.9, repeats=2, pair=(1, 2.0), shape={"a": 3.0}))


class Expressions(Plain):
    def rule(self, param, grad):
        param += (self.t > 1) * self.a + (2 ** (self.a - 1)) + np.where(self.t > 2, self.a, 1.5)
        param += np.clip(self.t, 2, 4) + np.maximum(self.a, 0.5) + np.exp(-self.a) + self.t // 2 + 7 % self.a
        param *= np.float32(1.5) * self.a + np.float64(np.inf if self.infinite else 1) - (-self.a)
        param += ((self.t > 1) & (self.a > 0) | (self.a == 3)) * grad


@pytest.mark.parametrize("infinite", [True, False])
def test_scalars_have_the_operations_of_numbers(infinite):
    owner = Expressions(a=0.3, infinite=infinite)
    for owner.t in range(1, 6):
        rule = assert_traced(owner)
        assert rule.guards == (("self.infinite", infinite),)


def test_scalars_keep_numpys_promotion():
    class Strong(Plain):
        def rule(self, param, grad):
            param -= np.sqrt(self.lr) * grad  # float64, as np.sqrt of a float is

    rule = assert_traced(Strong(lr=0.1))
    (_, value) = rule.stores[0]
    assert value.function == "cast"
    assert value.operands[0].dtype == np.float64
