"""Gradients and parameters that cannot be used: errors that change nothing."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from untouched import untouched

import optreg
from backends.steps import repeats, step
from optreg.errors import GradientError, TargetError

BACKENDS = ["numpy", "numba"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with optreg.use_backend(request.param):
        yield request.param


@pytest.fixture(params=["at the first step", "later"])
def optimizer(request, backend):
    tree = {name: np.full((2, 3), 1.5) for name in ("one", "other")}
    made = optreg.create("adamw", hooks=[optreg.WeightDecay(0.1)]).setup(tree)
    for _ in range(3 if request.param == "later" else 0):
        step(made, np.random.default_rng(0))
    assert repeats(made) == (backend == "numba" and request.param == "later")
    for parameter in made.target.params():
        parameter.grad = np.ones((2, 3))
    return made


class ForeignArray:
    """An array of another library, on another device."""

    shape = (2, 3)
    dtype = np.dtype("float64")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones((3, 2)), r"the gradient of /other has the shape \(3, 2\), but the parameter has \(2, 3\)"),
        (np.ones(6), r"the gradient of /other has the shape \(6,\)"),
        (np.ones((2, 3), int), "the gradient of /other is of dtype int64; convert it to float64"),
        (np.ones((2, 3), bool), "the gradient of /other is of dtype bool; convert it to float64"),
        (np.ones((2, 3), complex), "the gradient of /other is complex, but the parameter is real; give its real part"),
        (np.ones((2, 3), object), "the gradient of /other is of dtype object"),
        ([[1.0, 1, 1], [1, 1, 1]], "the gradient of /other is a list; gradients are arrays, or None"),
        (1.0, r"the gradient of /other is a float \(1.0\)"),
        (ForeignArray(), "the gradient of /other is a ForeignArray"),
    ],
)
def test_a_gradient_that_does_not_fit_changes_nothing(optimizer, wrong, message):
    optimizer.target["other"].grad = wrong
    with untouched(optimizer), pytest.raises(GradientError, match=message):
        optimizer.update()
    optimizer.target["other"].grad = np.ones((2, 3))
    optimizer.update()


def test_a_gradient_on_another_device_changes_nothing(optimizer, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(ndarray=ForeignArray))
    optimizer.target["other"].grad = ForeignArray()
    with untouched(optimizer), pytest.raises(GradientError, match="move one to the other's device"):
        optimizer.update()


def test_a_parameter_that_became_read_only_changes_nothing(optimizer):
    optimizer.target["other"].data.flags.writeable = False
    with untouched(optimizer), pytest.raises(TargetError, match="the parameter /other is read-only"):
        optimizer.update()
    optimizer.target["other"].data.flags.writeable = True
    optimizer.update()


@pytest.mark.parametrize("shape", [(2, 2), (1, 2, 3), (8, 3), (0,)])
def test_a_parameter_that_was_resized_in_place_changes_nothing(optimizer, shape):
    optimizer.target["other"].data.resize(shape, refcheck=False)
    optimizer.target["other"].grad = np.ones(shape)
    with (
        untouched(optimizer),
        pytest.raises(TargetError, match=r"the parameter /other was \(2, 3\) float64 and is now"),
    ):
        optimizer.update()


def test_a_gradient_that_was_resized_in_place_changes_nothing(optimizer):
    optimizer.target["other"].grad.resize((5, 2), refcheck=False)
    with untouched(optimizer), pytest.raises(GradientError, match=r"the gradient of /other has the shape \(5, 2\)"):
        optimizer.update()


def test_a_state_that_was_resized_in_place_is_no_crash(optimizer):
    if not optimizer.t:
        return
    optimizer._states["/other"]["m"].resize((1, 2), refcheck=False)
    with pytest.raises(ValueError, match="broadcast"):
        optimizer.update()
