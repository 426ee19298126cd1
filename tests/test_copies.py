"""Copies and pickles of optimizers: whole, apart from the original, and going on as it does."""

from __future__ import annotations

import copy
import pickle
import threading

import attrs
import numpy as np
import pytest

import optreg
from optreg import GradientMethod, Hook

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda optimizer: pickle.loads(pickle.dumps(optimizer))}
every_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())


def parameters():
    return {"W": np.ones((2, 3)), "b": np.ones(2, np.float32)}


def gradients(step):
    rng = np.random.default_rng(step)
    return {name: rng.normal(size=array.shape).astype(array.dtype) for name, array in parameters().items()}


class Plain(GradientMethod):
    def __init__(self, lr=0.1):
        self.lr = lr

    def rule(self, param, grad, v):
        v += grad
        param -= self.lr * v


@attrs.define(eq=False)
class Counting(Hook):
    """A hook with a field, a slot, and an attribute that is no field."""

    rate: float = 0.1
    calls = 0

    def rule(self, param, grad, total):
        total += grad
        grad += self.rate * total


class Function:
    name = "function"
    calls = 0

    def __call__(self, opt):
        self.calls += 1


METHODS = {
    "adam": lambda: optreg.create("adam", lr=0.1, options={"*/b": {"lr": 0.2}}),
    "rmsprop": lambda: optreg.create("rmsprop", centered=True, momentum=0.9),
    "schedule": lambda: optreg.create("sgd", lr={"schedule": "cosine", "initial": 0.1, "steps": 10}),
    "plain": Plain,
}


@every_copy
@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS.keys())
def test_a_copy_goes_on_as_the_original_does_and_apart_from_it(copied, make):
    optimizer = make()
    for hook in (Counting(), Function(), optreg.GradientNoise(0.1, seed=1)):
        optimizer.add_hook(hook)
    optimizer.setup(parameters())
    for step in range(3):
        optimizer.apply_gradients(gradients(step))
    other = copied(optimizer)
    assert type(other) is type(optimizer)
    assert list(other._hooks) == list(optimizer._hooks)
    assert all(other._hooks[name] is not hook for name, hook in optimizer._hooks.items())
    assert other._hooks["function"].calls == 3
    held = {name: param.data.copy() for name, param in optimizer.target.namedparams()}
    for step in range(3, 6):
        other.apply_gradients(gradients(step))
    for name, param in optimizer.target.namedparams():
        np.testing.assert_array_equal(param.data, held[name])
    assert (optimizer.t, other.t) == (3, 6)
    for step in range(3, 6):
        optimizer.apply_gradients(gradients(step))
    for name, param in optimizer.target.namedparams():
        np.testing.assert_array_equal(param.data, other.target[name].data)


@every_copy
def test_an_optimizer_without_a_target_is_copied(copied):
    other = copied(optreg.create("adam", lr=0.5, hooks=[("weight_decay", {"rate": 0.1})]))
    assert other.lr == 0.5
    assert not hasattr(other, "target")
    other.setup(parameters()).apply_gradients(gradients(0))


def test_a_copy_of_several_things_keeps_what_they_share():
    arrays = parameters()
    optimizer = optreg.create("sgd", lr=1.0).setup(arrays)
    other, others = copy.deepcopy((optimizer, arrays))
    other.apply_gradients({name: np.ones_like(array) for name, array in arrays.items()})
    assert all((array == 0).all() for array in others.values())
    assert all((array == 1).all() for array in arrays.values())


class KnowsItsOptimizer:
    name = "knows"

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def __call__(self, opt):
        assert opt is self.optimizer


@every_copy
def test_a_hook_that_refers_to_its_optimizer_refers_to_the_copy(copied):
    optimizer = Plain().setup(parameters())
    optimizer.add_hook(KnowsItsOptimizer(optimizer))
    other = copied(optimizer)
    assert other._hooks["knows"].optimizer is other
    other.apply_gradients(gradients(0))


class WithLock(Plain):
    """Says itself what of it is to be copied."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state):
        vars(self).update(state)
        self.lock = threading.Lock()


@every_copy
def test_a_class_that_says_what_is_copied_is_asked(copied):
    optimizer = WithLock().setup(parameters())
    optimizer.apply_gradients(gradients(0))
    other = copied(optimizer)
    assert other.lock is not optimizer.lock
    assert other.t == 1
    other.apply_gradients(gradients(1))


def test_a_shallow_copy_has_the_same_target_and_hyperparameters_of_its_own():
    optimizer = optreg.create("adam", lr=0.1).setup(parameters())
    other = copy.copy(optimizer)
    other.lr = 0.5
    assert optimizer.lr == 0.1
    assert other.target is optimizer.target


@every_copy
def test_a_hook_is_copied_with_all_that_it_holds(copied):
    hook = Counting(rate=0.5)
    hook.calls = 7
    other = copied(hook)
    assert (other.rate, other.calls) == (0.5, 7)
