"""Hyperparameters: numbers with bounds, schedules, flags; of attrs classes and of plain ones."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import optreg
from optreg import GradientMethod
from optreg.errors import HyperparameterError, UnknownHyperparameterError
from optreg.hyperparameters import boolean, choice, fraction, nonnegative, number, positive, whole
from optreg.signatures import signature, values_of


@attrs.define(eq=False)
class Declared(GradientMethod):
    lr: float = positive(0.1, doc="the rate")
    decay: float = nonnegative(0.0)
    momentum: float = fraction(0.9)
    angle: float = number(0.0, low=-1.0, high=1.0)
    every: int = whole(1, low=1)
    nesterov: bool = boolean(False)
    form: str = choice("long", ("long", "short"))
    _hidden: float = positive(2.0)

    def rule(self, param, grad):
        param -= self.lr * grad


class Plain(GradientMethod):
    def __init__(self, lr, momentum=0.9, *, nesterov=False):
        self.lr = lr
        self.momentum = momentum
        self.nesterov = nesterov

    def rule(self, param, grad):
        param -= self.lr * grad


class Open(GradientMethod):
    def __init__(self, lr=0.1, **kwargs):
        self.lr = lr
        self.momentum = kwargs.get("momentum", 0.5)

    def rule(self, param, grad):
        param -= self.lr * self.momentum * grad


class Nothing(GradientMethod):
    pass


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("lr", [1e-300, 1, 1e300], [0, -1.0, float("inf"), float("nan")]),
        ("decay", [0, 0.0, 1e9], [-1e-300, float("nan")]),
        ("momentum", [0, 0.5, 1 - 1e-16], [1, 1.0, -0.1, float("nan")]),
        ("angle", [-1, 1, 0.5], [-1.1, 1.1, float("nan")]),
        ("every", [1, 100], [0, -1, 1.0, 1.5, True, "1"]),
        ("nesterov", [True, False], [0, 1, None, "True"]),
        ("form", ["long", "short"], ["shrot", None, 1, ["long"]]),
        ("hidden", [1.0], [0.0]),
    ],
)
def test_bounds_are_checked_when_it_is_made_and_when_it_is_set(name, good, bad):
    attribute = "_hidden" if name == "hidden" else name
    for value in good:
        optimizer = Declared(**{name: value})
        assert getattr(optimizer, attribute) == value
        setattr(optimizer, attribute, value)
    for value in bad:
        with pytest.raises(HyperparameterError, match=f"Declared: {attribute} must be"):
            Declared(**{name: value})
        optimizer = Declared()
        before = getattr(optimizer, attribute)
        with pytest.raises(HyperparameterError, match=f"Declared: {attribute} must be"):
            setattr(optimizer, attribute, value)
        assert getattr(optimizer, attribute) == before


@pytest.mark.parametrize("value", ["0.1", None, True, np.True_, 1j, np.complex64(1), [0.1], np.array([0.1]), {}, b"1"])
def test_what_is_no_number_is_refused_by_name_and_value(value):
    with pytest.raises(HyperparameterError, match=r"Declared: lr must be a number > 0 \(or a schedule\), but it is"):
        Declared(lr=value)


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), np.float16(0.5), np.array(0.5, np.float32)])
def test_numbers_of_any_library_become_pythons_so_that_they_do_not_decide_the_precision(value):
    optimizer = Declared(lr=value)
    assert type(optimizer.lr) is float
    optimizer.lr = value
    assert type(optimizer.lr) is float
    arrays = {"w": np.ones(3, np.float32)}
    optreg.create("adam", lr=value).setup(arrays).apply_gradients({"w": np.ones(3, np.float32)})
    assert arrays["w"].dtype == np.float32


def test_a_tensor_without_axes_is_a_number():
    torch = pytest.importorskip("torch")
    assert Declared(lr=torch.tensor(0.5)).lr == 0.5
    with pytest.raises(HyperparameterError, match="lr must be a number"):
        Declared(lr=torch.tensor([0.5]))


def test_an_integer_too_large_for_a_float_is_out_of_bounds():
    with pytest.raises(HyperparameterError, match="decay must be a number >= 0"):
        Declared(decay=10**400)


# What a class has


def test_the_signature_tells_names_defaults_and_bounds():
    fields = signature(Declared).fields
    names = "lr decay momentum angle every nesterov form hidden master_weights"
    assert list(fields) == names.split()
    assert (fields["lr"].default, fields["lr"].bound, fields["lr"].doc) == (0.1, "> 0", "the rate")
    assert fields["momentum"].bound == ">= 0 and < 1"
    assert fields["hidden"].attribute == "_hidden"
    assert not any(each.required for each in fields.values())


def test_the_signature_of_a_plain_class_is_that_of_its_init():
    fields = signature(Plain).fields
    assert list(fields) == ["lr", "momentum", "nesterov", "master_weights"]
    assert fields["lr"].required
    assert fields["momentum"].default == 0.9
    assert not signature(Plain).open
    assert signature(Open).open
    assert list(signature(Nothing).fields) == ["master_weights"]
    assert [name for name, each in fields.items() if each.is_common] == ["master_weights"]


def test_values_are_those_of_the_moment():
    optimizer = Plain(0.1)
    optimizer.momentum = 0.2
    assert values_of(optimizer) == {"lr": 0.1, "momentum": 0.2, "nesterov": False, "master_weights": False}


@pytest.mark.parametrize("cls", [Declared, Plain])
def test_an_unknown_hyperparameter_is_refused_with_a_guess(cls):
    with pytest.raises(UnknownHyperparameterError, match=r"has no hyperparameter 'momentun'; .*'momentum'\?"):
        signature(cls).check_names(cls, ["lr", "momentun"])
    signature(Open).check_names(Open, ["lr", "momentun"])


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_create_refuses_unknown_hyperparameters_with_a_guess(name):
    with pytest.raises(
        TypeError, match=r"no hyperparameter 'lrr'; it has: lr, .*Did you mean 'lr'|'lrr'; it has: lr\."
    ):
        optreg.create(name, lrr=0.1)


# Schedules as values


class Annotated(GradientMethod):
    def __init__(self, lr: float):
        self.lr = lr

    def rule(self, param, grad):
        param -= self.lr * grad


@pytest.mark.parametrize("make", [Declared, Open, Annotated, lambda lr: Plain(0.1, momentum=lr)])
def test_any_number_may_be_a_function_of_the_step(make):
    class Halving:
        def __call__(self, t):
            return 0.5**t

    optimizer = make(lr=Halving())
    arrays = {"w": np.zeros(2)}
    optimizer.setup(arrays)
    for _ in range(2):
        optimizer.apply_gradients({"w": np.ones(2)})
    expected = {Declared: -0.75, Annotated: -0.75, Open: -0.375}.get(make, -0.2)
    np.testing.assert_allclose(arrays["w"], expected)


def test_a_hyperparameter_that_is_a_function_by_nature_is_none_of_the_step():
    class Transformed(GradientMethod):
        elementwise = False

        def __init__(self, transform=np.sign):
            self.transform = transform

        def rule(self, param, grad):
            param -= self.transform(grad)

    arrays = {"w": np.zeros(3)}
    Transformed().setup(arrays).apply_gradients({"w": np.array([3.0, 0.0, -2.0])})
    np.testing.assert_array_equal(arrays["w"], [-1, 0, 1])


def test_what_is_set_in_a_step_is_there_after_it():
    class Adapts(GradientMethod):
        elementwise = False

        def __init__(self, lr=1.0):
            self.lr = lr

        def rule(self, param, grad):
            param -= self.lr * grad
            self.lr /= 2

    optimizer = Adapts().setup({"w": np.zeros(2)})
    for _ in range(3):
        optimizer.apply_gradients({"w": np.ones(2)})
    assert optimizer.lr == 1 / 8
    np.testing.assert_array_equal(optimizer.target["/w"].data, [-1.75, -1.75])
