"""Hyperparameters by path pattern."""

from __future__ import annotations

import numpy as np
import pytest
from links import Chain, Linear, Link
from untouched import untouched

import optreg
from optreg import GradientMethod
from optreg.errors import ConfigError, PatternError, UnknownHyperparameterError


def parameters():
    return {"l1": {"W": np.zeros(2), "b": np.zeros(2)}, "l2": {"W": np.zeros(40_000), "b": np.zeros(3)}}


def ones():
    return {layer: {name: np.ones_like(array) for name, array in each.items()} for layer, each in parameters().items()}


def moved(options, arrays=None, **hyperparameters):
    """How far each parameter moves in one step with gradients of one."""
    arrays = parameters()
    optreg.create("sgd", options=options, **hyperparameters).setup(arrays).apply_gradients(ones())
    return {f"/{layer}/{name}": -array[0] for layer, each in arrays.items() for name, array in each.items()}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 1, 1, 1]),
        ({"*/b": {"lr": 0.5}}, [1, 0.5, 1, 0.5]),
        ({"/l1/*": {"lr": 0.5}}, [0.5, 0.5, 1, 1]),
        ({"/l2/W": {"lr": 0.5}}, [1, 1, 0.5, 1]),
        ({"*": {"lr": 0.5}, "/l1/b": {"lr": 0.25}}, [0.5, 0.25, 0.5, 0.5]),
        ({"/l1/b": {"lr": 0.25}, "*": {"lr": 0.5}}, [0.5, 0.5, 0.5, 0.5]),
        ({"/l[12]/W": {"lr": 0.5}, "/l?/b": {}}, [0.5, 1, 0.5, 1]),
        ({"*/W": {"lr": lambda t: 0.125 * t}}, [0.125, 1, 0.125, 1]),
    ],
)
def test_patterns_choose_parameters_and_the_later_ones_win(options, expected):
    assert list(moved(options, lr=1.0).values()) == expected


def test_different_hyperparameters_of_several_patterns_are_joined():
    arrays = {"a": np.ones(2), "b": np.ones(2)}
    options = {"*": {"weight_decay": 0.5}, "/b": {"lr": 0.5}}
    optimizer = optreg.create("adamw", lr=0.25, options=options).setup(arrays)
    optimizer.apply_gradients({"a": np.zeros(2), "b": np.zeros(2)})
    np.testing.assert_allclose([arrays["a"][0], arrays["b"][0]], [1 - 0.25 * 0.5, 1 - 0.5 * 0.5])


def test_the_optimizers_own_values_are_left_alone():
    optimizer = optreg.create("sgd", lr=1.0, options={"*/b": {"lr": 0.5}}).setup(parameters())
    optimizer.apply_gradients(ones())
    assert optimizer.lr == 1.0
    assert optimizer.options == {"*/b": {"lr": 0.5}}


def test_options_may_be_assigned_between_steps():
    arrays = parameters()
    optimizer = optreg.create("sgd", lr=1.0).setup(arrays)
    for options in ({}, {"*/b": {"lr": 0.5}}, None):
        optimizer.options = options
        optimizer.apply_gradients(ones())
    assert (arrays["l1"]["W"][0], arrays["l1"]["b"][0]) == (-3, -2.5)
    assert optimizer.options == {}


def test_what_options_gives_is_a_copy():
    optimizer = optreg.create("sgd", options={"*/b": {"lr": 0.5}})
    optimizer.options["*/b"]["lr"] = 7.0
    optimizer.options["*"] = {}
    assert optimizer.options == {"*/b": {"lr": 0.5}}


def test_options_may_choose_a_variant_with_slots_of_its_own():
    arrays = {"a": np.ones(2), "b": np.ones(2)}
    optimizer = optreg.create("rmsprop", options={"/b": {"centered": True, "momentum": 0.5}}).setup(arrays)
    assert sorted(optimizer._states["/a"]) == ["ms"]
    assert sorted(optimizer._states["/b"]) == ["buf", "mg", "ms"]
    for _ in range(3):
        optimizer.apply_gradients({"a": np.ones(2), "b": np.ones(2)})
    alone = {"b": np.ones(2)}
    expected = optreg.create("rmsprop", centered=True, momentum=0.5).setup(alone)
    for _ in range(3):
        expected.apply_gradients({"b": np.ones(2)})
    np.testing.assert_array_equal(arrays["b"], alone["b"])


def test_options_reach_optimizers_that_override_update_one():
    class ByHand(GradientMethod):
        def __init__(self, lr=1.0):
            self.lr = lr

        def update_one(self, param, state):
            param.data -= self.lr * param.grad

    arrays = parameters()
    optimizer = ByHand()
    optimizer.options = {"*/b": {"lr": 0.5}}
    optimizer.setup(arrays).apply_gradients(ones())
    assert (arrays["l1"]["W"][0], arrays["l1"]["b"][0]) == (-1, -0.5)


def test_options_reach_hyperparameters_that_init_takes_as_keywords():
    class Open(GradientMethod):
        def __init__(self, **kwargs):
            self.lr = kwargs.get("lr", 1.0)

        def rule(self, param, grad):
            param -= self.lr * grad

    arrays = parameters()
    optimizer = Open()
    optimizer.options = {"*/b": {"lr": 0.5}, "/l1/W": {"lr": lambda t: 0.25}}
    optimizer.setup(arrays).apply_gradients(ones())
    assert [arrays["l1"]["W"][0], arrays["l1"]["b"][0], arrays["l2"]["W"][0]] == [-0.25, -0.5, -1]
    with untouched(optimizer), pytest.raises(UnknownHyperparameterError, match="keeps 'rate' in no attribute"):
        optimizer.options = {"*": {"rate": 0.5}}


# Patterns that match nothing


def test_a_pattern_that_matches_nothing_is_an_error_at_setup_that_lists_the_paths():
    optimizer = optreg.create("sgd", options={"*/beta": {"lr": 0.5}})
    with (
        untouched(optimizer),
        pytest.raises(PatternError, match=r"'\*/beta' in options matches no parameter; the paths are: /l1/W, /l1/b"),
    ):
        optimizer.setup(parameters())
    with pytest.raises(ValueError, match="matches no parameter; the paths are: none"):
        optimizer.setup({})


def test_a_pattern_may_wait_for_a_parameter_that_is_not_initialized():
    arrays = {"W": None, "b": np.zeros(2)}
    optimizer = optreg.create("sgd", lr=1.0, options={"/W": {"lr": 0.5}}).setup(arrays)
    with pytest.raises(PatternError):
        optimizer.options = {"/V": {"lr": 0.5}}
    arrays["W"] = np.zeros(2)
    optimizer.apply_gradients({"W": np.ones(2)})
    np.testing.assert_array_equal(arrays["W"], [-0.5, -0.5])


def test_any_pattern_may_wait_where_a_link_is_to_initialize_parameters():
    link = Chain(first=Link(b=np.zeros(2, np.float32)), second=Linear(2))
    optimizer = optreg.create("sgd", lr=1.0, options={"/second/W": {"lr": 0.5}}).setup(link)
    optimizer.update(link.second, np.ones((1, 3), np.float32))
    assert optimizer.options


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"*": {"rate": 0.5}}, UnknownHyperparameterError, "SGD has no hyperparameter 'rate'; it has: lr"),
        ({"*": {"lr": -0.5}}, ValueError, "SGD: lr must be a number > 0"),
        ({"*": {"lr": "fast"}}, ValueError, "SGD: lr must be a number > 0"),
        ({"*": 0.5}, ConfigError, "options map patterns of paths to hyperparameters"),
        ({3: {"lr": 0.5}}, ConfigError, "options map patterns of paths to hyperparameters"),
        ([("*", {"lr": 0.5})], ConfigError, "options (map patterns of paths|must be hyperparameters by path)"),
        ("*", ConfigError, "options (map patterns of paths|must be hyperparameters by path)"),
    ],
)
def test_wrong_options_are_refused_in_create_and_on_assignment(options, error, said):
    with pytest.raises(error, match=said):
        optreg.create("sgd", options=options)
    optimizer = optreg.create("sgd", options={"*/b": {"lr": 0.5}}).setup(parameters())
    with untouched(optimizer), pytest.raises(error, match=said):
        optimizer.options = options


def test_a_pattern_may_leave_out_the_first_slash_of_a_path():
    optimizer = optreg.create("sgd", lr=0.5, options={"l1/W": {"lr": 0.25}}).setup({"l1": {"W": np.ones(2)}})
    optimizer.apply_gradients({"l1/W": np.ones(2)})
    assert optimizer.target["l1/W"].data.tolist() == [0.75, 0.75]
