"""The element function of every built-in, compiled for the host, gives NumPy's bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from tracing.interpreter import inputs_of, own_rule
from tracing.random_rules import EXACT
from tracing.random_rules import rules as rules_at_random
from tracing.test_operations import check

import optreg
from optreg.backends.element_source import element_source
from optreg.errors import UntraceableRuleError
from optreg.rule import OwnedRule
from optreg.tracing.nodes import Input
from optreg.tracing.trace import trace

from .host import COMPILER, compiled
from .rules import ELEMENTWISE, STEPS, hooks, joined, rules

COUNT = 203

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs g++")


def gradient(rng, dtype):
    """Of many sizes, with exact zeros of both signs."""
    values = rng.normal(size=COUNT) * 10 ** rng.uniform(-3, 2, COUNT)
    values[::5] = 0
    values[1::7] = -0.0
    return values.astype(dtype)


@pytest.fixture(scope="module", params=["float32", "float64", "float16"])
def runs(request, tmp_path_factory):
    """For every rule of every built-in, without hooks and with all of them, a function that runs it on the host."""
    every = [rule for with_hooks in (False, True) for _, rule in rules(request.param, with_hooks)]
    found = [rule for rule in every if not rule.reductions]
    made = compiled(found, tmp_path_factory.mktemp("host"))
    return request.param, {_key(rule): run for rule, run in zip(found, made, strict=True)}


def _key(rule):
    return element_source(rule).text, rule.inputs, rule.scalars


@needs_compiler
@pytest.mark.parametrize("with_hooks", [False, True], ids=["alone", "with hooks"])
@pytest.mark.parametrize(("name", "values"), ELEMENTWISE, ids=str)
def test_the_element_function_of_a_built_in_has_numpys_bits(runs, name, values, with_hooks):
    dtype, run_of = runs
    rng = np.random.default_rng(0)
    start = rng.normal(size=COUNT).astype(dtype)
    ours, theirs = start.copy(), start.copy()
    reference = optreg.create(name, **values, hooks=hooks() if with_hooks else []).setup({"w": ours})
    compiled_one = optreg.create(name, **values).setup({"w": theirs})
    state, before = compiled_one._states["/w"], hooks() if with_hooks else []
    owners = [*before, compiled_one]
    for t in range(1, STEPS):
        given = gradient(rng, dtype)
        expected_gradient = given.copy()
        reference.apply_gradients({"w": expected_gradient})
        compiled_one.t = t
        rule = joined(owners, theirs, [*({} for _ in before), state])
        slots = [state[each.name.split(".")[1]] for each in rule.inputs[2:]]
        run_of[_key(rule)]([theirs, given, *slots], owners=owners)
        assert ours.tobytes() == theirs.tobytes()
        assert reference.target["/w"].grad.tobytes() == given.tobytes()
        for slot, value in reference._states["/w"].items():
            assert value.tobytes() == state[slot].tobytes(), slot


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 1e-45, 3e38, 5e-324, 2.5, -2.5]

OPERATIONS = {
    "arithmetic": lambda p, g: (p + g) * (p - g) / g + -p,
    "remainder": lambda p, g: p % g,
    "sqrt": lambda p, g: np.sqrt(p) + np.square(g),
    "reciprocal": lambda p, g: np.reciprocal(p),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "clip": lambda p, g: np.clip(p, 0, 1) + np.clip(p, -np.abs(g), 0.5),
    "sign": lambda p, g: np.sign(p),
    "abs": lambda p, g: np.abs(p) + np.fabs(g),
    "copysign": np.copysign,
    "floor": lambda p, g: np.floor(p) + np.ceil(g),
    "where": lambda p, g: np.where((p > g) & ~(g >= 1) | (p == g) | (p != p), p, g),
    "comparisons": lambda p, g: (p < g) * 1.0 + (p <= g) * 2.0 + (p != g) * 4.0,
    "finite": lambda p, g: np.where(np.isfinite(p) ^ np.isnan(g), p, 0),
    "double precision": lambda p, g: (p.astype("float64") * 0.1).astype("float32") * g,
    "whole numbers": lambda p, g: np.where(p > 0, 2, -3) * g + abs(np.where(p > 0, 2, -3)),
    "powers": lambda p, g: p**2 + p**-1 + p**1 + p**0,
    "numbers of one kind": lambda p, g: np.logical_or(p, g) * p,
}
NEAR = {
    "exp": lambda p, g: np.exp(p),
    "expm1": lambda p, g: np.expm1(p),
    "log": lambda p, g: np.log(np.abs(p)),
    "log1p": lambda p, g: np.log1p(np.abs(p)),
    "tanh": lambda p, g: np.tanh(p),
    "power": lambda p, g: np.abs(p) ** 1.7,
}


class Owner:
    t = 1

    def __init__(self, operation):
        self.operation = operation


def owner_of(operation):
    def rule(self, param, grad):
        param[...] = operation(param, grad)

    return type("Owner", (Owner,), {"rule": rule})(operation)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_operation_has_numpys_bits_on_special_values(dtype, tmp_path):
    with np.errstate(all="ignore"):
        special = np.array(SPECIAL).astype(dtype)
    param, grad = (each.ravel() for each in np.meshgrid(special, special))
    inputs = (Input("param", param.dtype), Input("grad", param.dtype))
    owners = {name: owner_of(operation) for name, operation in (OPERATIONS | NEAR).items()}
    traces = [trace(OwnedRule(owner), inputs) for owner in owners.values()]
    for (name, owner), run in zip(owners.items(), compiled(traces, tmp_path), strict=True):
        expected, found = param.copy(), param.copy()
        with np.errstate(all="ignore"):
            owner.rule(expected, grad.copy())
        run([found, grad.copy()], self=owner)
        if name in NEAR:
            np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps, err_msg=name)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=name)
            zeros = expected == 0
            np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]), err_msg=name)


@needs_compiler
@settings(max_examples=40)
@given(rules_at_random(EXACT))
def test_the_element_function_of_a_random_rule_has_numpys_bits(tmp_path_factory, made):
    def run(owner, param, grad, state):
        rule = trace(own_rule(owner, param), inputs_of(owner, param, grad, state))
        (run_on_host,) = compiled([rule], tmp_path_factory.mktemp("host"))
        arrays = {"param": param, "grad": grad, **state}
        run_on_host([arrays[each.name] for each in rule.inputs], self=owner)

    function, dtype = made
    check(function, dtype, run)


def test_what_cplusplus_cannot_do_is_an_error_that_names_it():
    owner = owner_of(lambda p, g: np.where(p > 0, 2, 3) ** np.where(p > 0, 2, 3) * g)
    param = np.dtype("float32")
    with pytest.raises(UntraceableRuleError, match=r"np\.power of int64 cannot be compiled to C\+\+"):
        element_source(trace(OwnedRule(owner), (Input("param", param), Input("grad", param))))
