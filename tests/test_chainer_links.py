"""Links of Chainer as targets: late parameters, cleared gradients, and optimizers written for Chainer."""

from __future__ import annotations

import numpy as np
import pytest
from links import Chain, Deserializer, Linear, Link, Serializer

import optreg
from optreg import GradientMethod

X = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.25]], np.float32)


class ChainerSGD(GradientMethod):
    """Chainer's SGD, as it was written for it."""

    def __init__(self, lr=0.01):
        self.lr = lr

    def update_one_cpu(self, param, state):
        param.data -= self.lr * param.grad

    def update_one_gpu(self, param, state):
        raise NotImplementedError


class Dummy:
    """A hook that no gradient is None for."""

    name = "Dummy"

    def __call__(self, opt):
        for param in opt.target.params():
            assert param.grad is not None


class Cleargrad:
    """A hook that clears all gradients."""

    name = "Cleargrad"

    def __call__(self, opt):
        for param in opt.target.params():
            param.cleargrad()


class LinkHook:
    """Weight decay, as Chainer has it."""

    name = "WeightDecay"

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, opt):
        for param in opt.target.params():
            param.grad += self.rate * param.data


@pytest.mark.parametrize("make", [ChainerSGD, lambda: optreg.create("sgd")])
def test_a_link_is_optimized_through_its_own_call(make):
    link = Chain(a=Linear(3, 2), b=Link(unused=np.ones(2, np.float32)))
    optimizer = make().setup(link)
    optimizer.use_cleargrads()
    losses = [float(optimizer.update(link.a, X).data) for _ in range(20)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2
    np.testing.assert_array_equal(link.b.unused.data, [1, 1])


def test_gradients_that_begin_as_nan_are_cleared_before_they_count():
    link = Linear(3, 2)
    assert np.isnan(link.W.grad).all()
    optreg.create("momentum_sgd").setup(link).update(link, X)
    assert np.isfinite(link.W.data).all()


@pytest.mark.parametrize("cleared", [False, True])
@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_a_link_that_initializes_itself_at_the_first_call_ends_where_one_does_that_was_whole(name, cleared):
    links = [Linear(3), Linear(3, 2)]
    for link in links:
        optimizer = optreg.create(name, hooks=[("weight_decay", {"rate": 0.1})]).setup(link)
        optimizer.use_cleargrads(cleared)
        for _ in range(4):
            optimizer.update(link, X)
        assert sorted(optimizer._states) == ["/W", "/b"]
    for key in ("W", "b"):
        np.testing.assert_array_equal(getattr(links[0], key).data, getattr(links[1], key).data)


def test_a_parameter_that_is_initialized_by_hand_between_steps_gets_its_state():
    link = Linear(3)
    optimizer = optreg.create("adam").setup(link)
    for param in link.params():
        param.grad = np.ones_like(param.data)
    optimizer.update()
    assert list(optimizer._states) == ["/b"]
    link.cleargrads()
    link.initialize(2)
    optimizer.update()
    assert optimizer.t == 2
    assert optimizer._states["/W"]["m"].shape == (3, 2)


def test_cleared_gradients_are_zeros_for_hooks_and_for_the_update():
    link = Link(param=np.arange(3, dtype=np.float32))
    optimizer = ChainerSGD().setup(link)
    optimizer.add_hook(Dummy())
    link.cleargrads()
    optimizer.update()
    np.testing.assert_array_equal(link.param.grad, [0, 0, 0])
    np.testing.assert_array_equal(link.param.data, [0, 1, 2])


def test_a_hook_may_clear_the_gradients_for_those_after_it():
    link = Link(param=np.arange(3, dtype=np.float32))
    optimizer = optreg.create("sgd").setup(link)
    optimizer.add_hook(Cleargrad())
    optimizer.add_hook(Dummy())
    optimizer.update()
    np.testing.assert_array_equal(link.param.data, [0, 1, 2])


def test_hooks_of_chainer_and_ours_do_the_same():
    ended = []
    for hook in (LinkHook(0.1), optreg.WeightDecay(0.1)):
        link = Linear(3, 2)
        optimizer = optreg.create("momentum_sgd").setup(link)
        optimizer.add_hook(hook)
        assert list(optimizer._hooks) == ["WeightDecay"]
        for _ in range(3):
            optimizer.update(link, X)
        ended.append(link.W.data)
    np.testing.assert_array_equal(*ended)


def test_gradients_of_several_shards_are_added_by_the_target():
    links = [Linear(3, 2) for _ in range(3)]
    optimizer = optreg.create("sgd", lr=1.0).setup(links[0])
    for link, row in zip(links, X, strict=True):
        link.cleargrads()
        link(row[None]).backward()
    for link in links[1:]:
        links[0].addgrads(link)
    optimizer.update()
    whole = Linear(3, 2)
    optreg.create("sgd", lr=1.0).setup(whole).update(whole, X)
    np.testing.assert_allclose(links[0].W.data, whole.W.data, rtol=1e-5)


def test_a_trainer_extension_sets_attributes_of_any_name():
    optimizer = optreg.create("sgd", lr=0.5)
    for name in ("lr", "x"):
        setattr(optimizer, name, 0.25)
    assert (optimizer.lr, optimizer.x) == (0.25, 0.25)


def test_what_is_written_with_one_link_loads_into_another():
    first, second = Linear(3, 2), Linear(3, 2)
    optimizers = [optreg.create("adam").setup(link) for link in (first, second)]
    for _ in range(3):
        optimizers[0].update(first, X)
    optimizers[0].new_epoch()
    written = {}
    Serializer(written).save(optimizers[0])
    assert sorted(written) == ["W/m", "W/v", "b/m", "b/v", "epoch", "t"]
    for name, param in second.namedparams():
        param.data[...] = dict(first.namedparams())[name].data
    held = optimizers[1]._states["/W"]["m"]
    Deserializer(written).load(optimizers[1])
    assert optimizers[1]._states["/W"]["m"] is held
    for link, optimizer in zip((first, second), optimizers, strict=True):
        assert (optimizer.t, optimizer.epoch) == (3, 1)
        optimizer.update(link, X)
    np.testing.assert_array_equal(first.W.data, second.W.data)


def test_a_serializer_that_copies_nothing_and_returns_nothing_changes_nothing():
    optimizer = optreg.create("adam").setup(Linear(3, 2))
    optimizer.update(optimizer.target, X)
    state = optimizer._states["/W"]["m"].copy()

    class Writes:
        def __init__(self):
            self.keys = []

        def __getitem__(self, key):
            return self

        def __call__(self, key, value):
            self.keys.append(key)

    writes = Writes()
    optimizer.serialize(writes)
    assert writes.keys == ["t", "epoch", "m", "v", "m", "v"]
    assert (optimizer.t, optimizer.epoch) == (1, 0)
    np.testing.assert_array_equal(optimizer._states["/W"]["m"], state)
