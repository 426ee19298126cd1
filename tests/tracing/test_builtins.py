"""The trace of every built-in, run operation by operation, gives the bits of the rule itself."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import optreg

from .interpreter import own_rule, run_traced

HYPERPARAMETERS = {
    "rmsprop": [{"centered": True}, {"momentum": 0.5}, {"centered": True, "momentum": 0.5}],
    "adopt": [{"clip": False}],
    "asgd": [{"t0": 2.0}],
    "mars": [{"optimize_1d": True, "mars_type": "lion"}],
    "tiger": [{"layerwise": False}],
}
NORMS = {"lars", "lamb", "novograd", "stable_adamw", "adafactor", "came", "mars", "tiger"}
"""The bits of a sum depend on where NumPy's temporary arrays happen to lie in memory."""
CASES = [(name, {}) for name in optreg.names() if hasattr(optreg.get(name), "rule")] + [
    (name, values) for name, many in HYPERPARAMETERS.items() for values in many
]


def one_gradient(rng, count, dtype):
    gradient = rng.normal(size=count) * 10 ** rng.uniform(-3, 2, count)
    gradient[::5] = 0
    gradient[1::7] = -0.0
    return gradient.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "values"), CASES, ids=str)
def test_the_trace_of_a_built_in_does_what_its_rule_does(name, values, dtype):
    rng = np.random.default_rng(0)
    written, traced = optreg.create(name, **values), optreg.create(name, **values)
    start = rng.normal(size=203).astype(dtype)
    ours, theirs = start.copy(), start.copy()
    written.setup({"w": ours})
    traced.setup({"w": theirs})
    state, slots = traced._states["/w"], own_rule(traced, theirs).used_slots()
    for t in range(1, 9):
        gradient = one_gradient(rng, 203, dtype)
        written.apply_gradients({"w": gradient.copy()})
        traced.t = t
        for found in (each.name for each in attrs.fields(type(traced)) if not each.init):  # by sums over all tensors
            setattr(traced, found, getattr(written, found))
        run_traced(traced, theirs, gradient, {slot: state[slot] for slot in slots})
        assert_same(ours, theirs, name in NORMS)
        for slot in slots:
            assert_same(written._states["/w"][slot], state[slot], name in NORMS)


def assert_same(written, from_trace, but_for_rounding):
    if but_for_rounding:
        scale = np.abs(written).max()
        np.testing.assert_allclose(from_trace, written, rtol=0, atol=16 * np.finfo(written.dtype).eps * scale)
    else:
        assert written.tobytes() == from_trace.tobytes()


@pytest.mark.parametrize("name", ["weight_decay", "lasso", "gradient_hard_clipping"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_trace_of_a_hook_does_what_its_rule_does(name, dtype):
    bounds = {"lower_bound": 0.0, "upper_bound": 1.0} if name == "gradient_hard_clipping" else {"rate": 0.1}
    hook, rng = optreg.create_hook(name, **bounds), np.random.default_rng(1)
    param, gradient = rng.normal(size=100).astype(dtype), one_gradient(rng, 100, dtype)
    expected = gradient.copy()
    hook.rule(param.copy(), expected)
    rule = run_traced(hook, param, gradient, {})
    assert rule.changed == {"grad"}
    assert gradient.tobytes() == expected.tobytes()
