"""Hooks that change the hooks while they run, and hooks of one's own."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from links import Chain, Link
from untouched import untouched

import optreg
from optreg import Hook


@attrs.define(eq=False)
class Add(Hook):
    """A rule hook: grad += 1."""

    def rule(self, param, grad):
        grad += 1


# Hooks that change the hooks


def test_a_hook_may_remove_itself():
    optimizer = optreg.create("sgd").setup({"w": np.ones(2)})
    calls = []

    def once(opt):
        calls.append(opt.t)
        opt.remove_hook("once")

    optimizer.add_hook(once)
    optimizer.add_hook("weight_decay", rate=0.1)
    optimizer.update()
    optimizer.update()
    assert calls == [0]
    optimizer.add_hook(once)
    optimizer.call_hooks()
    assert list(optimizer._hooks) == ["weight_decay"]


@pytest.mark.parametrize("later", ["before", "after"])
def test_a_hook_that_is_removed_before_its_turn_does_not_run(later):
    @attrs.define(eq=False)
    class Average(Hook):
        timing = "pre" if later == "before" else "post"

        def rule(self, param, grad, average):
            average += grad
            grad += 100

    optimizer = optreg.create("sgd", lr=1.0).setup({"w": np.zeros(2)})
    optimizer.add_hook(lambda opt: opt.remove_hook("Average"), "remover")
    optimizer.add_hook(Average())
    optimizer.apply_gradients({"w": np.ones(2)})
    np.testing.assert_array_equal(optimizer.target["/w"].data, [-1, -1])
    np.testing.assert_array_equal(optimizer.target["/w"].grad, [1, 1])


def test_a_hook_that_is_added_by_a_hook_runs_from_the_next_step_on():
    optimizer = optreg.create("sgd", lr=1.0).setup({"w": np.zeros(2)})

    def adder(opt):
        if opt.t == 0:
            opt.add_hook(Add())

    optimizer.add_hook(adder)
    optimizer.apply_gradients({"w": np.ones(2)})
    np.testing.assert_array_equal(optimizer.target["/w"].data, [-1, -1])
    optimizer.apply_gradients({"w": np.ones(2)})
    np.testing.assert_array_equal(optimizer.target["/w"].data, [-3, -3])


def test_hooks_may_be_changed_behind_the_optimizers_back_as_some_code_for_chainer_does():
    optimizer = optreg.create("sgd", lr=1.0).setup({"w": np.zeros(2)})
    optimizer.add_hook(Add())
    optimizer.update()
    optimizer._hooks.clear()
    optimizer.apply_gradients({"w": np.zeros(2)})
    np.testing.assert_array_equal(optimizer.target["/w"].data, [-1, -1])


# Hooks of one's own


def test_a_hook_may_keep_states_of_its_own_which_go_when_it_goes():
    @attrs.define(eq=False)
    class Smooth(Hook):
        rate: float = optreg.hyperparameters.fraction(0.5)

        def rule(self, param, grad, average):
            average += (1 - self.rate) * (grad - average)
            grad[...] = average

    parameters = {"w": np.zeros(40_000)}
    optimizer = optreg.create("sgd", lr=1.0).setup(parameters)
    optimizer.add_hook(Smooth())
    for _ in range(2):
        optimizer.apply_gradients({"w": np.ones(40_000)})
    np.testing.assert_array_equal(parameters["w"], -(0.5 + 0.75))
    optimizer.remove_hook("Smooth")
    optimizer.add_hook(Smooth())
    optimizer.apply_gradients({"w": np.ones(40_000)})
    np.testing.assert_array_equal(parameters["w"], -(0.5 + 0.75 + 0.5))


def test_a_hook_after_the_update_may_change_parameters():
    @attrs.define(eq=False)
    class Clamp(Hook):
        timing = "post"

        def rule(self, param, grad):
            np.maximum(param, 0.5, out=param)

    parameters = {"w": np.ones(40_000)}
    optimizer = optreg.create("sgd", lr=1.0, hooks=[]).setup(parameters)
    optimizer.add_hook(Clamp())
    optimizer.apply_gradients({"w": np.linspace(0, 2, 40_000)})
    np.testing.assert_array_equal(parameters["w"], np.maximum(1 - np.linspace(0, 2, 40_000), 0.5))


class Refuses(Hook):
    """A rule on whole tensors that raises an exception for some."""

    elementwise = False

    def __init__(self, exception):
        self.exception = exception

    def rule(self, param, grad):
        grad += 1
        if np.isnan(grad).any():
            raise self.exception


@pytest.mark.parametrize("others", [[], ["weight_decay"]])
def test_a_rule_on_whole_tensors_that_raises_leaves_the_parameters_of_all_tensors_alone(others):
    parameters = {"a": np.ones(2), "b": np.ones(2)}
    optimizer = optreg.create("momentum_sgd", hooks=[(name, {"rate": 0.1}) for name in others]).setup(parameters)
    optimizer.add_hook(Refuses(ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        optimizer.apply_gradients({"a": np.ones(2), "b": np.array([1, np.nan])})
    assert optimizer.t == 0
    assert all((array == 1).all() for array in parameters.values())
    assert all((state["buf"] == 0).all() for state in optimizer._states.values())


def test_such_a_rule_may_skip_the_step():
    parameters = {"a": np.ones(2), "b": np.ones(2)}
    optimizer = optreg.create("sgd", lr=1.0).setup(parameters)
    optimizer.add_hook(Refuses(optreg.SkipStep))
    optimizer.apply_gradients({"a": np.ones(2), "b": np.array([1, np.nan])})
    assert optimizer.t == 1
    np.testing.assert_array_equal(parameters["a"], [1, 1])
    optimizer.apply_gradients({"a": np.ones(2), "b": np.ones(2)})
    np.testing.assert_array_equal(parameters["a"], [-1, -1])


def test_an_update_of_ones_own_calls_the_hooks_before_it_and_after_it():
    calls = []

    class ByHand(optreg.Optimizer):
        def update(self, lossfun=None, *args, **kwds):
            try:
                self.call_hooks()
            except optreg.SkipStep:
                calls.append("skipped")
                return
            calls.append("update")
            self.t += 1
            self.call_hooks("post")

    def after(opt):
        calls.append(("after", opt.t))

    after.timing = "post"
    optimizer = ByHand().setup({"w": np.ones(2)})
    optimizer.add_hook(after)
    optimizer.add_hook("skip_nonfinite")
    optimizer.add_hook(lambda opt: calls.append(("before", opt.t)), "before")
    for value in (1.0, np.nan):
        optimizer.apply_gradients({"w": np.full(2, value)})
    assert calls == [("before", 0), "update", ("after", 1), "skipped"]


def test_one_hook_serves_two_optimizers():
    hook = optreg.WeightDecay(0.5)
    targets = [Chain(l=Link(W=np.ones(2))), {"w": np.ones(3)}]
    for target in targets:
        optimizer = optreg.create("sgd", lr=1.0)
        optimizer.add_hook(hook)
        optimizer.setup(target).target.cleargrads()
        optimizer.update()
    np.testing.assert_array_equal(targets[0].l.W.data, [0.5, 0.5])
    np.testing.assert_array_equal(targets[1]["w"], [0.5, 0.5, 0.5])


def test_a_hook_that_does_nothing_says_what_to_write():
    @attrs.define(eq=False)
    class Empty(Hook):
        pass

    optimizer = optreg.create("sgd").setup({"w": np.ones(2)})
    optimizer.add_hook(Empty())
    optimizer.target.zerograds()
    with untouched(optimizer), pytest.raises(optreg.errors.OptregError, match=r"give it a rule\(self, param, grad\)"):
        optimizer.update()
