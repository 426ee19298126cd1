"""The methods that Chainer deprecated in version 1.5: they work, and say what to use instead."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from links import Link
from untouched import untouched

import optreg
from optreg import Optimizer
from optreg.errors import GradientError, NotSetUpError


def ready():
    optimizer = optreg.create("adam").setup({"W": np.full((2, 2), 2.0), "b": np.array([3.0])})
    optimizer.target["/W"].grad = np.ones((2, 2))
    optimizer.target["/b"].grad = np.array([-2.0])
    return optimizer


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CALLS = {
    "zero_grads": ((), r"target\.cleargrads\(\)"),
    "compute_grads_norm": ((), "GradientClipping"),
    "clip_grads": ((1.0,), "GradientClipping"),
    "weight_decay": ((0.1,), "WeightDecay"),
    "accumulate_grads": (([None, None],), r"target\.addgrads\(\)"),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_warns_where_it_is_called_and_names_its_replacement(name):
    arguments, replacement = CALLS[name]
    with pytest.warns(DeprecationWarning, match=rf"Optimizer\.{name}\(\) is deprecated; use .*{replacement}") as said:
        getattr(ready(), name)(*arguments)
    assert [warning.filename for warning in said] == [__file__]


@pytest.mark.parametrize("name", CALLS)
def test_each_needs_a_target(name):
    with pytest.raises(NotSetUpError):
        getattr(optreg.create("adam"), name)(*CALLS[name][0])


def test_zero_grads_fills_all_gradients_with_zeros():
    optimizer = ready()
    optimizer.zero_grads()
    assert all((param.grad == 0).all() for param in optimizer.target.params())
    link = Link(W=np.ones(2))
    mine = link.W.grad
    optreg.create("sgd").setup(link).zero_grads()
    np.testing.assert_array_equal(mine, [0, 0])


def test_compute_grads_norm_is_a_float_on_the_host():
    norm = ready().compute_grads_norm()
    assert type(norm) is float
    assert norm == math.sqrt(8)


def test_compute_grads_norm_counts_none_as_zeros():
    optimizer = ready()
    optimizer.target["/b"].grad = None
    assert optimizer.compute_grads_norm() == 2.0
    optimizer.target.cleargrads()
    assert optimizer.compute_grads_norm() == 0.0


@pytest.mark.parametrize(("maxnorm", "factor"), [(1.0, 1 / math.sqrt(8)), (100.0, 1.0)])
def test_clip_grads_scales_all_gradients_in_place(maxnorm, factor):
    optimizer = ready()
    mine = [param.grad for param in optimizer.target.params()]
    optimizer.clip_grads(maxnorm)
    np.testing.assert_allclose(mine[0], factor)
    np.testing.assert_allclose(mine[1], -2 * factor)


def test_weight_decay_adds_the_parameters_scaled_in_place():
    optimizer = ready()
    mine = [param.grad for param in optimizer.target.params()]
    optimizer.weight_decay(0.5)
    np.testing.assert_array_equal(mine[0], 2)
    np.testing.assert_array_equal(mine[1], -0.5)


def test_weight_decay_acts_where_the_gradient_was_cleared():
    optimizer = ready()
    optimizer.target.cleargrads()
    optimizer.weight_decay(0.5)
    np.testing.assert_array_equal(optimizer.target["/W"].grad, 1)


def test_accumulate_grads_adds_arrays_in_the_order_of_the_parameters():
    optimizer = ready()
    mine = [param.grad for param in optimizer.target.params()]
    optimizer.accumulate_grads([np.full((2, 2), 0.5, np.float32), np.arange(1) + 1])
    np.testing.assert_array_equal(mine[0], 1.5)
    np.testing.assert_array_equal(mine[1], -1)


def test_accumulate_grads_takes_an_iterable_and_leaves_none_alone():
    optimizer = ready()
    optimizer.target["/b"].grad = None
    optimizer.accumulate_grads(each for each in (None, np.array([2.0])))
    np.testing.assert_array_equal(optimizer.target["/W"].grad, 1)
    np.testing.assert_array_equal(optimizer.target["/b"].grad, 2)


@pytest.mark.parametrize(
    ("grads", "said"),
    [
        ([np.ones((2, 2))], "there are 1 gradients for 2 parameters"),
        ([np.ones((2, 2)), np.ones(1), np.ones(1)], "there are 3 gradients for 2 parameters"),
        ([np.ones((2, 2)), np.ones(2)], r"/b has the shape \(2,\), but the parameter has \(1,\)"),
        ([np.ones(2), np.ones(1)], r"/W has the shape \(2,\)"),
        ([np.ones((2, 2)), np.ones(1) * 1j], "/b is complex, but the parameter is real"),
    ],
)
def test_accumulate_grads_adds_nothing_where_one_array_does_not_fit(grads, said):
    optimizer = ready()
    with untouched(optimizer), pytest.raises(GradientError, match=said):
        optimizer.accumulate_grads(grads)


def test_wrong_arguments_change_nothing():
    optimizer = ready()
    for name in ("clip_grads", "weight_decay"):
        with untouched(optimizer), pytest.raises(ValueError, match="must be a number >= 0"):
            getattr(optimizer, name)(-1.0)


def test_a_hyperparameter_may_have_the_name_of_one():
    optimizer = optreg.create("adamw", weight_decay=0.25)
    assert optimizer.weight_decay == 0.25


def test_none_of_them_is_called_by_optreg_itself():
    optimizer = ready()
    optimizer.add_hook("weight_decay", rate=0.1)
    optimizer.add_hook("gradient_clipping", threshold=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.update()
        optimizer.update(lambda: (0.0, {}))
    assert {name for name in CALLS if hasattr(Optimizer, name)} == CALLS.keys()
