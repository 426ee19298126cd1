"""Traced rules, run with NumPy: each operation is the ufunc of its name, in exactly the dtypes that the trace gives.

A reduction is that of NumPy, so that a trace of a rule with sums has its bits, too.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from optreg.rule import OwnedRule, rule_of
from optreg.tracing.nodes import HostValue, Input, Load, Reduction, Rule, Size, Value, in_order
from optreg.tracing.trace import trace


def own_rule(owner: Any, param: Any) -> OwnedRule:
    """The rule that an owner has for a parameter of that array."""
    return rule_of(owner, SimpleNamespace(data=param))


def inputs_of(owner: Any, param: Any, grad: Any, state: dict[str, Any]) -> tuple[Input | None, ...]:
    """The inputs of a rule, as the arrays are."""
    slots = [(name, state.get(name)) for name in own_rule(owner, param).slots]
    return (
        Input("param", param.dtype),
        Input("grad", grad.dtype),
        *(None if slot is None else Input(name, slot.dtype, slot.ndim == 0) for name, slot in slots),
    )


def run_traced(owner: Any, param: Any, grad: Any, state: dict[str, Any]) -> Rule:
    """Do to the arrays what the rule would do, by way of its trace."""
    rule = trace(own_rule(owner, param), inputs_of(owner, param, grad, state))
    arrays = {"param": param, "grad": grad, **state}
    interpret(rule, [arrays[each.name] for each in rule.inputs], "self", owner)
    return rule


def interpret(rule: Rule, arrays: list[Any], name: str, owner: Any) -> None:
    """Run a rule on the arrays of its inputs, in place, with ``owner`` under its name in scalars and guards."""
    scope = {name: owner, "np": np}
    with np.errstate(all="ignore"):
        for source, truth in rule.guards:
            assert bool(eval(source, scope)) == truth, source
        scalars = [float(eval(source, scope)) for source in rule.scalars]
        values: dict[Value, Any] = {}
        for value in in_order(value for _, value in rule.stores):
            values[value] = _computed(value, values, arrays, scalars)
            assert values[value].dtype == value.dtype
            assert values[value].ndim == 0 or not value.single
    for position, value in rule.stores:
        assert value.dtype == arrays[position].dtype
        arrays[position][...] = values[value]


def _computed(value: Value, values: dict[Value, Any], arrays: list[Any], scalars: list[float]) -> Any:
    if isinstance(value, Load):
        return arrays[value.array].copy()
    if isinstance(value, HostValue):
        return np.asarray(scalars[value.position]).astype(value.dtype)
    if isinstance(value, Size):
        return np.asarray(arrays[0].size).astype(value.dtype)
    if isinstance(value, Reduction):
        # A constant array (np.ones_like) is one number in a trace, but has as many elements as the others.
        operand = np.broadcast_to(values[value.operand], arrays[0].shape)
        return np.asarray(getattr(np, value.function).reduce(operand, axis=None))
    operands = [values[each] for each in value.operands]
    if value.function == "cast":
        return np.asarray(operands[0]).astype(value.dtype)
    if value.function == "where":
        return np.where(*operands)
    ufunc = getattr(np, value.function)
    return np.asarray(ufunc(*operands, signature=(*(each.dtype for each in operands), value.dtype)))
