"""Optimizers as strangers write them: plain classes, overridden methods, whole updates."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from links import Linear

import optreg
from optreg import GradientMethod, Optimizer


def parameters():
    return {"W": np.ones((2, 3)), "b": np.ones(2)}


GRADIENTS = {"W": np.full((2, 3), 0.5), "b": np.full(2, 0.25)}


class Plain(GradientMethod):
    """``__init__`` of its own, and no ``super().__init__()``."""

    def __init__(self, lr=1.0):
        self.lr = lr

    def rule(self, param, grad):
        param -= self.lr * grad


class WithKeywords(GradientMethod):
    """Hyperparameters that nobody has declared."""

    def __init__(self, **kwargs):
        self.lr = kwargs.get("lr", 1.0)
        self.momentum = kwargs.get("momentum", 0.0)

    def rule(self, param, grad, v):
        v *= self.momentum
        v += grad
        param -= self.lr * v


@attrs.define(eq=False, slots=True)
class WithSlots(GradientMethod):
    lr: float = 1.0

    def rule(self, param, grad):
        param -= self.lr * grad


@attrs.define(eq=False, slots=False)
class WithoutSlots(GradientMethod):
    lr: float = 1.0

    def rule(self, param, grad):
        param -= self.lr * grad


class UpdateOne(GradientMethod):
    def update_one(self, param, state):
        param.data -= param.grad


class UpdateOneCpu(GradientMethod):
    def update_one_cpu(self, param, state):
        param.data -= param.grad


class OnlyGpu(GradientMethod):
    """A hand-written kernel for one device; everywhere else, the rule."""

    def update_one_gpu(self, param, state):
        raise AssertionError("this is no GPU")

    def rule(self, param, grad):
        param -= grad


class CallsTheRule(GradientMethod):
    """Overrides ``update_one`` and leaves the work to the base."""

    def update_one(self, param, state):
        super().update_one(param, state)

    def rule(self, param, grad):
        param -= grad


class Replaces(GradientMethod):
    """Gives parameters new arrays rather than changing them in place."""

    def update_one(self, param, state):
        param.data = param.data - param.grad


SGDS = [Plain, WithKeywords, WithSlots, WithoutSlots, UpdateOne, UpdateOneCpu, OnlyGpu, CallsTheRule, Replaces]


@pytest.mark.parametrize("cls", SGDS)
def test_gets_hooks_targets_and_counts_like_a_built_in(cls):
    optimizer = cls().setup(parameters())
    expected = optreg.create("sgd", lr=1.0).setup(parameters())
    for each in (optimizer, expected):
        each.add_hook("weight_decay", rate=0.1)
        each.add_hook("gradient_clipping", threshold=0.5)
        for _ in range(3):
            each.apply_gradients({name: grad.copy() for name, grad in GRADIENTS.items()})
    assert optimizer.t == 3
    for (_, ours), (_, theirs) in zip(optimizer.target.namedparams(), expected.target.namedparams(), strict=True):
        np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-15)


@pytest.mark.parametrize("cls", SGDS)
def test_works_on_links(cls):
    link = Linear(2, 3)
    before = {name: param.data.copy() for name, param in link.namedparams()}
    optimizer = cls().setup(link)
    loss = optimizer.update(link, np.ones((1, 3), np.float32))
    assert loss.data.shape == ()
    for name, param in link.namedparams():
        np.testing.assert_allclose(param.data, before[name] - param.grad)


class Momentum(GradientMethod):
    def __init__(self, lr=1.0, momentum=0.5):
        self.lr, self.momentum = lr, momentum

    def update_one_cpu(self, param, state):
        state["v"] *= self.momentum
        state["v"] += param.grad
        param.data -= self.lr * state["v"]


class InitState(Momentum):
    def init_state(self, param, state):
        state["v"] = np.full_like(param.data, 2.0)


class InitStateCpu(Momentum):
    def init_state_cpu(self, param, state):
        state["v"] = np.full_like(param.data, 2.0)


class InitStateAndRule(Momentum):
    def init_state(self, param, state):
        state["v"] = np.full_like(param.data, 2.0)

    update_one_cpu = GradientMethod.update_one_cpu

    def rule(self, param, grad, v):
        v *= self.momentum
        v += grad
        param -= self.lr * v


@pytest.mark.parametrize("cls", [InitState, InitStateCpu, InitStateAndRule])
def test_init_state_says_what_states_begin_with(cls):
    arrays = {"b": np.zeros(2)}
    optimizer = cls().setup(arrays)
    np.testing.assert_array_equal(optimizer._states["/b"]["v"], [2, 2])
    optimizer.apply_gradients({"b": np.ones(2)})
    np.testing.assert_array_equal(arrays["b"], [-2, -2])


def test_states_hold_more_than_arrays():
    class Counts(GradientMethod):
        def init_state(self, param, state):
            state["steps"] = 0

        def update_one(self, param, state):
            state["steps"] += 1
            param.data -= param.grad / state["steps"]

    arrays = {"b": np.zeros(2)}
    optimizer = Counts().setup(arrays)
    for _ in range(2):
        optimizer.apply_gradients({"b": np.ones(2)})
    np.testing.assert_array_equal(arrays["b"], [-1.5, -1.5])
    assert optimizer._states["/b"] == {"steps": 2}


class Backtracking(Optimizer):
    """A line search: the whole of ``update()`` is its own, and evaluates the loss as often as it likes."""

    def update(self, lossfun=None, *args, **kwds):
        loss = self.compute_gradients(lossfun, *args, **kwds)
        self.call_hooks()
        self.prepare()
        self.t += 1
        places = [(param, param.data.copy(), param.grad.copy()) for _, param in self.target.namedparams()]
        step = 1.0
        while True:
            for param, start, grad in places:
                param.data[...] = start - step * grad
            if self.compute_gradients(lossfun, *args, **kwds) < loss or step < 1e-9:
                return loss
            step /= 2


def test_a_whole_update_may_evaluate_the_loss_several_times():
    arrays = {"x": np.array([5.0, -3.0])}
    calls = []

    def lossfun(curvature):
        calls.append(arrays["x"].copy())
        return curvature / 2 * (arrays["x"] ** 2).sum(), {"/x": curvature * arrays["x"]}

    optimizer = Backtracking()
    optimizer.add_hook("weight_decay", rate=0.01)
    optimizer.setup(arrays)
    losses = [optimizer.update(lossfun, curvature=3.0) for _ in range(20)]
    assert losses == sorted(losses, reverse=True)
    assert len(calls) > 40
    assert optimizer.t == 20
    np.testing.assert_allclose(arrays["x"], 0, atol=0.1)


def test_a_whole_update_takes_gradients_in_any_form():
    w = np.array([5.0, -3.0])

    class Loss(float):
        def backward(self):
            optimizer.target["/l/w"].grad = 2 * w

    def value():
        return (w**2).sum()

    optimizer = Backtracking().setup({"l": {"w": w}})
    for lossfun in (
        lambda: (value(), {"l": {"w": 2 * w}}),
        lambda: (value(), {"/l/w": 2 * w}),
        lambda: Loss(value()),
    ):
        w[...] = 5.0, -3.0
        assert optimizer.update(lossfun) == 34.0
        np.testing.assert_array_equal(w, 0.0)
    with pytest.raises(optreg.errors.GradientError, match="returned float64, which has no gradients"):
        optimizer.update(value)


def test_call_hooks_may_be_overridden():
    calls = []

    class Twice(Plain):
        def call_hooks(self):
            super().call_hooks()
            super().call_hooks()
            calls.append(self.t)

    arrays = parameters()
    optimizer = Twice().setup(arrays)
    optimizer.add_hook("weight_decay", rate=1.0)
    optimizer.apply_gradients({name: np.zeros_like(array) for name, array in arrays.items()})
    np.testing.assert_array_equal(arrays["b"], [-1, -1])
    assert calls == [0]


def test_prepare_may_be_overridden_and_comes_between_the_hooks_and_the_update():
    seen = []

    class Looks(Plain):
        def prepare(self):
            super().prepare()
            seen.append((self.t, [None if param.grad is None else param.grad[0] for param in self.target.params()]))

    optimizer = Looks().setup({"b": np.ones(2)})
    optimizer.add_hook("weight_decay", rate=2.0)
    optimizer.apply_gradients({"b": np.zeros(2)})
    assert seen == [(0, [None]), (0, [2.0])]


def test_reallocate_cleared_grads_may_be_made_blank():
    class SkipsCleared(GradientMethod):
        def reallocate_cleared_grads(self):
            pass

        def update_one(self, param, state):
            if param.grad is not None:
                param.data -= param.grad

    arrays = parameters()
    optimizer = SkipsCleared().setup(arrays)
    optimizer.add_hook("weight_decay", rate=1.0)
    optimizer.apply_gradients({"b": np.zeros(2)})
    np.testing.assert_array_equal(arrays["b"], [0, 0])
    np.testing.assert_array_equal(arrays["W"], 1)
    assert optimizer.target["/W"].grad is None


def test_a_rule_that_returns_its_result_instead_of_changing_its_arrays_is_an_error():
    class Returns(GradientMethod):
        def rule(self, param, grad):
            return param - 0.1 * grad

    optimizer = Returns().setup({"w": np.ones(3)})
    with pytest.raises(optreg.errors.OptregError, match=r"rule of Returns returns a value and changes none of its arr"):
        optimizer.apply_gradients({"w": np.ones(3)})
    assert optimizer.t == 0


def test_a_frozen_class_is_told_why_it_cannot_be_an_optimizer():
    @attrs.frozen
    class Frozen(GradientMethod):
        lr: float = 0.1

    with pytest.raises(TypeError, match=r"Frozen is frozen, but an optimizer counts its steps"):
        Frozen()
