"""Sums, means, extremes and norms of whole tensors: their traces have the values and dtypes of NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from optreg.backends.kernel_source import sources
from optreg.errors import UntraceableRuleError
from optreg.rule import OwnedRule
from optreg.tracing.chain import Link, chain
from optreg.tracing.nodes import Input, Reduction, Size, in_order
from optreg.tracing.trace import trace

from .interpreter import inputs_of, interpret, run_traced


class Owner:
    t = 3
    lr = 0.1


def owner_of(rule):
    return type("Owner", (Owner,), {"rule": rule})()


def arrays_of(dtype, shape=(7, 9)):
    rng = np.random.default_rng(0)
    param, grad, m = (rng.normal(size=shape).astype(dtype) for _ in range(3))
    return param, grad, {"m": m, "n": np.array(0.75, dtype)}


def check(rule, dtype, shape=(7, 9)):
    """Run a rule as it is written and by its trace: the bits are those of NumPy's own reductions."""
    param, grad, state = arrays_of(dtype, shape)
    traced = param.copy(), grad.copy(), {name: slot.copy() for name, slot in state.items()}
    owner = owner_of(rule)
    rule(owner, param, grad, **state)
    made = run_traced(owner, *traced)
    for written, from_trace in zip((param, grad, *state.values()), (*traced[:2], *traced[2].values()), strict=True):
        np.testing.assert_array_equal(written, from_trace)
    return made


REDUCTIONS = {
    "np.sum": np.sum,
    "sum": lambda g: g.sum(),
    "np.mean": np.mean,
    "mean": lambda g: g.mean(),
    "np.max": np.max,
    "max": lambda g: g.max(),
    "np.amax": np.amax,
    "np.min": np.min,
    "min": lambda g: g.min(),
    "add.reduce": lambda g: np.add.reduce(g, axis=None),
    "maximum.reduce": lambda g: np.maximum.reduce(g, axis=None),
    "minimum.reduce": lambda g: np.minimum.reduce(g, axis=None),
    "of an expression": lambda g: np.sum(g * g + 1),
    "of truth values as numbers": lambda g: np.sum((g > 0).astype(g.dtype)),
    "of ones": lambda g: np.sum(np.ones_like(g)),
    "the mean of ones": lambda g: np.mean(np.ones_like(g)),
    "the mean of a mean": lambda g: np.mean(np.mean(g) * g),
    "the mean of a number": lambda g: np.mean(np.sum(g)),
    "a root": lambda g: np.sqrt(np.mean(g * g)),
    "a comparison of two": lambda g: np.where(np.max(g) > np.min(g), np.max(g), 1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_has_the_bits_of_numpy(name, dtype):
    reduce = REDUCTIONS[name]

    def rule(self, param, grad, m, n):
        m[...] = m / (1 + abs(reduce(grad)))
        n[...] = reduce(param)
        param -= self.lr * reduce(m) * grad

    made = check(rule, dtype)
    assert made.reductions
    assert {each.dtype.name for each in made.reductions} == {dtype}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (1,), (300,), (7, 9), (2, 3, 4)])
def test_a_norm_is_that_of_all_elements(shape, dtype):
    def rule(self, param, grad, m, n):
        m *= 0
        m += np.linalg.norm(grad)
        param /= np.linalg.norm(param)

    param, grad, state = arrays_of(dtype, shape)
    expected = np.sqrt((grad.astype("f8") ** 2).sum())
    # On arrays without axes, the slot n is an array as they are, and not one number beside one.
    run_traced(owner_of(rule), param, grad, state)
    rounding = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(state["m"], expected, rtol=rounding)
    np.testing.assert_allclose((param.astype("f8") ** 2).sum(), 1, rtol=rounding)


def test_a_float32_rule_stays_in_float32():
    def rule(self, param, grad, m, n):
        scale = self.lr * np.linalg.norm(param) / np.maximum(np.mean(np.abs(grad)), 1e-8)
        assert scale.dtype == np.float32
        param -= np.where(scale > 0, scale, 1) * grad

    made = check(rule, "float32")
    assert {value.dtype.name for value in in_order(value for _, value in made.stores)} <= {"float32", "bool"}


def test_a_reduction_of_float64_inside_a_float32_rule_is_rounded_where_numpy_rounds_it():
    def rule(self, param, grad, m, n):
        wide = np.sum(grad.astype(np.float64))
        assert wide.dtype == np.float64
        m *= wide
        param[...] = wide * grad

    check(rule, "float32")


def test_a_reduction_sees_what_was_changed_before_it():
    def rule(self, param, grad, m, n):
        param *= 2
        before = np.sum(param)
        param += 1
        m[...] = before
        grad[...] = np.sum(param)

    check(rule, "float64")


def test_the_result_of_a_reduction_is_a_number_and_no_array():
    def rule(self, param, grad, m, n):
        total = np.sum(grad)
        kept = total
        total += 1  # a new number
        param -= kept
        m[...] = total
        n += kept

    made = check(rule, "float64")
    assert len(made.reductions) == 1

    def changed(self, param, grad, m, n):
        np.sum(grad)[...] = 1

    with pytest.raises(UntraceableRuleError, match="only slots can"):
        trace(OwnedRule(owner_of(changed)), inputs_of(owner_of(changed), *arrays_of("float64")))


def test_a_slot_that_is_one_number_is_its_own_sum_and_mean():
    def rule(self, param, grad, m, n):
        param -= np.sum(n) + np.mean(n) + np.max(n * 2) + np.linalg.norm(n)

    assert check(rule, "float64").reductions == ()


def test_a_slot_that_is_one_number_takes_a_reduction():
    def rule(self, param, grad, m, n):
        n *= 0.5
        n += 0.5 * np.sum(grad * grad)
        param -= grad / (np.sqrt(n) + 1e-8)

    made = check(rule, "float32")
    assert [made.inputs[position].single for position, _ in made.stores] == [False, True]


def test_the_mean_is_divided_by_the_size_of_each_tensor():
    def rule(self, param, grad, m, n):
        param -= np.mean(grad)

    owner = owner_of(rule)
    small, large = arrays_of("float64", (3,)), arrays_of("float64", (5, 8))
    made = trace(OwnedRule(owner), inputs_of(owner, *small))
    assert made is trace(OwnedRule(owner), inputs_of(owner, *large))
    assert sum(isinstance(value, Size) for value in in_order(value for _, value in made.stores)) == 1


def nested(self, param, grad, m, n):
    direction = grad / np.linalg.norm(grad)
    m += direction
    update = m / np.max(np.abs(m))
    param -= self.lr * np.linalg.norm(param) / np.linalg.norm(update) * update


def test_what_needs_other_reductions_comes_in_a_later_stage():
    owner = owner_of(nested)
    made = trace(OwnedRule(owner), inputs_of(owner, *arrays_of("float32")))
    assert len(made.reductions) == 4
    stages = sources(made).stages
    # ‖g‖ and ‖p‖ can be had at once; the maximum of m needs the first, and the norm of the update needs that.
    assert [sorted(each.function for each in stage.reductions) for stage in stages] == [
        ["add", "add"],
        ["maximum"],
        ["add"],
    ]


def test_reductions_that_nothing_uses_are_not_made():
    def rule(self, param, grad, m, n):
        np.linalg.norm(param)
        param -= grad

    owner = owner_of(rule)
    made = trace(OwnedRule(owner), inputs_of(owner, *arrays_of("float32")))
    assert made.reductions == ()
    assert sources(made).stages == ()


def test_a_reduction_after_a_long_chain_of_operations_has_a_stage():
    def rule(self, param, grad, m, n):
        for _ in range(2000):
            m *= m
            m += grad
        param -= np.sum(m)

    owner = owner_of(rule)
    assert len(sources(trace(OwnedRule(owner), inputs_of(owner, *arrays_of("float32")))).stages) == 1


def test_a_chain_reduces_the_gradient_that_the_rules_before_have_changed():
    def decay(self, param, grad):
        grad += self.lr * param

    def normalized(self, param, grad, m):
        m += grad / np.sqrt(np.sum(grad * grad))
        param -= self.lr * m

    def shrink(self, param, grad):
        param *= 1 - self.lr / np.max(np.abs(param))

    owners = [owner_of(decay), owner_of(normalized), owner_of(shrink)]
    param, grad, state = arrays_of("float64")
    state.pop("n")
    states = [{}, state, {}]
    links = [
        Link(trace(OwnedRule(owner), inputs_of(owner, param, grad, each)), keeps)
        for owner, each, keeps in zip(owners, states, (False, True, True), strict=True)
    ]
    rule = chain(links)
    arrays = [param.copy(), grad.copy(), state["m"].copy()]
    interpret(rule, arrays, "owners", owners)
    decay(owners[0], param, grad)
    normalized(owners[1], param, grad, **state)
    shrink(owners[2], param, grad)
    for written, from_chain in zip((param, grad, state["m"]), arrays, strict=True):
        assert written.tobytes() == from_chain.tobytes()
    assert [[each.function for each in stage.reductions] for stage in sources(rule).stages] == [["add"], ["maximum"]]


def test_complex_and_half_precision_arrays_are_traced_as_the_numbers_they_are_made_of():
    inputs = (Input("param", np.dtype("float32")), Input("grad", np.dtype("float32")))

    def rule(self, param, grad):
        param -= grad / np.sum(grad)

    assert isinstance(trace(OwnedRule(owner_of(rule)), inputs).reductions[0], Reduction)
