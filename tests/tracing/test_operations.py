"""What a rule may do to arrays: its trace, run operation by operation, gives the same bits and dtypes."""

from __future__ import annotations

import numpy as np
import pytest

from .interpreter import run_traced


class Owner:
    """A plain class with a few hyperparameters, whose rule a test gives."""

    t = 3

    def __init__(self, rule):
        self.lr = 0.1
        self.power = 2.0
        self.betas = (0.9, 0.999)
        self.strong = np.float64(0.3)
        self.weak = np.float32(0.3)
        type(self).rule = rule


def arrays_of(dtype):
    rng = np.random.default_rng(0)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, 3e38]
    param = np.concatenate([rng.normal(size=40), special, rng.permutation(special)]).astype(dtype)
    grad = np.concatenate([rng.normal(size=40) * 10, rng.permutation(special), special]).astype(dtype)
    state = {"m": np.abs(rng.normal(size=58)).astype(dtype), "n": np.array(0.75, dtype)}
    return param, grad, state


def check(rule, dtype="float32", run=run_traced):
    """Run a rule as it is written and by its trace; the arrays are the same to the last bit."""
    owner = type("Owner", (Owner,), {})(rule)
    param, grad, state = arrays_of(dtype)
    traced = param.copy(), grad.copy(), {name: slot.copy() for name, slot in state.items()}
    with np.errstate(all="ignore"):
        rule(owner, param, grad, **state)
    made = run(owner, *traced)
    for written, from_trace in zip((param, grad, *state.values()), (*traced[:2], *traced[2].values()), strict=True):
        # NaNs differ in their signs and payloads, which NumPy does not promise.
        np.testing.assert_array_equal(written, from_trace)
        np.testing.assert_array_equal(np.signbit(written[written == 0]), np.signbit(from_trace[from_trace == 0]))
    return made


ELEMENTWISE = {
    "plus": lambda self, p, g: p + g,
    "minus": lambda self, p, g: p - g,
    "times": lambda self, p, g: p * g,
    "divided": lambda self, p, g: p / g,
    "remainder": lambda self, p, g: p % g,
    "remainder of a number": lambda self, p, g: 1.5 % g,
    "power": lambda self, p, g: np.abs(p) ** g,
    "a number to a power": lambda self, p, g: 2**g,
    "negative": lambda self, p, g: -p,
    "positive": lambda self, p, g: +p,
    "comparisons": lambda self, p, g: (p < g) * 1.0 + (p <= g) * 2 + (p > g) * 4 + (p >= g) * 8 + (p == g) * 16,
    "not equal": lambda self, p, g: (p != g) * p,
    "and, or, not": lambda self, p, g: np.where((p > 0) & (g > 0) | ~(p > 1), p, g),
    "exclusive or": lambda self, p, g: np.where((p > 0) ^ (g > 0), p, g),
    "logical functions": lambda self, p, g: np.where(np.logical_and(p, g) | np.logical_not(np.logical_or(p, g)), p, g),
    "truth values added": lambda self, p, g: ((p > 0) + (g > 0)) * 1.0,
    "truth values multiplied": lambda self, p, g: ((p > 0) * (g > 0)) * 1.0,
    "abs, floor and ceil of truth values": lambda self, p, g: abs(p > 0) * g + np.floor(p > 1) - np.ceil(g > 1),
    "sqrt": lambda self, p, g: np.sqrt(p),
    "abs": lambda self, p, g: abs(p) + np.abs(g) + np.fabs(p),
    "sign": lambda self, p, g: np.sign(p),
    "minimum": lambda self, p, g: np.minimum(p, g),
    "maximum": lambda self, p, g: np.maximum(p, g),
    "maximum of a number": lambda self, p, g: np.maximum(p, 0),
    "fmax": lambda self, p, g: np.fmax(p, 0.5) + np.fmin(g, 0.5),
    "clip": lambda self, p, g: np.clip(p, -0.5, self.lr),
    "clip of zeros": lambda self, p, g: np.clip(p, 0, 1) + np.clip(-p, -1, 0.0),
    "clip by arrays": lambda self, p, g: np.clip(p, -np.abs(g), np.abs(g)),
    "clip from below": lambda self, p, g: np.clip(p, 0.1, None),
    "clip from above": lambda self, p, g: np.clip(p, max=0.1),
    "clip by keywords": lambda self, p, g: np.clip(p, min=0.1, max=0.2),
    "clip as a method": lambda self, p, g: p.clip(-1, 1),
    "clip to nan": lambda self, p, g: np.clip(p, np.nan, 1.0),
    "where": lambda self, p, g: np.where(p > 0, p, g),
    "where of numbers": lambda self, p, g: np.where(p > 0, 1.2, 0.5) * g,
    "where of whole numbers": lambda self, p, g: np.where(p > 0, 1, 0) * g,
    "where of hyperparameters": lambda self, p, g: np.where(p > 0, self.lr, self.betas[0]) * g,
    "where by a scalar": lambda self, p, g: np.where(self.t > 2, p, g),
    "exp": lambda self, p, g: np.exp(p),
    "expm1": lambda self, p, g: np.expm1(p),
    "log": lambda self, p, g: np.log(p),
    "log1p": lambda self, p, g: np.log1p(p),
    "tanh": lambda self, p, g: np.tanh(p),
    "square": lambda self, p, g: np.square(p),
    "reciprocal": lambda self, p, g: np.reciprocal(p),
    "np.power": lambda self, p, g: np.power(np.abs(p), 1.5),
    "floor and ceil": lambda self, p, g: np.floor(p) + np.ceil(g),
    "isfinite": lambda self, p, g: np.where(np.isfinite(p), p, 0),
    "isnan": lambda self, p, g: np.where(np.isnan(p), 0, p),
    "copysign": lambda self, p, g: np.copysign(p, g),
    "squared": lambda self, p, g: p**2,
    "squared by a float": lambda self, p, g: p**2.0,
    "cubed": lambda self, p, g: p**3,
    "root by a power": lambda self, p, g: p**0.5,
    "inverse by a power": lambda self, p, g: p**-1,
    "first power": lambda self, p, g: p**1,
    "power of zero": lambda self, p, g: p**0,
    "squared by a NumPy number": lambda self, p, g: p ** np.float64(2),
    "power of a hyperparameter": lambda self, p, g: p**self.power,
    "another power of a hyperparameter": lambda self, p, g: p ** (self.power + 0.5),
    "a strong hyperparameter": lambda self, p, g: self.strong * p,
    "a hyperparameter of float32": lambda self, p, g: self.weak * p,
    "a root of a hyperparameter by NumPy": lambda self, p, g: np.sqrt(self.lr) * p,
    "whole numbers": lambda self, p, g: 3 * p + self.t,
    "a literal of float64": lambda self, p, g: p * np.float64(0.1),
    "a literal of float32": lambda self, p, g: p * np.float32(0.1),
    "infinity": lambda self, p, g: np.minimum(p, np.inf) - float("inf"),
    "True": lambda self, p, g: p * True,
    "astype": lambda self, p, g: p.astype(np.float64) * g,
    "astype of a truth value": lambda self, p, g: (p > 0).astype(p.dtype) * g,
    "the smallest step of the dtype": lambda self, p, g: p + np.finfo(p.dtype).eps,
    "zeros_like": lambda self, p, g: np.zeros_like(p) + g,
    "ones_like": lambda self, p, g: np.ones_like(p, dtype=np.float64) + g,
    "full_like": lambda self, p, g: np.full_like(p, self.lr) + g,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_expression_has_the_bits_of_numpy(name, dtype):
    expression = ELEMENTWISE[name]

    def rule(self, param, grad, m, n):
        # The dtype of the expression shows in the sum: float64 is not rounded before it is added.
        m += expression(self, param, grad) + m
        param[...] = expression(self, param, grad)
        grad[...] = expression(self, m, param)

    check(rule, dtype)


def in_place(self, param, grad, m, n):
    param += grad
    param -= self.lr
    param *= grad
    param /= 3
    param %= 2
    param **= 2
    m[...] = param
    m[:] += grad
    np.add(m, grad, out=grad)
    np.maximum(m, 0, out=m)
    np.clip(param, 0, 1, out=param)
    np.copyto(grad, param)


def aliases(self, param, grad, m, n):
    same = m
    same += grad
    step = same
    step *= self.lr
    other = m.copy()
    other += 1
    param -= step + m + other
    whole = m[...]
    whole += grad


def fresh_arrays(self, param, grad, m, n):
    total = np.zeros_like(param)
    total += grad
    constant = np.full_like(param, 2)
    constant *= grad
    m.fill(0.25)
    m += grad
    param[...] = 0.5
    param += total * constant
    grad[...] = self.lr


def numbers(self, param, grad, m, n):
    before = n * 2  # what NumPy computes from arrays without axes are numbers
    kept = before
    before += 1
    n *= self.betas[0]
    n[...] = n + (1 - self.betas[0]) * self.lr
    param -= before * grad + kept * m
    before += grad  # a new array
    m[...] = np.maximum(before, n) * (1 / np.where(n > 0, n, 1))
    bound = np.where(n > 0, n, 1)
    bound *= 2
    grad /= bound


def double_precision_inside(self, param, grad, m, n):
    wide = param.astype(np.float64)
    wide *= self.strong
    m += wide
    param[...] = np.where(param > 0, 0.1, 0.2)
    grad *= np.where(param > 0, 0.1, 0.2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", [in_place, aliases, fresh_arrays, numbers, double_precision_inside])
def test_statements_change_the_arrays_that_they_change_in_numpy(rule, dtype):
    check(rule, dtype)


def test_what_a_rule_leaves_alone_is_not_stored():
    def rule(self, param, grad, m, n):
        grad = grad * 2
        scratch = m.copy()
        scratch += 1
        param -= self.lr * grad * scratch

    assert check(rule).changed == {"param"}


def test_a_slot_that_is_not_in_use_is_none():
    def rule(self, param, grad, m=None, n=None):
        param -= grad if m is None else m

    owner = type("Owner", (Owner,), {})(rule)
    param, grad = np.ones(3), np.full(3, 0.5)
    made = run_traced(owner, param, grad, {})
    assert [each.name for each in made.inputs] == ["param", "grad"]
    np.testing.assert_array_equal(param, [0.5] * 3)


def test_a_long_chain_of_operations_is_traced():
    def rule(self, param, grad, m, n):
        for _ in range(3000):
            m *= 0.999
            m += grad

    check(rule)


REDUCED = {
    "sum": lambda self, p, g: p * np.sum(g),
    "sum as a method": lambda self, p, g: p * g.sum(),
    "mean": lambda self, p, g: p * np.mean(g * g),
    "largest": lambda self, p, g: p / np.max(np.abs(g)),
    "smallest": lambda self, p, g: p / np.min(g),
    "norm": lambda self, p, g: p * (np.linalg.norm(g) / (np.linalg.norm(p) + self.lr)),
    "norm of a norm": lambda self, p, g: p * np.linalg.norm(g / np.linalg.norm(g)),
    "a branch on a norm": lambda self, p, g: np.where(np.linalg.norm(g) > 1, g / np.linalg.norm(g), g),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", REDUCED)
def test_numbers_of_the_whole_tensor_are_those_of_numpy(name, dtype):
    def rule(self, param, grad):
        param[...] = REDUCED[name](self, param, grad)

    owner = type("Owner", (Owner,), {})(rule)
    param, grad = np.linspace(1, 2, 50, dtype=dtype), np.linspace(-1, 3, 50, dtype=dtype)
    expected = param.copy()
    owner.rule(expected, grad)
    run_traced(owner, param, grad, {})
    np.testing.assert_allclose(param, expected, rtol=20 * np.finfo(dtype).eps)
