"""setup and update: what CONTRACT points 1 to 5 and the reference page promise of a step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from links import Chain, Linear, Link
from untouched import untouched

import optreg
from optreg import GradientMethod, Optimizer
from optreg.errors import NotSetUpError


def parameters():
    return {"W": np.ones((2, 3)), "b": np.ones(2)}


def gradients(value=1.0):
    return {name: np.full_like(array, value) for name, array in parameters().items()}


class Loss:
    """Something with ``backward()`` that says when it is called."""

    def __init__(self, events, backward=lambda: None):
        self.events, self._backward = events, backward

    def backward(self):
        self.events.append("backward")
        self._backward()


# setup


def test_setup_returns_the_optimizer_and_keeps_the_target():
    link = Link(W=np.ones(2))
    optimizer = optreg.create("sgd")
    assert optimizer.setup(link) is optimizer
    assert optimizer.target is link


def test_setup_counts_from_zero_and_discards_the_states():
    optimizer = optreg.create("momentum_sgd").setup(parameters())
    optimizer.apply_gradients(gradients())
    optimizer.new_epoch()
    optimizer.setup(parameters())
    assert (optimizer.t, optimizer.epoch) == (0, 0)
    assert all((state["buf"] == 0).all() for state in optimizer._states.values())


def test_setup_makes_the_states_of_all_parameters():
    optimizer = optreg.create("adam").setup(parameters())
    assert {path: sorted(state) for path, state in optimizer._states.items()} == {"/W": ["m", "v"], "/b": ["m", "v"]}
    assert optimizer._states["/W"]["m"].shape == (2, 3)


def test_setup_that_fails_leaves_the_optimizer_as_it_was():
    class Refuses(GradientMethod):
        def init_state(self, param, state):
            if param.data.ndim > 1:
                raise ValueError("no matrices")

        def rule(self, param, grad, m):
            m += grad

    optimizer = Refuses().setup({"b": np.ones(2)})
    optimizer.apply_gradients({"b": np.ones(2)})
    with untouched(optimizer), pytest.raises(ValueError, match="no matrices"):
        optimizer.setup(parameters())
    optimizer.apply_gradients({"b": np.ones(2)})
    np.testing.assert_array_equal(optimizer._states["/b"]["m"], [2, 2])


def test_a_first_setup_that_fails_leaves_the_optimizer_without_a_target():
    optimizer = optreg.create("sgd")
    with pytest.raises(TypeError):
        optimizer.setup({"w": np.arange(2)})
    assert not hasattr(optimizer, "target")


NEED_A_TARGET = {
    "target": lambda optimizer: optimizer.target,
    "update": lambda optimizer: optimizer.update(),
    "update-lossfun": lambda optimizer: optimizer.update(lambda: None),
    "apply_gradients": lambda optimizer: optimizer.apply_gradients({}),
    "new_epoch": lambda optimizer: optimizer.new_epoch(),
    "call_hooks": lambda optimizer: optimizer.call_hooks(),
    "prepare": lambda optimizer: optimizer.prepare(),
    "serialize": lambda optimizer: optimizer.serialize(lambda key, value: value),
    "save": lambda optimizer: optreg.save("never-written.npz", optimizer),
}


@pytest.mark.parametrize("ask", NEED_A_TARGET.values(), ids=NEED_A_TARGET.keys())
def test_what_needs_a_target_before_setup_is_a_runtime_error_that_says_so(ask):
    optimizer = optreg.create("adam")
    with untouched(optimizer), pytest.raises(NotSetUpError, match=r"this Adam has no target yet: call setup") as caught:
        ask(optimizer)
    assert isinstance(caught.value, RuntimeError)


def test_hasattr_tells_whether_there_is_a_target():
    optimizer = optreg.create("sgd")
    assert not hasattr(optimizer, "target")
    assert hasattr(optimizer.setup({}), "target")


# update with a loss function


@pytest.mark.parametrize("cleared", [False, True])
def test_gradients_are_cleared_before_the_loss_function_and_backward_comes_after_it(cleared):
    events = []
    optimizer = optreg.create("sgd", lr=1.0).setup(parameters())
    optimizer.apply_gradients(gradients())
    if cleared:
        optimizer.use_cleargrads()

    def lossfun(*args, **kwds):
        grads = [parameter.grad for parameter in optimizer.target.params()]
        assert all(grad is None for grad in grads) if cleared else all((grad == 0).all() for grad in grads)
        events.append(("lossfun", args, kwds))
        return loss

    def backward():
        optimizer.target["/W"].grad = np.full((2, 3), 0.5)

    loss = Loss(events, backward)
    before = [parameter.data.copy() for parameter in optimizer.target.params()]
    assert optimizer.update(lossfun, 1, 2, key="value") is loss
    assert events == [("lossfun", (1, 2), {"key": "value"}), "backward"]
    np.testing.assert_array_equal(optimizer.target["/W"].data, before[0] - 0.5)
    np.testing.assert_array_equal(optimizer.target["/b"].data, before[1])


def test_use_cleargrads_can_be_taken_back():
    optimizer = optreg.create("sgd").setup({"w": np.ones(2)})
    seen = []
    for use in (True, False):
        optimizer.use_cleargrads(use)
        optimizer.update(lambda: Loss([], lambda: seen.append(optimizer.target["/w"].grad)))
    assert seen[0] is None
    np.testing.assert_array_equal(seen[1], [0, 0])


def test_gradients_that_were_given_by_the_user_are_not_overwritten_by_clearing():
    optimizer = optreg.create("sgd").setup({"w": np.ones(2)})
    mine = np.full(2, 7.0)
    optimizer.apply_gradients({"w": mine})
    optimizer.update(lambda: Loss([]))
    np.testing.assert_array_equal(mine, [7, 7])


def test_a_loss_function_may_return_the_loss_and_the_gradients_by_name():
    arrays = parameters()
    optimizer = optreg.create("sgd", lr=1.0).setup(arrays)
    optimizer.apply_gradients(gradients(0.0))
    assert optimizer.update(lambda scale: (scale * 2, {"W": np.full((2, 3), scale)}), 0.5) == 1.0
    np.testing.assert_array_equal(arrays["W"], 0.5)
    np.testing.assert_array_equal(arrays["b"], 1)


def test_update_returns_none_without_a_loss_function():
    assert optreg.create("sgd").setup(parameters()).update() is None


@pytest.mark.parametrize("cleared", [False, True])
def test_parameters_that_the_loss_function_initializes_are_updated_in_the_same_step(cleared):
    x = np.array([[1.0, 2.0], [3.0, -1.0]], np.float32)
    links = [Chain(layer=Linear(3)), Chain(layer=Linear(3, 2))]
    for link in links:
        optimizer = optreg.create("momentum_sgd", lr=0.01).setup(link)
        optimizer.use_cleargrads(cleared)
        for _ in range(3):
            optimizer.update(link.layer, x)
    for (name, late), (_, early) in zip(links[0].namedparams(), reversed(list(links[1].namedparams())), strict=True):
        other = dict(links[1].namedparams())[name]
        np.testing.assert_array_equal(late.data, other.data)
        assert np.isfinite(early.data).all()


# the procedure


def test_a_gradient_of_none_counts_as_zeros():
    arrays = {"w": np.ones(2)}
    optimizer = optreg.create("momentum_sgd", lr=1.0, momentum=0.5).setup(arrays)
    optimizer.apply_gradients({"w": np.ones(2)})
    optimizer.target.cleargrads()
    optimizer.update()
    np.testing.assert_array_equal(arrays["w"], 1 - 1 - 0.5)
    np.testing.assert_array_equal(optimizer.target["/w"].grad, [0, 0])


def test_a_number_of_numpy_is_the_gradient_of_an_array_without_axes():
    scale = np.array(4.0)
    optimizer = optreg.create("sgd", lr=0.25, hooks=[("weight_decay", {"rate": 0.0})]).setup({"scale": scale})
    parameter = optimizer.target["scale"]

    def backward():
        parameter.grad = 2 * parameter.data  # arithmetic on arrays without axes gives numbers, not arrays
        assert isinstance(parameter.grad, np.float64)

    for _ in range(3):
        optimizer.update(Loss, [], backward)
    assert scale == 0.5


def test_parameters_and_states_keep_their_arrays():
    arrays = parameters()
    views = {name: array[:1] for name, array in arrays.items()}
    held = dict(arrays)
    optimizer = optreg.create("adam", lr=0.5, hooks=[("weight_decay", {"rate": 0.1})]).setup(arrays)
    states = {path: dict(state) for path, state in optimizer._states.items()}
    for _ in range(3):
        optimizer.apply_gradients(gradients())
    for name, array in arrays.items():
        assert array is held[name] is optimizer.target[f"/{name}"].data
        np.testing.assert_array_equal(views[name], array[:1])
        assert (array != 1).all()
        assert all(optimizer._states[f"/{name}"][key] is value for key, value in states[f"/{name}"].items())


def test_t_counts_the_updates_and_epoch_the_epochs():
    optimizer = optreg.create("sgd").setup(parameters())
    for _ in range(3):
        optimizer.update()
    optimizer.new_epoch()
    assert (optimizer.t, optimizer.epoch) == (3, 1)


def test_t_may_be_set_by_hand():
    arrays = [parameters(), parameters()]
    for each, t in zip(arrays, (0, 999), strict=True):
        optimizer = optreg.create("adam", lr=1.0).setup(each)
        optimizer.t = t
        optimizer.apply_gradients(gradients())
    bias = math.sqrt(1 - 0.999**1000) / (1 - 0.9**1000)
    np.testing.assert_allclose(arrays[0]["b"], 1 - 1.0, atol=1e-6)
    np.testing.assert_allclose(arrays[1]["b"], 1 - 0.1 * bias / math.sqrt(0.001), rtol=1e-6)


def test_the_base_must_be_told_how_to_update():
    with pytest.raises(NotImplementedError, match=r"Optimizer must override update\(\)"):
        Optimizer().setup({}).update()
    with pytest.raises(NotImplementedError, match=r"must write rule\(self, param, grad, .*or override update_one"):
        GradientMethod().setup(parameters()).update()


def test_two_optimizers_share_a_target():
    arrays = parameters()
    first = optreg.create("momentum_sgd", lr=1.0).setup(arrays)
    second = optreg.create("sgd", lr=0.25).setup(arrays)
    first.apply_gradients(gradients())
    second.apply_gradients(gradients())
    np.testing.assert_array_equal(arrays["b"], [-0.25, -0.25])
    assert (first.t, second.t) == (1, 1)
    link = Link(W=np.ones(2))
    link.W.grad = np.full(2, 0.25)
    for lr in (1.0, 2.0):
        optreg.create("sgd", lr=lr).setup(link).update()
    np.testing.assert_array_equal(link.W.data, [0.25, 0.25])
