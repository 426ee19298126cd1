"""RMSprop beside PyTorch and optax, Graves's form beside optax, SMORMS3 beside numbers worked by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import optax
import pytest
import torch

from optreg.optimizers.rmsprop import SMORMS3, RMSprop, RMSpropGraves

from .references import Formula, Optax, Torch, assert_same_path, every_problem

MEAN = {"ms": "square_avg"}
CENTERED = {**MEAN, "mg": "grad_avg"}
BUFFER = {"buf": "momentum_buffer"}


@every_problem
@pytest.mark.parametrize(
    ("changed", "states"),
    [
        pytest.param({}, MEAN, id="defaults"),
        pytest.param({"lr": 0.1, "alpha": 0.8, "eps": 1e-3}, MEAN, id="changed"),
        pytest.param({"alpha": 0.0}, MEAN, id="no-alpha"),
        pytest.param({"momentum": 0.9}, MEAN | BUFFER, id="momentum"),
        pytest.param({"centered": True}, CENTERED, id="centered"),
        pytest.param({"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "centered": True}, CENTERED, id="centered-changed"),
        pytest.param({"centered": True, "momentum": 0.5, "lr": 0.02}, CENTERED | BUFFER, id="both"),
    ],
)
def test_rmsprop_walks_the_path_of_torch(changed, states, problem):
    theirs = Torch(lambda p: torch.optim.RMSprop(p, **changed))
    assert_same_path(RMSprop(**changed), theirs, problem, states=states)


@every_problem
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_rmsprop_walks_the_path_of_optax_with_eps_outside_the_root(momentum, problem):
    theirs = Optax(optax.rmsprop(0.05, decay=0.95, eps=1e-6, eps_in_sqrt=False, momentum=momentum))
    assert_same_path(RMSprop(lr=0.05, alpha=0.95, eps=1e-6, momentum=momentum), theirs, problem)


@every_problem
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="defaults"),
        pytest.param({"lr": 0.01, "alpha": 0.8, "momentum": 0.5, "eps": 1e-2}, id="changed"),
        pytest.param({"lr": 0.01, "alpha": 0.0, "momentum": 0.0}, id="no-alpha-no-momentum"),
    ],
)
def test_rmsprop_graves_walks_the_path_of_optax_centered_with_momentum(changed, problem):
    values = {"lr": 1e-4, "alpha": 0.95, "momentum": 0.9, "eps": 1e-4} | changed
    theirs = Optax(
        optax.rmsprop(
            values["lr"],
            decay=values["alpha"],
            eps=values["eps"],
            centered=True,
            momentum=values["momentum"],
        )
    )
    states = {
        "n": lambda state: state[0].nu,
        "g": lambda state: state[0].mu,
        "delta": lambda state: state[2].trace,
    }
    assert_same_path(RMSpropGraves(**changed), theirs, problem, states=states)


def _smorms3(lr, eps):
    """Simon Funk's update, out of place: ``mem`` is the memory, ``g`` and ``g2`` are the two averages."""

    def update(value, grad, state, t):
        if not state:
            state.update(mem=np.ones_like(grad), g=np.zeros_like(grad), g2=np.zeros_like(grad))
        rate = 1 / (1 + state["mem"])
        state["g"] = state["g"] + rate * (grad - state["g"])
        state["g2"] = state["g2"] + rate * (grad**2 - state["g2"])
        certainty = state["g"] ** 2 / (state["g2"] + eps)
        state["mem"] = 1 + state["mem"] * (1 - certainty)
        return value - grad * np.minimum(lr, certainty) / (np.sqrt(state["g2"]) + eps)

    return Formula(update)


@every_problem
@pytest.mark.parametrize("changed", [{}, {"lr": 0.1, "eps": 1e-8}], ids=["defaults", "changed"])
def test_smorms3_walks_the_path_of_the_formula(changed, problem):
    theirs = _smorms3(**{"lr": 1e-3, "eps": 1e-16} | changed)
    states = {"mem": "mem", "g": "g", "g2": "g2"}
    assert_same_path(SMORMS3(**changed), theirs, problem, states=states)


def test_smorms3_makes_the_three_steps_that_were_worked_out_by_hand():
    """Gradients 2, 1, −4 and lr = 1/4, in exact fractions up to the roots; eps is too small to be seen.

    t = 1: r = 1/2;  g = 1;       g2 = 2;        x = 1/2;      step = 2·(1/4)/√2;          mem = 3/2
    t = 2: r = 2/5;  g = 1;       g2 = 8/5;      x = 5/8;      step = 1·(1/4)/√(8/5);      mem = 25/16
    t = 3: r = 16/41; g = −39/41; g2 = 296/41;   x = 1521/12136 (the smaller);  step = −4·x/√(296/41)
    """
    optimizer = SMORMS3(lr=0.25)
    w = np.array([1.0])
    optimizer.setup({"w": w})
    expected = 1.0
    x = Fraction(1521, 12136)
    steps = [2 * 0.25 / np.sqrt(2), 0.25 / np.sqrt(8 / 5), -4 * float(x) / np.sqrt(296 / 41)]
    for gradient, step in zip([2.0, 1.0, -4.0], steps, strict=True):
        optimizer.apply_gradients({"w": np.array([gradient])})
        expected -= step
        np.testing.assert_allclose(w, [expected], rtol=1e-14)


@pytest.mark.parametrize("optimizer", [RMSprop(centered=True, alpha=0.5), RMSpropGraves(eps=1e-12)])
def test_a_variance_below_zero_by_rounding_is_no_nan(optimizer):
    w = np.ones(50_000, dtype=np.float32)
    gradient = np.random.default_rng(0).normal(size=w.shape).astype(np.float32)
    optimizer.setup({"w": w})
    for _ in range(200):
        optimizer.apply_gradients({"w": gradient})
    assert np.isfinite(w).all()


def test_momentum_as_a_schedule_has_its_slot_even_where_it_begins_at_zero():
    constant, scheduled = np.ones(3), np.ones(3)
    one = RMSprop(momentum=0.5).setup({"w": constant})
    other = RMSprop(momentum=lambda t: 0.0 if t == 1 else 0.5).setup({"w": scheduled})
    for t in range(1, 5):
        one.apply_gradients({"w": np.array([1.0, -2.0, 0.0]) * t})
        other.apply_gradients({"w": np.array([1.0, -2.0, 0.0]) * t})
    np.testing.assert_array_equal(constant, scheduled)


def test_options_turn_on_momentum_and_centering_for_one_parameter():
    arrays = {"a": np.ones(3), "b": np.ones(3)}
    alone = np.ones(3)
    both = RMSprop()
    both.options = {"/b": {"momentum": 0.5, "centered": True}}
    both.setup(arrays)
    one = RMSprop(momentum=0.5, centered=True).setup({"b": alone})
    for t in range(1, 5):
        gradient = np.array([1.0, -2.0, 0.0]) * t
        both.apply_gradients({"a": gradient, "b": gradient.copy()})
        one.apply_gradients({"b": gradient})
    np.testing.assert_array_equal(arrays["b"], alone)
    assert not np.array_equal(arrays["a"], alone)
