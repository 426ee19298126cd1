"""The text of a kernel: a traced rule as one loop over the elements of many tensors, for Numba to compile.

A kernel is one function of addresses and numbers, all of them int64, that runs the rule on chunks of tensors::

    run(addresses, sizes, groups, scalars, numbers, chunks, first, last)

Tensor ``k`` has the array ``j`` of the rule at ``addresses[k, j]``, and the hyperparameters of ``scalars[groups[k]]``.
Chunk ``c`` is ``chunks[c]``: a tensor, and where in it the chunk begins and ends. ``numbers`` holds, in float64, what
the slots that are one number were before the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optreg.errors import UntraceableRuleError
from optreg.tracing.nodes import HostValue, Load, Operation, Rule, Value

_TYPES = {"float32": "np.float32", "float64": "np.float64", "bool": "np.bool_", "int64": "np.int64"}

_INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=",
}  # fmt: skip

_CALLS = {
    "negative": "-{0}",
    "positive": "{0}",
    "square": "{0} * {0}",
    "reciprocal": "{one} / {0}",
    "sqrt": "np.sqrt({0})",
    "absolute": "np.abs({0})",
    "fabs": "np.abs({0})",
    "floor": "np.floor({0})",
    "ceil": "np.ceil({0})",
    "exp": "np.exp({0})",
    "expm1": "np.expm1({0})",
    "log": "np.log({0})",
    "log1p": "np.log1p({0})",
    "tanh": "np.tanh({0})",
    "copysign": "np.copysign({0}, {1})",
    "power": "np.power({0}, {1})",
    "remainder": "np.remainder({0}, {1})",
    "isfinite": "np.isfinite({0})",
    "isnan": "{0} != {0}",
    "logical_and": "{0} and {1}",
    "logical_or": "{0} or {1}",
    "logical_not": "not {0}",
    "bitwise_and": "{0} & {1}",
    "bitwise_or": "{0} | {1}",
    "invert": "not {0}",
    # As NumPy has them: a NaN in either operand is a NaN in the result; of two zeros, the second. (NumPy's fmax and
    # fmin take now the one, now the other, by the zeros' place in the array.)
    "maximum": "{0} if {0} > {1} or {0} != {0} else {1}",
    "minimum": "{0} if {0} < {1} or {0} != {0} else {1}",
    "fmax": "{0} if {0} >= {1} or {1} != {1} else {1}",
    "fmin": "{0} if {0} <= {1} or {1} != {1} else {1}",
    "sign": "{one} if {0} > 0 else (-{one} if {0} < 0 else ({zero} if {0} == 0 else {0}))",
    "where": "{1} if {0} else {2}",
}


def _text(operation: Operation, names: Sequence[str]) -> str:
    kind = _type(operation.dtype)
    if operation.function == "cast":
        return f"{kind}({names[0]})"
    if operation.function in _INFIX:
        return f"{names[0]} {_INFIX[operation.function]} {names[1]}"
    if operation.function not in _CALLS:
        raise UntraceableRuleError(f"np.{operation.function} cannot be compiled by the backend numba")
    return _CALLS[operation.function].format(*names, one=f"{kind}(1)", zero=f"{kind}(0)")


def _type(dtype: np.dtype[Any]) -> str:
    if dtype.name not in _TYPES:
        raise UntraceableRuleError(f"values of {dtype} cannot be compiled by the backend numba")
    return _TYPES[dtype.name]


def _in_order(values: Sequence[Value]) -> list[Value]:
    """The values and all that they are made of, operands first."""
    found: dict[Value, None] = {}

    def visit(value: Value) -> None:
        if value in found:
            return
        if isinstance(value, Operation):
            for operand in value.operands:
                visit(operand)
        found[value] = None

    for value in values:
        visit(value)
    return list(found)


_TEMPLATE = """\
def run(addresses_, groups_, scalars_, numbers_, chunks_, first, last):
    addresses = int64_at(addresses_)
    groups = int64_at(groups_)
    scalars = float64_at(scalars_)
    numbers = float64_at(numbers_)
    chunks = int64_at(chunks_)
    for chunk in range(first, last):
        tensor = chunks[3 * chunk]
        begin = chunks[3 * chunk + 1]
        end = chunks[3 * chunk + 2]
        group = groups[tensor]
{once}
        for i in range(end - begin):
{each}
        if begin == 0:
            pass
{at_end}
    return 0
"""


def kernel_source(rule: Rule) -> str:
    """Write the kernel of a rule.

    Raises:
        UntraceableRuleError: it computes something that the backend cannot do as NumPy does.
    """
    width = len(rule.inputs)
    values = _in_order([value for _, value in rule.stores])
    names = {value: f"v{number}" for number, value in enumerate(values)}
    touched = {value.array for value in values if isinstance(value, Load)} | {position for position, _ in rule.stores}
    once = [
        f"a{position} = {each.dtype.name}_at(addresses[{width} * tensor + {position}]"
        + ("" if each.single else f" + begin * {each.dtype.itemsize}")
        + ")"
        for position, each in enumerate(rule.inputs)
        if position in touched
    ]
    each_element: list[str] = []
    for value in values:
        line = f"{names[value]} = {_expression(value, names, rule)}"
        (once if value.single else each_element).append(line)
    at_end = []
    for position, value in rule.stores:
        if rule.inputs[position].single:
            at_end.append(f"a{position}[0] = {names[value]}")
        else:
            each_element.append(f"a{position}[i] = {names[value]}")
    return _TEMPLATE.format(
        once=_indented(once, 8), each=_indented(each_element or ["pass"], 12), at_end=_indented(at_end, 12)
    )


def _expression(value: Value, names: dict[Value, str], rule: Rule) -> str:
    kind = _type(value.dtype)
    if isinstance(value, Load):
        if value.single:
            return f"{kind}(numbers[{len(rule.inputs)} * tensor + {value.array}])"
        return f"a{value.array}[i]"
    if isinstance(value, HostValue):
        return f"{kind}(scalars[{len(rule.scalars)} * group + {value.position}])"
    return _text(value, [names[operand] for operand in value.operands])


def _indented(lines: Sequence[str], spaces: int) -> str:
    return "\n".join(" " * spaces + line for line in lines)
