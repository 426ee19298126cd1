"""Chainer's reference page of Optimizer and GradientMethod, sentence by sentence, where no other test has it."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from links import Deserializer, Link, Serializer

import optreg
from optreg import GradientMethod, Optimizer

OF_OPTREG = {"arguments", "timing"}
"""Arguments that optreg has beside those of the page."""

OPTIMIZER = {
    "accumulate_grads": ["grads"],
    "add_hook": ["hook", "name"],
    "call_hooks": [],
    "clip_grads": ["maxnorm"],
    "compute_grads_norm": [],
    "init_state": ["param", "state"],
    "init_state_cpu": ["param", "state"],
    "init_state_gpu": ["param", "state"],
    "new_epoch": [],
    "prepare": [],
    "remove_hook": ["name"],
    "serialize": ["serializer"],
    "setup": ["link"],
    "update": ["lossfun", "args", "kwds"],
    "weight_decay": ["decay"],
    "zero_grads": [],
}
GRADIENT_METHOD = OPTIMIZER | {
    "reallocate_cleared_grads": [],
    "update_one": ["param", "state"],
    "update_one_cpu": ["param", "state"],
    "update_one_gpu": ["param", "state"],
    "use_cleargrads": ["use"],
}
HOOKS = {
    optreg.WeightDecay: {"rate": 0.5},
    optreg.Lasso: {"rate": 0.5},
    optreg.GradientClipping: {"threshold": 0.5},
    optreg.GradientNoise: {"eta": 0.5, "noise_func": optreg.exponential_decay_noise},
    optreg.GradientHardClipping: {"lower_bound": -0.5, "upper_bound": 0.5},
}


@pytest.mark.parametrize(("cls", "methods"), [(Optimizer, OPTIMIZER), (GradientMethod, GRADIENT_METHOD)])
def test_every_method_is_there_with_its_arguments_and_a_docstring(cls, methods):
    for name, arguments in methods.items():
        method = getattr(cls, name)
        found = [each for each in inspect.signature(method).parameters if each not in ("self", *OF_OPTREG)]
        assert found == arguments, name
        assert inspect.getdoc(method), name


def test_a_gradient_method_is_an_optimizer():
    assert issubclass(GradientMethod, Optimizer)
    assert inspect.signature(GradientMethod.use_cleargrads).parameters["use"].default is True
    assert inspect.signature(Optimizer.update).parameters["lossfun"].default is None


@pytest.mark.parametrize(("cls", "arguments"), HOOKS.items())
def test_hooks_take_their_arguments_by_position_and_keep_them_as_attributes(cls, arguments):
    hook = cls(*arguments.values())
    assert {name: getattr(hook, name) for name in arguments} == arguments
    assert hook.name == cls.__name__
    assert cls(**arguments).name == cls.__name__


def test_the_default_noise_has_a_default():
    assert optreg.GradientNoise(0.1).noise_func is optreg.exponential_decay_noise
    arguments = list(inspect.signature(optreg.exponential_decay_noise).parameters)
    assert arguments == ["xp", "shape", "dtype", "hook", "opt"]


def test_the_existing_states_are_discarded_by_setup():
    optimizer = optreg.create("adam").setup({"w": np.ones(2)})
    optimizer.apply_gradients({"w": np.ones(2)})
    optimizer.setup({"v": np.ones(3)})
    assert list(optimizer._states) == ["/v"]


def test_the_extra_arguments_are_the_loss_functions():
    optimizer = optreg.create("sgd").setup({})
    assert optimizer.update(lambda *args, **kwds: ((args, kwds), {}), 1, 2, c=3) == ((1, 2), {"c": 3})


def test_new_epoch_increments_the_count():
    optimizer = optreg.create("sgd").setup({})
    for count in range(3):
        assert optimizer.epoch == count
        optimizer.new_epoch()


def test_prepare_makes_missing_states_and_keeps_those_there_are():
    arrays = {"w": np.ones(2)}
    optimizer = optreg.create("momentum_sgd").setup(arrays)
    held = optimizer._states["/w"]["buf"]
    arrays["v"] = np.ones(3)
    optimizer.prepare()
    assert optimizer._states["/w"]["buf"] is held
    assert optimizer._states["/v"]["buf"].shape == (3,)
    assert optimizer.t == 0


def test_it_neither_saves_nor_loads_the_parameters_of_the_target():
    first, second = Link(W=np.ones(2)), Link(W=np.full(2, 5.0))
    written = {}
    for link in (first, second):
        link.W.grad = np.ones(2)
    optimizer = optreg.create("momentum_sgd", lr=1.0).setup(first)
    optimizer.update()
    Serializer(written).save(optimizer)
    assert sorted(written) == ["W/buf", "epoch", "t"]
    other = optreg.create("momentum_sgd", lr=0.5).setup(second)
    Deserializer(written).load(other)
    np.testing.assert_array_equal(second.W.data, [5, 5])
    np.testing.assert_array_equal(other._states["/W"]["buf"], [1, 1])
    assert (other.t, other.epoch, other.lr) == (1, 0, 0.5)


def test_an_implementation_may_increment_t_and_update_in_its_own_way():
    class Ascends(Optimizer):
        def update(self, lossfun=None, *args, **kwds):
            self.t += 1
            for param in self.target.params():
                param.data += param.grad

    link = Link(W=np.ones(2))
    link.W.grad = np.ones(2)
    optimizer = Ascends().setup(link)
    optimizer.update()
    np.testing.assert_array_equal(link.W.data, [2, 2])
    assert optimizer.t == 1


def test_one_that_needs_the_loss_function_may_refuse_to_do_without():
    class Needs(Optimizer):
        def update(self, lossfun=None, *args, **kwds):
            if lossfun is None:
                raise RuntimeError("a loss function is needed")

    with pytest.raises(RuntimeError, match="a loss function is needed"):
        Needs().setup({}).update()


def test_the_annealed_noise_has_the_variance_of_the_page():
    class Counted:
        t = 7

    class Hook:
        eta = 0.3

    np.random.seed(0)
    noise = optreg.exponential_decay_noise(np, (200_000,), np.float32, Hook(), Counted())
    assert noise.dtype == np.float32
    assert abs(noise.var() / (0.3 / (1 + 7) ** 0.55) - 1) < 0.02
    assert math.isclose(noise.mean(), 0, abs_tol=0.005)
