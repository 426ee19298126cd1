"""Wrong input gets one clear sentence and changes nothing; after an exception an optimizer goes on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from untouched import untouched

import optreg
from optreg import GradientMethod
from optreg.errors import GradientError, HyperparameterError


def ready():
    """An optimizer in the middle of a run, with states, hooks and gradients."""
    parameters = {"l1": {"W": np.ones((2, 3)), "b": np.ones(2, np.float32)}, "s": np.array(1.0)}
    optimizer = optreg.create("adam", lr=0.1, hooks=[("weight_decay", {"rate": 0.1})], options={"*/b": {"lr": 0.2}})
    optimizer.setup(parameters)
    optimizer.apply_gradients({"l1": {"W": np.ones((2, 3)), "b": np.ones(2, np.float32)}, "s": np.array(2.0)})
    return optimizer


WRONG_GRADIENTS = {
    "shape": ({"l1": {"W": np.ones((3, 2))}}, r"/l1/W has the shape \(3, 2\), but the parameter has \(2, 3\)"),
    "a-number-for-a-vector": ({"l1/b": 1.0}, r"/l1/b has the shape \(\), but the parameter has \(2,\)"),
    "late-shape": ({"s": 1.0, "l1/b": np.ones(2), "l1/W": np.ones(1)}, "/l1/W has the shape"),
    "unknown": (
        {"l1": {"w": np.ones((2, 3))}},
        "no parameter /l1/w for .*Did you mean '/l1/W'",
    ),
    "unknown-after-known": ({"s": 1.0, "t": 1.0}, "no parameter /t for this gradient"),
    "text": ({"s": "text"}, "/s is of dtype <U4"),
    "objects": ({"s": np.array(None)}, "/s is of dtype object"),
    "complex": ({"s": np.array(1j)}, "/s is complex, but the parameter is real"),
    "no-mapping": (np.ones(3), "gradients are given by name, as a mapping like the parameters' own; got ndarray"),
    "none": (None, "gradients are given by name"),
    "list-of-numbers": ({"l1": {"b": [1.0, 2.0]}}, "no parameter /l1/b/0"),
}


@pytest.mark.parametrize(("gradients", "said"), WRONG_GRADIENTS.values(), ids=WRONG_GRADIENTS.keys())
def test_gradients_that_do_not_fit_are_refused_by_name(gradients, said):
    optimizer = ready()
    with untouched(optimizer), pytest.raises(GradientError, match=said) as caught:
        optimizer.apply_gradients(gradients)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("grad", "said"),
    [
        (np.ones(3), r"/l1/b has the shape \(3,\)"),
        (np.ones(2, int), "/l1/b is of dtype int64; convert it to float32"),
        (np.ones(2, complex), "/l1/b is complex"),
        ([1.0, 2.0], "/l1/b is a list; gradients are arrays, or None"),
        (1.0, r"/l1/b is a float \(1.0\); gradients are arrays, or None"),
    ],
)
def test_a_gradient_that_does_not_fit_is_found_before_the_hooks_run(grad, said):
    optimizer = ready()
    optimizer.target["/l1/b"].grad = grad
    with untouched(optimizer), pytest.raises(GradientError, match=said):
        optimizer.update()


def test_a_gradient_that_a_hook_has_made_wrong_updates_nothing():
    optimizer = ready()

    def spoil(opt):
        opt.target["/l1/b"].grad = np.ones(7, np.float32)

    optimizer.add_hook(spoil)
    parameters = [parameter.data.copy() for parameter in optimizer.target.params()]
    with pytest.raises(GradientError, match=r"/l1/b has the shape \(7,\)"):
        optimizer.update()
    assert optimizer.t == 1
    for parameter, before in zip(optimizer.target.params(), parameters, strict=True):
        np.testing.assert_array_equal(parameter.data, before)


@pytest.mark.parametrize("value", [0.2, -1.0, float("nan"), None, "fast", 1j, True])
def test_a_schedule_that_leaves_the_bounds_is_found_before_parameters_change(value):
    optimizer = optreg.create("sgd", lr=lambda t: 0.1 if t == 1 else value).setup({"w": np.ones(2)})
    optimizer.apply_gradients({"w": np.ones(2)})
    if value == 0.2:
        optimizer.update()
        return
    with (
        untouched(optimizer),
        pytest.raises(HyperparameterError, match="the schedule of lr must give a number > 0, but at t = 2"),
    ):
        optimizer.update()


@pytest.mark.parametrize("name", ["lr", "beta1", "eps"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "0.1", None, True, 1j, [0.1], 10**400])
def test_a_hyperparameter_out_of_its_bounds_is_refused_when_it_is_set(name, value):
    optimizer = ready()
    before = getattr(optimizer, name)
    with untouched(optimizer), pytest.raises(HyperparameterError, match=f"Adam: {name} must be a number"):
        setattr(optimizer, name, value)
    assert getattr(optimizer, name) == before


WRONG_CALLS = {
    "hook-not-callable": (lambda opt: opt.add_hook(1), TypeError, "must be callable with the optimizer, but 1 is not"),
    "hook-class": (lambda opt: opt.add_hook(optreg.Lasso), TypeError, "give a function, an instance of a Hook"),
    "hook-lambda": (lambda opt: opt.add_hook(lambda opt: None), TypeError, "a lambda has no name of its own; give one"),
    "hook-name-taken": (
        lambda opt: opt.add_hook("weight_decay", rate=0.1),
        KeyError,
        r"the hook weight_decay already exists; remove it with remove_hook\('weight_decay'\)",
    ),
    "hook-unknown": (lambda opt: opt.add_hook("weight_dekay"), LookupError, "Did you mean 'weight_decay'"),
    "hook-arguments": (lambda opt: opt.add_hook("lasso", rate=-1.0), ValueError, "Lasso: rate must be a number >= 0"),
    "hook-argument-missing": (lambda opt: opt.add_hook("lasso"), ValueError, "lasso needs a value for rate"),
    "hook-argument-unknown": (lambda opt: opt.add_hook("lasso", rat=1.0), TypeError, "rat"),
    "hook-and-arguments": (
        lambda opt: opt.add_hook(optreg.Lasso(0.1), rate=0.1),
        TypeError,
        r"arguments \(rate\) go with a hook's registered name",
    ),
    "remove-hook": (lambda opt: opt.remove_hook("decay"), KeyError, "no hook 'decay'; there are: weight_decay"),
    "options-unmatched": (lambda opt: setattr(opt, "options", {"*/c": {"lr": 1.0}}), ValueError, r"'\*/c' in options"),
    "options-name": (lambda opt: setattr(opt, "options", {"*": {"rl": 1.0}}), TypeError, "no hyperparameter 'rl'"),
    "options-value": (lambda opt: setattr(opt, "options", {"*": {"lr": -1.0}}), ValueError, "lr must be a number > 0"),
    "options-form": (lambda opt: setattr(opt, "options", {"*": 0.1}), ValueError, "options map patterns of paths"),
}


@pytest.mark.parametrize(("call", "error", "said"), WRONG_CALLS.values(), ids=WRONG_CALLS.keys())
def test_a_wrong_call_is_refused_in_one_sentence(call, error, said):
    optimizer = ready()
    with untouched(optimizer), pytest.raises(error, match=said) as caught:
        call(optimizer)
    assert "\n" not in str(caught.value)


def test_after_an_exception_of_the_loss_function_the_optimizer_goes_on():
    optimizer = ready()
    before = optimizer.target["/l1/W"].data.copy()

    def lossfun():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        optimizer.update(lossfun)
    assert optimizer.t == 1
    np.testing.assert_array_equal(optimizer.target["/l1/W"].data, before)
    optimizer.update()
    assert optimizer.t == 2


def test_after_an_exception_in_a_rule_hyperparameters_are_what_they_were():
    class Fails(GradientMethod):
        elementwise = False

        def __init__(self, lr=0.1):
            self.lr = lr

        def rule(self, param, grad):
            raise ZeroDivisionError

    schedule = lambda t: 0.5  # noqa: E731
    optimizer = Fails(schedule)
    optimizer.options = {"/b": {"lr": 3.0}}
    optimizer.setup({"W": np.ones((2, 3)), "b": np.ones(2)})
    with pytest.raises(ZeroDivisionError):
        optimizer.update()
    assert optimizer.lr is schedule


@pytest.mark.parametrize("wrong", [5, SimpleNamespace(backward=lambda: None), np.ones(2)])
def test_a_loss_in_place_of_a_loss_function_is_a_type_error_and_nothing_is_cleared(wrong):
    optimizer = ready()
    with untouched(optimizer), pytest.raises(TypeError, match=r"update\(\) takes a loss function, which it calls"):
        optimizer.update(wrong)


def test_a_loss_without_gradients_is_an_error_that_says_what_to_return():
    optimizer = ready()
    with pytest.raises(ValueError, match=r"returned float, which has no gradients; return something with backward\(\)"):
        optimizer.update(lambda: 0.5)
    assert optimizer.t == 1
