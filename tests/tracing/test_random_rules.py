"""Random rules: whatever is composed of the operations that can be traced has NumPy's bits."""

from __future__ import annotations

from hypothesis import given, settings

from .random_rules import rules
from .test_operations import check


@settings(max_examples=200)
@given(rules())
def test_the_trace_of_a_random_rule_has_the_bits_of_numpy(made):
    rule, dtype = made
    check(rule, dtype)
