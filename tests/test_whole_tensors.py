"""Rules that treat the elements of a tensor together, or do other things than a formula does: NumPy runs them whole."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optreg import GradientMethod

LARGE = 40_000

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot be compiled:RuntimeWarning")


def after(cls, steps=1, size=LARGE, value=1.0):
    param = np.zeros(size)
    optimizer = cls().setup({"w": param})
    for _ in range(steps):
        optimizer.apply_gradients({"w": np.full(size, value)})
    return param


class Declared(GradientMethod):
    elementwise = False

    def rule(self, param, grad):
        param -= grad / np.linalg.norm(grad)


class Norm(GradientMethod):
    def rule(self, param, grad):
        param -= grad / np.linalg.norm(grad)


class SumOfSquares(GradientMethod):
    def rule(self, param, grad):
        param -= grad / np.sqrt((grad * grad).sum())


class Reduce(GradientMethod):
    def rule(self, param, grad):
        param -= grad / np.sqrt(np.add.reduce(grad * grad))


class Dot(GradientMethod):
    def rule(self, param, grad):
        param -= grad / math.sqrt(grad @ grad)


class AsArray(GradientMethod):
    def rule(self, param, grad):
        param -= grad / np.sqrt(np.asarray(grad * grad).sum())


class Size(GradientMethod):
    def rule(self, param, grad):
        param -= grad / grad.size**0.5


class Length(GradientMethod):
    def rule(self, param, grad):
        param -= grad / len(grad) ** 0.5


class Max(GradientMethod):
    def rule(self, param, grad):
        param -= grad / np.sqrt(np.max(grad) * np.cumsum(grad)[-1])


class Sorted(GradientMethod):
    def rule(self, param, grad):
        param[np.argsort(grad)] -= grad / np.sqrt(np.count_nonzero(grad))


NORMED = [Declared, Norm, SumOfSquares, Reduce, Dot, AsArray, Size, Length, Max, Sorted]


@pytest.mark.parametrize("cls", NORMED)
@pytest.mark.parametrize("size", [3, LARGE])
def test_a_rule_that_looks_at_the_tensor_as_a_whole_sees_the_whole_tensor(cls, size):
    np.testing.assert_allclose(after(cls, size=size), -1 / math.sqrt(size), rtol=1e-12)


class EverySeventhStep(GradientMethod):
    """Whole tensors at some steps only."""

    def rule(self, param, grad):
        if self.t % 7 == 0:
            param -= grad / np.linalg.norm(grad)


class AfterWarmup(GradientMethod):
    def __init__(self, warmup=10):
        self.warmup = warmup

    def rule(self, param, grad):
        if self.t == self.warmup:
            param -= grad / np.linalg.norm(grad)


@pytest.mark.parametrize(("cls", "steps"), [(EverySeventhStep, 7), (AfterWarmup, 10)])
def test_a_branch_that_is_taken_at_some_steps_only_sees_the_whole_tensor_too(cls, steps):
    assert (after(cls, steps - 1) == 0).all()
    np.testing.assert_allclose(after(cls, steps), -1 / math.sqrt(LARGE), rtol=1e-12)


class DecayOrNorm(GradientMethod):
    """A branch on a number."""

    def __init__(self, trust=0.0):
        self.trust = trust

    def rule(self, param, grad):
        param -= grad / np.linalg.norm(grad) if self.trust else grad


def test_a_branch_on_a_hyperparameter_is_taken_anew_when_it_changes():
    param = np.zeros(LARGE)
    optimizer = DecayOrNorm().setup({"w": param})
    for trust, expected in ((0.0, -1), (0.0, -2), (1.0, -2 - 1 / math.sqrt(LARGE))):
        optimizer.trust = trust
        optimizer.apply_gradients({"w": np.ones(LARGE)})
        np.testing.assert_allclose(param, expected, rtol=1e-12)


class Switch(GradientMethod):
    """Branches on attributes that are no hyperparameters."""

    def __init__(self):
        self.warm = True
        self.settings = {"halve": False}

    def rule(self, param, grad):
        if self.warm:
            param -= grad
        elif self.settings["halve"]:
            param -= grad / 2


def test_a_branch_on_any_attribute_is_taken_anew_when_it_changes():
    param = np.zeros(LARGE)
    optimizer = Switch().setup({"w": param})
    for warm, halve, expected in ((True, True, -1), (True, True, -2), (False, True, -2.5), (False, False, -2.5)):
        optimizer.warm = warm
        optimizer.settings["halve"] = halve
        optimizer.apply_gradients({"w": np.ones(LARGE)})
        assert (param == expected).all()


class Settings:
    lr = 1.0


class WithObject(GradientMethod):
    def __init__(self):
        self.settings = Settings()

    def rule(self, param, grad):
        param -= self.settings.lr * grad


def test_numbers_that_an_object_of_the_optimizer_holds_are_read_anew_at_each_step():
    param = np.zeros(3)
    optimizer = WithObject().setup({"w": param})
    for lr, expected in ((1.0, -1), (1.0, -2), (0.5, -2.5)):
        optimizer.settings.lr = lr
        optimizer.apply_gradients({"w": np.ones(3)})
        assert (param == expected).all()


class Counts(GradientMethod):
    """Keeps counters on itself."""

    def __init__(self):
        self.calls = 0
        self.norms = []

    def rule(self, param, grad):
        self.calls += 1
        self.norms.append(float(np.linalg.norm(grad)))
        param -= grad


@pytest.mark.parametrize("size", [3, LARGE])
def test_a_rule_that_counts_is_called_once_for_each_tensor_and_step(size):
    optimizer = Counts().setup({"a": np.zeros(size), "b": np.zeros(2)})
    for _ in range(3):
        optimizer.apply_gradients({"a": np.ones(size), "b": np.ones(2)})
    assert optimizer.calls == 6
    np.testing.assert_allclose(optimizer.norms, [math.sqrt(size), math.sqrt(2)] * 3)


class Random(GradientMethod):
    """Draws numbers from a generator of its own."""

    def __init__(self):
        self.rng = np.random.default_rng(3)

    def rule(self, param, grad):
        param -= self.rng.random() * grad


@pytest.mark.parametrize("size", [3, LARGE])
def test_a_rule_that_draws_random_numbers_draws_once_for_each_tensor_and_step(size):
    expected = -np.random.default_rng(3).random(4).sum()
    for _ in range(2):  # the second time, the class is known
        np.testing.assert_allclose(after(Random, steps=4, size=size), expected, rtol=1e-12)


# What a rule does to grad is its own affair


class Scratch(GradientMethod):
    def rule(self, param, grad):
        grad *= 2
        param -= grad


class ScratchSometimes(GradientMethod):
    def rule(self, param, grad):
        if self.t % 3 == 0:
            grad *= 2
        param -= grad


class ScratchWhole(GradientMethod):
    def rule(self, param, grad):
        grad /= np.linalg.norm(grad)
        param -= grad


class Visible(Scratch):
    changes_gradients = True


@pytest.mark.parametrize("cls", [Scratch, ScratchSometimes, ScratchWhole, Visible])
@pytest.mark.parametrize("size", [3, LARGE])
@pytest.mark.parametrize("writeable", [True, False])
def test_a_rule_may_use_the_gradient_as_scratch_memory_and_the_user_does_not_see_it(cls, size, writeable):
    optimizer = cls().setup({"w": np.zeros(size)})
    for _ in range(4):
        grad = np.ones(size)
        grad.flags.writeable = writeable
        optimizer.apply_gradients({"w": grad})
        visible = optimizer.target["/w"].grad
        np.testing.assert_array_equal(visible, 2 if cls is Visible else 1)
        np.testing.assert_array_equal(grad, 2 if cls is Visible and writeable else 1)
    expected = {Scratch: -8, Visible: -8, ScratchSometimes: -5, ScratchWhole: -4 / math.sqrt(size)}[cls]
    np.testing.assert_allclose(optimizer.target["/w"].data, expected, rtol=1e-12)
