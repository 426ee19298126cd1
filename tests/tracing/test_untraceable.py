"""What cannot be traced is an error that names the author's line and says what to write."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path

import numpy as np
import pytest

from optreg.errors import UntraceableRuleError
from optreg.rule import OwnedRule
from optreg.tracing.nodes import Input
from optreg.tracing.trace import trace

F = np.dtype("float32")
INPUTS = (Input("param", F), Input("grad", F), Input("m", F), Input("n", F, single=True))


class Owner:
    t = 2

    def __init__(self):
        self.lr = 0.1
        self.count = 1
        self.table = np.ones(3)
        self.options = {"a": 1.0}
        self.generator = np.random.default_rng(0)
        self.function = np.tanh


def branch(self, param, grad, m, n):
    if grad > 0:  # here
        param -= grad


def conditional(self, param, grad, m, n):
    param -= grad if m.copy() > 0 else m  # here


def sum_along_an_axis(self, param, grad, m, n):
    param -= grad / np.sum(grad, axis=0)  # here


def sum_along_an_axis_as_a_method(self, param, grad, m, n):
    param -= grad / grad.sum(0)  # here


def mean_that_keeps_the_axes(self, param, grad, m, n):
    param -= grad.mean(keepdims=True)  # here


def maximum_from_somewhere(self, param, grad, m, n):
    param -= np.max(np.abs(grad), initial=0.0)  # here


def sum_in_another_precision(self, param, grad, m, n):
    param -= grad.sum(dtype=np.float64)  # here


def norm_of_another_order(self, param, grad, m, n):
    param -= grad / np.linalg.norm(grad, ord=1)  # here


def largest_singular_value(self, param, grad, m, n):
    param -= grad / np.linalg.norm(grad, 2)  # here


def norms_of_rows(self, param, grad, m, n):
    param -= grad / np.linalg.norm(grad, axis=-1, keepdims=True)  # here


def count(self, param, grad, m, n):
    param -= np.sum(grad > 0)  # here


def reduced_along_the_first_axis(self, param, grad, m, n):
    param -= np.add.reduce(grad)  # here


def product_of_elements(self, param, grad, m, n):
    param -= np.prod(grad)  # here


def reduced_by_another_function(self, param, grad, m, n):
    param -= np.multiply.reduce(grad)  # here


def running_sum(self, param, grad, m, n):
    param -= np.add.accumulate(grad)  # here


def variance(self, param, grad, m, n):
    param -= np.var(grad)  # here


def product(self, param, grad, m, n):
    param -= grad @ m  # here


def element(self, param, grad, m, n):
    param -= grad[0]  # here


def mask(self, param, grad, m, n):
    param[grad > 0] = 0  # here


def number_of_an_array(self, param, grad, m, n):
    param -= float(n)  # here


def root_of_an_array(self, param, grad, m, n):
    param -= math.sqrt(n)  # here


def changes_self(self, param, grad, m, n):
    self.count += 1  # here


def changes_options(self, param, grad, m, n):
    self.options["a"] = 2.0  # here


def new_attribute(self, param, grad, m, n):
    self.kept = grad  # here


def unknown_function(self, param, grad, m, n):
    param -= np.sin(grad)  # here


def function_with_keywords(self, param, grad, m, n):
    param -= np.sqrt(grad, where=grad > 0)  # here


def two_results(self, param, grad, m, n):
    param -= np.modf(grad)[0]  # here


def shape(self, param, grad, m, n):
    param -= grad / param.shape[0]  # here


def size(self, param, grad, m, n):
    param -= grad / param.size  # here


def length(self, param, grad, m, n):
    param -= grad / len(param)  # here


def elements(self, param, grad, m, n):
    param -= max(grad)  # here


def as_array(self, param, grad, m, n):
    param -= np.asarray(grad)  # here


def array_of_self(self, param, grad, m, n):
    param -= self.table  # here


def array_of_its_own(self, param, grad, m, n):
    param -= np.ones(3)  # here


def draws(self, param, grad, m, n):
    param -= self.generator.normal()  # here


def function_of_self(self, param, grad, m, n):
    param -= self.function(grad)  # here


def array_into_number(self, param, grad, m, n):
    n += grad  # here


def into_a_computed_number(self, param, grad, m, n):
    (n * 2)[...] = 1  # here


def truth_times_integers(self, param, grad, m, n):
    param -= (grad > 0) - (grad < 0)  # here


def into_truth_values(self, param, grad, m, n):
    positive = grad > 0
    positive += 0.5  # here


def masked_out(self, param, grad, m, n):
    np.add(grad, 1, out=np.ones(3))  # here


def complex_scalar(self, param, grad, m, n):
    param -= (-self.lr) ** 0.5 * grad  # here


def divides_by_zero(self, param, grad, m, n):
    param -= grad / (self.t - 2) ** -1  # here


def unknown_attribute(self, param, grad, m, n):
    param -= self.learning_rate * grad  # here


def scalar_of_another_module(self, param, grad, m, n):
    param -= round(self.lr)  # here


SAYS = {
    branch: "no truth value, so a rule cannot branch on it; use np.where(condition, this, otherwise)",
    conditional: "use np.where",
    sum_along_an_axis: "with axis cannot be compiled, only over all elements of a tensor; leave axis out, or say",
    sum_along_an_axis_as_a_method: "np.add.reduce with axis cannot be compiled",
    mean_that_keeps_the_axes: "np.add.reduce with keepdims cannot be compiled",
    maximum_from_somewhere: "np.maximum.reduce with initial cannot be compiled",
    sum_in_another_precision: "np.add.reduce with dtype cannot be compiled",
    norm_of_another_order: "np.linalg.norm with ord=1 cannot be compiled, only the norm of all elements of a tensor",
    largest_singular_value: "with ord=2 cannot be compiled, only the norm of all elements of a tensor; leave ord out",
    norms_of_rows: "with axis, keepdims cannot be compiled",
    count: "np.add.reduce of bool cannot be compiled; use astype(param.dtype) first",
    reduced_along_the_first_axis: "np.add.reduce goes along one axis; of all elements, use np.sum, or say",
    product_of_elements: "np.prod needs the tensor as a whole",
    reduced_by_another_function: "np.multiply.reduce needs the tensor as a whole",
    running_sum: "np.add.accumulate needs the tensor as a whole",
    variance: "np.var needs the tensor as a whole",
    product: "np.matmul needs the tensor as a whole",
    element: "only [...] and [:] are possible; use np.where, or say elementwise = False",
    mask: "use np.where, or say elementwise = False",
    number_of_an_array: "use NumPy's functions",
    root_of_an_array: "use NumPy's functions",
    changes_self: "it sets self.count; keep a number of each tensor in a slot",
    changes_options: "does not support item assignment",
    new_attribute: "it sets self.kept; keep a number of each tensor in a slot",
    unknown_function: "sin() is not among the functions that can be compiled: absolute, add",
    function_with_keywords: "sqrt() with where is not among the functions",
    two_results: "modf() is not among",
    shape: ".shape needs the tensor as a whole",
    size: ".size needs the tensor as a whole",
    length: "len() needs the tensor as a whole",
    elements: "write it for all at once",
    as_array: "np.array and np.asarray need elements",
    array_of_self: "reads self.table, which is of the type ndarray",
    array_of_its_own: "a value of the type ndarray",
    draws: "reads self.generator, which is of the type Generator",
    function_of_self: "reads self.function, which is of the type ufunc",
    array_into_number: "a slot that is one number cannot take an array; give it a shape in init_state",
    into_a_computed_number: "only slots can",
    truth_times_integers: "numpy boolean subtract",
    into_truth_values: "does not take these dtypes",
    masked_out: "into a ndarray that is none of its arguments",
    complex_scalar: "which is no real number",
    divides_by_zero: "ZeroDivisionError",
    unknown_attribute: "'learning_rate'",
    scalar_of_another_module: "TypeError",
}


def line_of(rule):
    """The line marked "here" of a rule above."""
    first = rule.__code__.co_firstlineno
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number in range(first, first + 9) if lines[number - 1].endswith("# here"))


@pytest.mark.parametrize("rule", SAYS, ids=lambda rule: rule.__name__)
def test_the_error_names_the_line_and_says_what_to_write(rule):
    owner = type("Sophia", (Owner,), {"rule": rule})()
    with pytest.raises(UntraceableRuleError, match=r"^the rule of Sophia cannot be compiled: ") as caught:
        trace(OwnedRule(owner), INPUTS)
    assert SAYS[rule] in str(caught.value)
    assert f"({__file__}, line {line_of(rule)}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_line_is_that_of_the_authors_helper():
    def helper(array):
        return np.median(array)

    class Author(Owner):
        def rule(self, param, grad, m, n):
            param -= helper(grad)

    with pytest.raises(UntraceableRuleError, match=re.escape("return np.median(array)")):
        trace(OwnedRule(Author()), INPUTS)


def test_random_numbers_from_elsewhere_are_noticed():
    class Random(Owner):
        def rule(self, param, grad, m, n):
            param -= random.random() * grad

    with pytest.raises(UntraceableRuleError, match="gives other numbers each time it runs"):
        trace(OwnedRule(Random()), INPUTS)


def test_tracing_changes_nothing():
    owner = type("Sophia", (Owner,), {"rule": changes_options})()
    state = owner.generator.bit_generator.state
    before = dict(vars(owner))
    with pytest.raises(UntraceableRuleError):
        trace(OwnedRule(owner), INPUTS)
    assert vars(owner) == before
    assert owner.options == {"a": 1.0}
    assert owner.generator.bit_generator.state == state
