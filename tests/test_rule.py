"""Rules are plain NumPy in place: large or small, whatever the layout and dtype, they do what the text says."""

from __future__ import annotations

import numpy as np
import pytest

import optreg
from optreg import GradientMethod
from optreg.errors import OptregError

LARGE = 40_000
"""Elements of a tensor that is worked on in several blocks."""

quiet = pytest.mark.filterwarnings("ignore:.*cannot be compiled:RuntimeWarning")
"""For rules that the compiling backend, where it is installed, leaves to NumPy and says so."""


class AdamByHand:
    """Adam on whole arrays, as a formula outside of optreg, in the precision of the parameter."""

    def __init__(self, start):
        self.p = start.copy()
        self.m, self.v = np.zeros_like(start), np.zeros_like(start)
        self.t = 0

    def step(self, g):
        self.t += 1
        self.m = self.m * 0.9
        self.m = self.m + (1 - 0.9) * g
        self.v = self.v * 0.999
        self.v = self.v + (1 - 0.999) * g * g
        rate = 0.001 / (1 - 0.9**self.t)
        self.p = self.p - rate * self.m / (np.sqrt(self.v / (1 - 0.999**self.t)) + 1e-8)


RNG = np.random.default_rng(0)


def numbers(*shape):
    return RNG.normal(size=shape)


LAYOUTS = {
    "small": lambda dtype: numbers(7, 3).astype(dtype),
    "large": lambda dtype: numbers(LARGE).astype(dtype),
    "matrix": lambda dtype: numbers(200, 301).astype(dtype),
    "fortran": lambda dtype: np.asfortranarray(numbers(200, 301).astype(dtype)),
    "strided": lambda dtype: numbers(400, 903).astype(dtype)[::2, ::3],
    "reversed": lambda dtype: numbers(LARGE).astype(dtype)[::-1],
    "transposed": lambda dtype: numbers(30, 40, 50).astype(dtype).transpose(2, 0, 1),
    "big-endian": lambda dtype: numbers(LARGE).astype(np.dtype(dtype).newbyteorder(">")),
    "0-d": lambda dtype: np.array(0.5, dtype),
    "one": lambda dtype: np.array([0.5], dtype),
    "empty": lambda dtype: np.zeros((0, 3), dtype),
    "long-axis": lambda dtype: numbers(1, LARGE, 1).astype(dtype),
}


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_rule_gives_the_same_bits_in_every_layout(layout, dtype, backend, monkeypatch):
    if backend == "numba":
        pytest.importorskip("numba")
        monkeypatch.setenv("OPTREG_COMPILE", "now")
    param = layout(dtype)
    optimizer = optreg.create("adam").setup({"w": param})
    expected = AdamByHand(param.astype(dtype))
    with optreg.use_backend(backend):
        for step in range(4):
            grad = np.random.default_rng(step).normal(size=param.shape).astype(dtype)
            optimizer.apply_gradients({"w": grad})
            expected.step(grad)
    np.testing.assert_array_equal(param, expected.p)
    np.testing.assert_array_equal(optimizer._states["/w"]["v"], expected.v)


def test_gradients_and_parameters_may_differ_in_layout_and_precision():
    start, grad = (numbers(200, 301).astype(np.float32) for _ in range(2))
    ended = []
    for order in "CF":
        for dtype in (np.float32, np.float64):
            param = np.asfortranarray(start)
            optimizer = optreg.create("adam").setup({"w": param})
            optimizer.apply_gradients({"w": grad.astype(dtype, order=order)})
            ended.append(param)
    for found in ended[1:]:
        np.testing.assert_allclose(found, ended[0], atol=1e-6)


@pytest.mark.parametrize("size", [5, LARGE])
def test_half_precision_is_computed_in_single_precision(size):
    start = RNG.normal(size=size).astype(np.float16)
    param = start.copy()
    optimizer = optreg.create("adam", lr=0.01).setup({"w": param})
    grad = np.full(size, 1e-4, np.float16)  # its square is zero in half precision
    for _ in range(3):
        optimizer.apply_gradients({"w": grad})
    assert param.dtype == np.float16
    np.testing.assert_allclose(param, start.astype(np.float64) - 0.03, atol=8e-3)


@pytest.mark.parametrize("size", [5, LARGE])
@pytest.mark.parametrize("name", ["adam", "momentum_sgd", "rmsprop", "lion"])
def test_a_complex_parameter_is_a_pair_of_real_ones(name, size):
    start = RNG.normal(size=(size, 2))
    pairs, numbers = start.copy(), start.copy().view(np.complex128)[:, 0]
    ours, theirs = optreg.create(name).setup({"w": numbers}), optreg.create(name).setup({"w": pairs})
    for step in range(3):
        grad = np.random.default_rng(step).normal(size=(size, 2))
        ours.apply_gradients({"w": grad.view(np.complex128)[:, 0]})
        theirs.apply_gradients({"w": grad})
    np.testing.assert_array_equal(numbers.view(np.float64).reshape(-1, 2), pairs)


@pytest.mark.parametrize("size", [2, LARGE])
def test_a_real_gradient_of_a_complex_parameter_has_no_imaginary_part(size):
    param = np.ones(size, np.complex128)
    optimizer = optreg.create("sgd", lr=1.0).setup({"w": param})
    optimizer.target["/w"].grad = np.linspace(0, 1, size)
    optimizer.update()
    np.testing.assert_array_equal(param, 1 - np.linspace(0, 1, size))


def test_complex_and_real_parameters_of_one_precision_do_not_disturb_each_other():
    arrays = {"c": np.ones(LARGE, np.complex64), "f": np.ones(LARGE, np.float32), "g": np.ones(100, np.float32)}
    optimizer = optreg.create("sgd", lr=0.5, hooks=[("weight_decay", {"rate": 0.5})]).setup(arrays)
    for _ in range(3):
        optimizer.apply_gradients({name: np.zeros_like(array) for name, array in arrays.items()})
    assert all((array == 0.75**3).all() for array in arrays.values())


# Slots


class Momentum(GradientMethod):
    def rule(self, param, grad, buf, steps):
        steps += 1
        buf *= 0.5
        buf += grad
        param -= buf / steps

    def init_state(self, param, state):
        state["steps"] = np.zeros((), param.data.real.dtype)


@pytest.mark.parametrize("shape", [(), (3,), (LARGE,), (0,)])
def test_a_slot_without_axes_is_one_number_that_changes_once_a_step(shape):
    param = np.zeros(shape)
    optimizer = Momentum().setup({"w": param})
    for _ in range(3):
        optimizer.apply_gradients({"w": np.ones(shape)})
    expected = -(1 / 1 + 1.5 / 2 + 1.75 / 3)
    np.testing.assert_allclose(param, np.full(shape, expected))
    if param.size:
        assert optimizer._states["/w"]["steps"] == 3


@quiet
def test_a_slot_of_another_shape_is_given_whole():
    class RowMeans(GradientMethod):
        def init_state(self, param, state):
            state["row"] = np.zeros((param.data.shape[0], 1))

        def rule(self, param, grad, row):
            row += np.mean(grad, axis=1, keepdims=True)
            param -= row

    param = np.zeros((300, 200))
    RowMeans().setup({"w": param}).apply_gradients({"w": np.arange(60_000.0).reshape(300, 200)})
    np.testing.assert_allclose(param, -np.arange(60_000.0).reshape(300, 200).mean(axis=1, keepdims=True) * np.ones(200))


def test_a_slot_with_a_default_exists_where_the_class_says_so():
    class Optional(GradientMethod):
        def __init__(self, use=False):
            self.use = use

        def uses_slot(self, name):
            return self.use

        def rule(self, param, grad, buf=None):
            if buf is not None:
                buf += grad
                grad = buf
            param -= grad

    for use, expected in ((False, -2), (True, -3)):
        arrays = {"w": np.zeros(LARGE)}
        optimizer = Optional(use).setup(arrays)
        for _ in range(2):
            optimizer.apply_gradients({"w": np.ones(LARGE)})
        assert list(optimizer._states["/w"]) == ["buf"] * use
        assert (arrays["w"] == expected).all()


@pytest.mark.parametrize(
    "rule",
    [lambda self, param: None, lambda self, param, grad, *slots: None, lambda self, param, grad, *, m: None],
)
def test_a_rule_with_another_signature_is_refused_at_setup(rule):
    cls = type("Wrong", (GradientMethod,), {"rule": rule})
    with pytest.raises(OptregError, match=r"must be written as rule\(self, param, grad, \.\.\.\)"):
        cls().setup({"w": np.ones(2)})
