"""Hooks: how they are registered, in which order they run, what they see, and what they may do."""

from __future__ import annotations

import functools
from unittest import mock

import attrs
import numpy as np
import pytest
from links import Link
from untouched import untouched

import optreg
from optreg import Hook

# Registration


class WithName:
    name = "its_name"

    def __call__(self, opt):
        pass


class WithoutName:
    def __call__(self, opt):
        pass

    def method(self, opt):
        pass


def a_function(opt):
    pass


@pytest.mark.parametrize(
    ("hook", "name"),
    [
        (WithName(), "its_name"),
        (WithoutName(), "WithoutName"),
        (WithoutName().method, "method"),
        (a_function, "a_function"),
        (functools.partial(a_function), "partial"),
        (mock.MagicMock(), "MagicMock"),
        (optreg.WeightDecay(0.1), "WeightDecay"),
        ("weight_decay", "weight_decay"),
    ],
)
def test_a_hook_without_a_given_name_has_its_own(hook, name):
    optimizer = optreg.create("sgd")
    arguments = {"rate": 0.1} if isinstance(hook, str) else {}
    optimizer.add_hook(hook, **arguments)
    assert list(optimizer._hooks) == [name]
    optimizer.remove_hook(name)
    optimizer.add_hook(hook, "given", **arguments)
    assert list(optimizer._hooks) == ["given"]


def test_a_subclass_of_a_hook_is_named_by_its_class():
    @attrs.define(eq=False)
    class HalfDecay(optreg.WeightDecay):
        pass

    optimizer = optreg.create("sgd")
    optimizer.add_hook(optreg.WeightDecay(0.1))
    optimizer.add_hook(HalfDecay(0.1))
    assert list(optimizer._hooks) == ["WeightDecay", "HalfDecay"]


def test_hooks_may_be_added_before_setup_and_survive_it():
    optimizer = optreg.create("sgd", lr=1.0)
    optimizer.add_hook("weight_decay", rate=0.5)
    for _ in range(2):
        parameters = {"w": np.ones(2)}
        optimizer.setup(parameters).update()
        np.testing.assert_array_equal(parameters["w"], [0.5, 0.5])


def test_a_removed_hook_is_called_no_more_and_its_name_is_free():
    hook = mock.MagicMock()
    optimizer = optreg.create("sgd").setup({"w": np.ones(2)})
    optimizer.add_hook(hook, "h1")
    optimizer.remove_hook("h1")
    optimizer.update()
    assert not hook.called
    optimizer.add_hook(hook, "h1")
    optimizer.update()
    hook.assert_called_once_with(optimizer)


def test_call_hooks_calls_them_with_the_optimizer():
    hook = mock.MagicMock()
    optimizer = optreg.Optimizer().setup(Link(W=np.ones(2)))
    optimizer.add_hook(hook, "h1")
    optimizer.call_hooks()
    hook.assert_called_once_with(optimizer)


def test_a_hook_with_a_wrong_timing_is_refused():
    hook = WithName()
    hook.timing = "pst"
    optimizer = optreg.create("sgd").setup({"w": np.ones(2)})
    with untouched(optimizer), pytest.raises(optreg.errors.OptregError, match="'pst'; it must be 'pre' or 'post'"):
        optimizer.add_hook(hook)


# Order, and what a hook sees

SCALED = 3.0


@attrs.define(eq=False)
class Add(Hook):
    """A rule hook: grad += 1."""

    def rule(self, param, grad):
        grad += 1


@attrs.define(eq=False)
class Scale(Hook):
    """A rule hook: grad *= 3."""

    def rule(self, param, grad):
        grad *= SCALED


def add(opt):
    for param in opt.target.params():
        param.grad += 1


def scale(opt):
    for param in opt.target.params():
        param.grad *= SCALED


@pytest.mark.parametrize("first", [Add(), add], ids=["rule", "function"])
@pytest.mark.parametrize("second", [Scale(), scale], ids=["rule", "function"])
@pytest.mark.parametrize("size", [2, 40_000])
def test_hooks_run_in_the_order_of_registration_rules_and_functions_alike(first, second, size):
    for hooks, expected in (((first, second), (1 + 1) * SCALED), ((second, first), 1 * SCALED + 1)):
        parameters = {"w": np.zeros(size), "b": np.zeros(3)}
        optimizer = optreg.create("sgd", lr=1.0).setup(parameters)
        for position, hook in enumerate(hooks):
            optimizer.add_hook(hook, f"hook{position}")
        gradients = {name: np.ones_like(array) for name, array in parameters.items()}
        optimizer.apply_gradients(gradients)
        for name, array in parameters.items():
            np.testing.assert_array_equal(array, -expected)
            # What hooks do stays visible, in the very array that was given.
            assert optimizer.target[f"/{name}"].grad is gradients[name]
            np.testing.assert_array_equal(gradients[name], expected)


def test_every_hook_sees_the_old_t_and_a_hook_after_the_update_the_new_one():
    seen = []

    class Looks(Hook):
        elementwise = False

        def rule(self, param, grad):
            seen.append(("rule", self.t))

    def after(opt):
        seen.append(("after", opt.t))

    after.timing = "post"
    optimizer = optreg.create("sgd").setup({"w": np.ones(2)})
    optimizer.add_hook(after)
    optimizer.add_hook(Looks())
    optimizer.add_hook(lambda opt: seen.append(("before", opt.t)), "before")
    for _ in range(2):
        optimizer.update()
    assert seen == [("rule", 0), ("before", 0), ("after", 1), ("rule", 1), ("before", 1), ("after", 2)]


def test_a_gradient_that_a_hook_sets_to_none_is_zeros_for_the_next():
    seen = []

    def clear(opt):
        opt.target.cleargrads()

    optimizer = optreg.create("sgd", lr=1.0).setup({"w": np.ones(2)})
    optimizer.add_hook(clear)
    optimizer.add_hook(lambda opt: seen.append(opt.target["/w"].grad.copy()), "look")
    optimizer.add_hook("weight_decay", rate=0.5)
    optimizer.apply_gradients({"w": np.ones(2)})
    np.testing.assert_array_equal(seen, [[0, 0]])
    np.testing.assert_array_equal(optimizer.target["/w"].data, [0.5, 0.5])


def test_a_gradient_that_a_hook_replaces_is_the_one_that_counts():
    def replace(opt):
        opt.target["/w"].grad = np.full(2, 0.25)

    optimizer = optreg.create("sgd", lr=1.0).setup({"w": np.ones(2)})
    optimizer.add_hook(replace)
    optimizer.apply_gradients({"w": np.ones(2)})
    np.testing.assert_array_equal(optimizer.target["/w"].data, [0.75, 0.75])


def test_hooks_see_gradients_before_any_parameter_changes():
    seen = []
    parameters = {"a": np.zeros(2), "b": np.zeros(2)}
    optimizer = optreg.create("sgd").setup(parameters)
    optimizer.add_hook("weight_decay", rate=0.1)
    optimizer.add_hook(lambda opt: seen.append([array.copy() for array in parameters.values()]), "look")
    optimizer.apply_gradients({"a": np.ones(2), "b": np.ones(2)})
    np.testing.assert_array_equal(seen, np.zeros((1, 2, 2)))
