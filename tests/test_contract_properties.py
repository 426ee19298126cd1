"""Whatever happens between steps, an optimizer does what the plainest reading of the contract says, bit for bit."""

from __future__ import annotations

import copy
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import NaiveMomentum

import optreg
from optreg import Hook

NAMES = ["a", "b", "c", "late", "later"]
SHAPES = [(), (3,), (2, 3), (0,), (20_000,)]


# Hooks, twice: for optreg, and as plain functions of arrays.


@attrs.define(eq=False)
class Shift(Hook):
    """A rule with a slot."""

    def rule(self, param, grad, total):
        total += grad
        grad += 0.25 * total


@attrs.define(eq=False)
class Clamp(Hook):
    """A rule after the update."""

    timing = "post"

    def rule(self, param, grad):
        np.minimum(param, 1.0, out=param)


def halve(opt):
    for param in opt.target.params():
        param.grad *= 0.5


def clear_first(opt):
    for param in list(opt.target.params())[:1]:
        param.grad = None


def replace_last(opt):
    for param in list(opt.target.params())[-1:]:
        param.grad = np.full_like(param.data, opt.t)


def naive_shift():
    totals: dict[str, Any] = {}

    def hook(t, parameters, gradients):
        for name, grad in gradients.items():
            total = totals.setdefault(name, np.zeros_like(grad))
            total += grad
            np.add(grad, 0.25 * total, out=grad)

    return hook


def naive_decay(t, parameters, gradients):
    for name, grad in gradients.items():
        np.add(grad, 0.125 * parameters[name], out=grad)


def naive_halve(t, parameters, gradients):
    for grad in gradients.values():
        np.multiply(grad, 0.5, out=grad)


def naive_clear_first(t, parameters, gradients):
    gradients[next(iter(gradients))] = None


def naive_replace_last(t, parameters, gradients):
    name = list(gradients)[-1]
    gradients[name] = np.full_like(gradients[name], t)


def naive_clamp(t, parameters, gradients):
    for parameter in parameters.values():
        np.minimum(parameter, 1.0, out=parameter)


HOOKS = {
    "decay": (lambda: optreg.WeightDecay(0.125), lambda: naive_decay),
    "shift": (Shift, naive_shift),
    "halve": (lambda: halve, lambda: naive_halve),
    "clear": (lambda: clear_first, lambda: naive_clear_first),
    "replace": (lambda: replace_last, lambda: naive_replace_last),
    "clamp": (Clamp, lambda: naive_clamp),
}

VALUES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
EVENTS = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 99), st.sets(st.sampled_from(NAMES))),
    st.tuples(st.just("step"), st.integers(0, 99), st.just(set())),
    st.tuples(st.just("hook"), st.sampled_from(sorted(HOOKS))),
    st.tuples(st.just("unhook"), st.sampled_from(sorted(HOOKS))),
    st.tuples(st.just("lr"), st.one_of(st.sampled_from([0.25, 1.0]), st.just(lambda t: 1 / t))),
    st.tuples(st.just("options"), st.dictionaries(st.sampled_from(["*", "/a", "/[bc]"]), VALUES.filter(bool))),
    st.tuples(st.just("parameter"), st.sampled_from(["late", "later"]), st.sampled_from(SHAPES)),
    st.tuples(st.just("replaced"), st.sampled_from(NAMES)),
    st.tuples(st.just("copied")),
    st.tuples(st.just("repeated")),
)


class Run:
    """An optimizer and its plain twin, to which the same things happen."""

    def __init__(self, dtype):
        self.dtype = dtype
        start = {name: np.ones(shape, dtype) for name, shape in zip("abc", SHAPES, strict=False)}
        self.twin = NaiveMomentum({name: array.copy() for name, array in start.items()})
        self.optimizer = optreg.create("momentum_sgd", lr=0.5, momentum=0.5).setup(start)

    def gradients(self, seed, without=()):
        rng = np.random.default_rng(seed)
        found = {name: rng.normal(size=array.shape) for name, array in self.twin.parameters.items()}
        return {name: np.asarray(grad, self.dtype) for name, grad in found.items() if name not in without}

    def step(self, seed, without):
        given = self.gradients(seed, without)
        arrays = dict(self.optimizer.target.arrays)
        left = self.twin.step({name: grad.copy() for name, grad in given.items()})
        self.optimizer.apply_gradients(given)
        assert self.optimizer.t == self.twin.t
        for name, parameter in self.twin.parameters.items():
            target = self.optimizer.target[f"/{name}"]
            assert target.data is arrays[name]
            np.testing.assert_array_equal(target.data, parameter)
            np.testing.assert_array_equal(target.grad, left[name])
            np.testing.assert_array_equal(self.optimizer._states[f"/{name}"]["buf"], self.twin.buffers[name])

    def repeated(self):
        for seed in range(3):
            self.step(seed, ())

    def hook(self, name):
        ours, theirs = HOOKS[name]
        side = self.twin.after if name == "clamp" else self.twin.hooks
        if name in side:
            with pytest.raises(KeyError, match=f"the hook {name} already exists"):
                self.optimizer.add_hook(ours(), name)
        else:
            self.optimizer.add_hook(ours(), name)
            side[name] = theirs()

    def unhook(self, name):
        side = self.twin.after if name == "clamp" else self.twin.hooks
        if name in side:
            self.optimizer.remove_hook(name)
            del side[name]
        else:
            with pytest.raises(KeyError, match=f"there is no hook '{name}'"):
                self.optimizer.remove_hook(name)

    def lr(self, value):
        self.optimizer.lr = self.twin.lr = value

    def options(self, rates):
        self.optimizer.options = self.twin.options = {pattern: {"lr": rate} for pattern, rate in rates.items()}

    def parameter(self, name, shape):
        if name not in self.twin.parameters:
            self.twin.parameters[name] = np.full(shape, 2, self.dtype)
            self.optimizer.target.arrays[name] = np.full(shape, 2, self.dtype)

    def replaced(self, name):
        if name in self.twin.parameters:
            for arrays in (self.twin.parameters, self.optimizer.target.arrays):
                arrays[name] = np.asarray(arrays[name] + 1)

    def copied(self):
        self.optimizer = copy.deepcopy(self.optimizer)


@settings(max_examples=150)
@given(events=st.lists(EVENTS, min_size=1, max_size=14), dtype=st.sampled_from([np.float32, np.float64]))
def test_every_history_ends_where_the_plain_one_does(events, dtype):
    run = Run(dtype)
    for name, *arguments in [*events, ("step", 0, set())]:
        getattr(run, name)(*arguments)


@settings(max_examples=60)
@given(order=st.permutations(["decay", "shift", "halve", "clear", "replace"]), steps=st.integers(1, 3))
def test_hooks_run_in_any_order_they_were_registered_in(order, steps):
    run = Run(np.float64)
    for name in order:
        run.hook(name)
    for seed in range(steps):
        run.step(seed, ())


@settings(max_examples=60)
@given(
    split=st.lists(st.sampled_from(["*", "/a", "/b", "/[ac]"]), unique=True),
    slow=st.sampled_from([0.25, lambda t: 0.5**t]),
)
def test_options_move_each_parameter_at_its_own_rate(split, slow):
    run = Run(np.float64)
    run.optimizer.options = run.twin.options = {pattern: {"lr": slow} for pattern in split}
    for seed in range(3):
        run.step(seed, ())


@settings(max_examples=40)
@given(t=st.integers(1, 8), cut=st.integers(0, 7))
def test_a_run_may_be_copied_at_any_step(t, cut):
    whole, parted = Run(np.float32), Run(np.float32)
    for seed in range(t):
        whole.step(seed, ())
        if seed == cut:
            parted.copied()
        parted.step(seed, ())
    for name, array in whole.optimizer.target.arrays.items():
        np.testing.assert_array_equal(array, parted.optimizer.target.arrays[name])


@settings(max_examples=60)
@given(gradients=st.dictionaries(st.sampled_from(NAMES), st.sampled_from([(), (3,), (2, 3), (1,), (3, 2)])))
def test_gradients_are_taken_whole_or_not_at_all(gradients):
    run = Run(np.float64)
    arrays = run.optimizer.target.arrays
    fit = all(name in arrays and arrays[name].shape == shape for name, shape in gradients.items())
    before = {name: array.copy() for name, array in arrays.items()}
    given = {name: np.ones(shape) for name, shape in gradients.items()}
    if fit:
        run.optimizer.apply_gradients(given)
        moved = {name for name, array in arrays.items() if (array != before[name]).any()}
        assert moved == gradients.keys()
    else:
        with pytest.raises(ValueError, match=r"no parameter|has the shape"):
            run.optimizer.apply_gradients(given)
        assert run.optimizer.t == 0
        assert all(run.optimizer.target[f"/{name}"].grad is None for name in arrays)
