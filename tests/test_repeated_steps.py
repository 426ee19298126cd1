"""What happens between steps is noticed, even by a backend that looks only at what may have changed."""

from __future__ import annotations

import numpy as np
import pytest
from links import Link

import optreg
from optreg import GradientMethod
from optreg.errors import GradientError, HyperparameterError


@pytest.fixture(autouse=True, params=["numpy", "numba"])
def _backend(request, monkeypatch):
    if request.param == "numba":
        pytest.importorskip("numba")
        monkeypatch.setenv("OPTREG_COMPILE", "now")
    with optreg.use_backend(request.param):
        yield


def running(arrays, **arguments):
    """Momentum with a hook that shares its pass, after enough steps for the last ones to be repeats."""
    hooks = [("weight_decay", {"rate": 0.5})]
    optimizer = optreg.create("momentum_sgd", **{"lr": 1.0, "momentum": 0.0, "hooks": hooks} | arguments)
    optimizer.setup(arrays)
    for _ in range(3):
        zero(optimizer)
    return optimizer


def zero(optimizer):
    params = dict(optimizer.target.namedparams()).items()
    optimizer.apply_gradients({name: np.zeros_like(each.data) for name, each in params if each.data is not None})


def test_a_parameter_that_gets_its_array():
    arrays = {"W": None, "b": np.ones(2)}
    optimizer = running(arrays)
    arrays["W"] = np.ones(3)
    zero(optimizer)
    np.testing.assert_array_equal(arrays["W"], 0.5)
    np.testing.assert_array_equal(arrays["b"], 0.5**4)


def test_a_parameter_that_is_added_renamed_or_removed():
    arrays = {"a": np.ones(2), "b": np.ones(2), "inner": {"c": np.ones(2)}}
    optimizer = running(arrays)
    arrays["inner"]["d"] = np.ones(2)
    zero(optimizer)
    np.testing.assert_array_equal(arrays["inner"]["d"], 0.5)
    arrays["e"] = arrays.pop("a")
    zero(optimizer)
    np.testing.assert_array_equal(arrays["e"], 0.5**5)
    assert "/e" in optimizer._states
    removed = arrays.pop("b")
    zero(optimizer)
    np.testing.assert_array_equal(removed, 0.5**5)
    arrays["inner"] = {"c": np.ones(2)}
    zero(optimizer)
    np.testing.assert_array_equal(arrays["inner"]["c"], 0.5)


def test_an_array_that_is_replaced_or_shared():
    arrays = {"a": np.ones(2), "b": np.ones(2)}
    optimizer = running(arrays)
    arrays["a"] = np.ones(2)
    zero(optimizer)
    np.testing.assert_array_equal(arrays["a"], 0.5)
    arrays["b"] = arrays["a"]
    zero(optimizer)
    np.testing.assert_array_equal(arrays["a"], 0.25)


def test_a_parameter_that_is_added_to_a_link():
    link = Link(b=np.ones(2))
    link.cleargrads()
    optimizer = optreg.create("momentum_sgd", lr=1.0, hooks=[("weight_decay", {"rate": 0.5})]).setup(link)
    for _ in range(3):
        link.b.grad = np.zeros(2)
        optimizer.update()
    link.add_param("W", np.ones(3))
    link.cleargrads()
    optimizer.update()
    np.testing.assert_array_equal(link.W.data, 0.5)


def test_one_array_as_the_gradient_of_two_parameters_or_of_itself():
    arrays = {"a": np.ones(2), "b": np.full(2, 4.0)}
    optimizer = running(arrays)
    shared = np.zeros(2)
    for param in optimizer.target.params():
        param.grad = shared
    optimizer.update()
    np.testing.assert_array_equal(arrays["a"], 0.5**4)
    np.testing.assert_array_equal(arrays["b"], 4 * 0.5**4)
    optimizer.target["/a"].grad = arrays["a"]
    optimizer.update()
    np.testing.assert_array_equal(arrays["a"], 0.5**4 * (1 - 1.5))


def test_gradients_that_are_none_read_only_of_another_dtype_or_strided():
    arrays = {"w": np.ones(4, np.float32)}
    optimizer = running(arrays)
    expected = 0.5**3
    read_only = np.zeros(4, np.float32)
    read_only.flags.writeable = False
    strided = np.zeros(8, np.float32)[::2]
    for grad in (None, read_only, np.zeros(4), strided, np.zeros(4, np.float16), np.zeros(4, ">f4")):
        optimizer.target["/w"].grad = grad
        optimizer.update()
        expected /= 2
        np.testing.assert_array_equal(arrays["w"], expected)


@pytest.mark.parametrize("wrong", [np.zeros(5), np.zeros((4, 1)), np.zeros(4, int), [0.0] * 4, np.zeros(4) * 1j])
def test_gradients_that_do_not_fit(wrong):
    arrays = {"w": np.ones(4)}
    optimizer = running(arrays)
    optimizer.target["/w"].grad = wrong
    with pytest.raises(GradientError):
        optimizer.update()
    assert optimizer.t == 3
    np.testing.assert_array_equal(arrays["w"], 0.5**3)


def test_hyperparameters_schedules_and_bounds():
    arrays = {"w": np.ones(2)}
    optimizer = running(arrays, hooks=[])
    moved = []
    for lr in (1.0, 0.5, lambda t: t, lambda t: t, 0.25):
        optimizer.lr = lr
        before = arrays["w"][0]
        optimizer.apply_gradients({"w": np.ones(2)})
        moved.append(before - arrays["w"][0])
    assert moved == [1.0, 0.5, 6.0, 7.0, 0.25]
    optimizer.lr = lambda t: 1.0 if t < 12 else -1.0
    for _ in range(3):
        optimizer.update()
    with pytest.raises(HyperparameterError, match="at t = 12 it gave -1"):
        optimizer.update()
    assert optimizer.t == 11


def test_options_hooks_counts_and_targets():
    arrays = {"a": np.ones(2), "b": np.ones(2)}
    optimizer = running(arrays)
    optimizer.options = {"/b": {"lr": 0.5}}
    zero(optimizer)
    np.testing.assert_array_equal(arrays["b"], 0.5**3 * 0.75)
    optimizer.remove_hook("weight_decay")
    zero(optimizer)
    np.testing.assert_array_equal(arrays["a"], 0.5**4)
    optimizer.add_hook("lasso", rate=0.25)
    zero(optimizer)
    np.testing.assert_array_equal(arrays["a"], 0.5**4 - 0.25)
    others = {"a": np.ones(2), "b": np.ones(2)}
    optimizer.setup(others)
    zero(optimizer)
    np.testing.assert_array_equal(others["a"], 0.75)
    assert optimizer.t == 1


def test_states_that_are_replaced_or_filled():
    arrays = {"w": np.zeros(2)}
    optimizer = running(arrays, momentum=0.5, hooks=[])
    optimizer._states["/w"]["buf"][...] = 2.0
    zero(optimizer)
    np.testing.assert_array_equal(arrays["w"], -1.0)
    optimizer._states["/w"]["buf"] = np.full(2, 4.0)
    zero(optimizer)
    np.testing.assert_array_equal(arrays["w"], -3.0)


class Counted(GradientMethod):
    """Branches on the step and on an attribute that is no hyperparameter."""

    def __init__(self, lr=1.0):
        self.lr = lr
        self.ascend = False

    def rule(self, param, grad):
        if self.t % 3 == 0:
            grad = 2 * grad
        if self.ascend:
            param += self.lr * grad
        else:
            param -= self.lr * grad


def test_branches_of_the_rule():
    arrays = {"w": np.zeros(2)}
    optimizer = Counted().setup(arrays)
    moved = []
    for step in range(8):
        optimizer.ascend = step > 4
        before = arrays["w"][0]
        optimizer.apply_gradients({"w": np.ones(2)})
        moved.append(arrays["w"][0] - before)
    assert moved == [-1, -1, -2, -1, -1, 2, 1, 1]


def test_a_step_count_that_is_set():
    arrays = {"w": np.zeros(2)}
    optimizer = Counted().setup(arrays)
    for _ in range(3):
        optimizer.update()
    optimizer.t = 5
    optimizer.apply_gradients({"w": np.ones(2)})
    np.testing.assert_array_equal(arrays["w"], -2)


def test_many_kinds_of_arrays_in_one_target_do_not_disturb_each_other():
    rng = np.random.default_rng(0)
    start = {
        "number": np.array(1.0),
        "fortran": np.asfortranarray(rng.normal(size=(300, 100))),
        "strided": rng.normal(size=(400, 300))[::2, ::3],
        "half": rng.normal(size=20_000).astype(np.float16),
        "complex": rng.normal(size=30_000).astype(np.complex64),
        "swapped": rng.normal(size=10).astype(">f4"),
        "long": rng.normal(size=5).astype(np.longdouble),
        "single": rng.normal(size=100).astype(np.float32),
        "empty": np.zeros((3, 0)),
    }
    together = {name: array.copy("K") for name, array in start.items()}
    optimizer = optreg.create("adam", lr=0.1, hooks=[("weight_decay", {"rate": 0.1})]).setup(together)
    alone = {name: {name: array.copy("K")} for name, array in start.items()}
    singles = {
        name: optreg.create("adam", lr=0.1, hooks=[("weight_decay", {"rate": 0.1})]).setup(target)
        for name, target in alone.items()
    }
    for seed in range(4):
        draw = np.random.default_rng(seed)
        gradients = {name: np.asarray(draw.normal(size=each.shape), each.dtype) for name, each in start.items()}
        optimizer.apply_gradients({name: grad.copy() for name, grad in gradients.items()})
        with optreg.use_backend("numpy"):
            for name, single in singles.items():
                single.apply_gradients({name: gradients[name]})
    for name in start:
        np.testing.assert_array_equal(together[name], alone[name][name])
