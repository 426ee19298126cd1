"""The text of a kernel: a traced rule as one loop over the elements of many tensors, for Numba to compile.

A kernel is a function that runs the rule on chunks of tensors::

    run(frame, first, last)

The frame has the addresses of tables. Tensor ``k`` has the array ``j`` of the rule at ``addresses[k, j]``, and the
hyperparameters of ``scalars[groups[k]]``. Chunk ``c`` is ``chunks[c]``: a tensor, and where in it the chunk begins and
ends. ``numbers`` holds, in float64, what the slots that are one number were before the step.

What a rule must know of whole tensors (norms, sums, means, the largest element) comes first, from kernels that read the
arrays and change none; they leave ``results`` for each chunk. Joined on the host, these are further columns of
``numbers``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import numpy as np

from optreg.backends.array_check import ADDRESSES, CHUNKS, GROUPS, NUMBERS, RESULTS, SCALARS
from optreg.errors import UntraceableRuleError
from optreg.tracing.nodes import HostValue, Load, Operation, Reduction, Rule, Size, Value, in_order

_TYPES = {"float32": "np.float32", "float64": "np.float64", "bool": "np.bool_", "int64": "np.int64"}

NARROW = {"float16": ("uint16", "float32_of_float16({0})", "float16_of_float32({0})")}
"""Dtypes that are only stored: the word that a kernel sees, and how it is made a float32 and is made of one."""

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
    if operation.function == "cast":
        return _cast(names[0], operation.operands[0].dtype.name, operation.dtype)
    kind = _type(operation.dtype)
    if operation.function in _INFIX:
        return f"{names[0]} {_INFIX[operation.function]} {names[1]}"
    if operation.function == "remainder" and operation.dtype.kind == "f":
        # A zero has the sign of the divisor, which Numba forgets.
        return f"np.copysign(np.remainder({names[0]}, {names[1]}), {names[1]})"
    if operation.function not in _CALLS:
        raise UntraceableRuleError(f"np.{operation.function} cannot be compiled by the backend numba")
    return _CALLS[operation.function].format(*names, one=f"{kind}(1)", zero=f"{kind}(0)")


def _cast(name: str, old: str, new: np.dtype[Any]) -> str:
    if new.name in NARROW:
        if old != "float32":
            raise UntraceableRuleError(f"{old} cannot be rounded to {new} in one step; make it float32 first")
        return NARROW[new.name][2].format(name)
    return f"{_type(new)}({loaded(name, old)})"


def loaded(element: str, dtype: str) -> str:
    """An element of an array as a number."""
    return NARROW[dtype][1].format(element) if dtype in NARROW else element


def pointer(dtype: str) -> str:
    """The function that makes a pointer to elements of an address."""
    return f"{NARROW[dtype][0] if dtype in NARROW else dtype}_at"


def _type(dtype: np.dtype[Any]) -> str:
    if dtype.name not in _TYPES:
        raise UntraceableRuleError(f"values of {dtype} cannot be compiled by the backend numba")
    return _TYPES[dtype.name]


_KERNEL = f"""\
def {{name}}(frame_, first, last):
    frame = int64_at(frame_)
    addresses = int64_at(frame[{ADDRESSES}])
    groups = int64_at(frame[{GROUPS}])
    scalars = float64_at(frame[{SCALARS}])
    numbers = float64_at(frame[{NUMBERS}])
    chunks = int64_at(frame[{CHUNKS}])
    results = float64_at(frame[{RESULTS}])
    for chunk in range(first, last):
        tensor = chunks[3 * chunk]
        begin = chunks[3 * chunk + 1]
        end = chunks[3 * chunk + 2]
        group = groups[tensor]
{{once}}
        for i in range(end - begin):
{{each}}
{{after}}
    return 0
"""

_JOINED = {
    "add": ("0.0", "{total} + np.float64({value})"),
    "maximum": ("-np.inf", "{value} if {value} > {total} or {value} != {value} else {total}"),
    "minimum": ("np.inf", "{value} if {value} < {total} or {value} != {value} else {total}"),
}
"""What a reduction begins with, and how it goes on."""


@attrs.frozen
class Stage:
    """Reductions that can be made in one read of the arrays.

    Attributes:
        reductions: in the order of their results.
        source: of a kernel that leaves, for each chunk, the results of its elements.
    """

    reductions: tuple[Reduction, ...]
    source: str


@attrs.frozen
class Sources:
    """The texts for a rule: what must be known of whole tensors first, and then the kernel that changes the arrays."""

    stages: tuple[Stage, ...]
    run: str


def numbers_width(rule: Rule) -> int:
    """The columns of ``numbers``: a number for each input, then one for each reduction, then the size of the tensor."""
    reductions = rule.reductions
    return len(rule.inputs) + (len(reductions) + 1 if reductions else 0)


def sources(rule: Rule) -> Sources:
    """Write the kernels of a rule.

    Raises:
        UntraceableRuleError: it computes something that the backend cannot do as NumPy does.
    """
    stages = tuple(Stage(tuple(each), _reduce_source(rule, each)) for each in rule.stages)
    return Sources(stages, _run_source(rule))


def _needed(values: Iterable[Value]) -> list[Value]:
    """The values and all that they are made of, operands first; a reduction is known when it is needed."""
    return in_order(values, known=Reduction)


def _run_source(rule: Rule) -> str:
    values = _needed(value for _, value in rule.stores)
    names = {value: f"v{number}" for number, value in enumerate(values)}
    stored = {position for position, _ in rule.stores}
    once, each = _computed(rule, values, names, stored)
    each += [f"a{position}[i] = {names[v]}" for position, v in rule.stores if not rule.inputs[position].single]
    last = [f"a{position}[0] = {names[value]}" for position, value in rule.stores if rule.inputs[position].single]
    after = ["if begin == 0:", *("    " + line for line in last)] if last else []
    return _KERNEL.format(
        name="run", once=_indented(once, 8), each=_indented(each or ["pass"], 12), after=_indented(after, 8)
    )


def _reduce_source(rule: Rule, reductions: Sequence[Reduction]) -> str:
    values = _needed(reduction.operand for reduction in reductions)
    names = {value: f"v{number}" for number, value in enumerate(values)}
    once, each = _computed(rule, values, names, set())
    for number, reduction in enumerate(reductions):
        begin, joined = _JOINED[reduction.function]
        once.append(f"r{number} = {begin}")
        each.append(f"r{number} = {joined.format(total=f'r{number}', value=names[reduction.operand])}")
    count = len(reductions)
    after = [f"results[{count} * chunk + {number}] = np.float64(r{number})" for number in range(count)]
    return _kernel("reduce", once, each, after)


def _computed(
    rule: Rule, values: Sequence[Value], names: dict[Value, str], stored: set[int]
) -> tuple[list[str], list[str]]:
    """What is computed once a chunk, the arrays' places first, and what for each element."""
    touched = {value.array for value in values if isinstance(value, Load)} | stored
    once = [
        f"a{position} = {pointer(each.dtype.name)}(addresses[{len(rule.inputs)} * tensor + {position}]"
        + ("" if each.single else f" + begin * {each.dtype.itemsize}")
        + ")"
        for position, each in enumerate(rule.inputs)
        if position in touched
    ]
    each_element: list[str] = []
    for value in values:
        (once if value.single else each_element).append(f"{names[value]} = {_expression(value, names, rule)}")
    return once, each_element


def _expression(value: Value, names: dict[Value, str], rule: Rule) -> str:
    if isinstance(value, Load) and not value.single:
        return f"a{value.array}[i]"
    if isinstance(value, Operation):
        return _text(value, [names[operand] for operand in value.operands])
    kind = _type(value.dtype)
    if isinstance(value, HostValue):
        return f"{kind}(scalars[{len(rule.scalars)} * group + {value.position}])"
    return f"{kind}(numbers[{numbers_width(rule)} * tensor + {_column(value, rule)}])"


def _column(value: Load | Reduction | Size, rule: Rule) -> int:
    if isinstance(value, Load):
        return value.array
    reductions = rule.reductions
    return len(rule.inputs) + (reductions.index(value) if isinstance(value, Reduction) else len(reductions))


def _kernel(name: str, once: Sequence[str], each: Sequence[str], after: Sequence[str]) -> str:
    return _KERNEL.format(name=name, once=_indented(once, 8), each=_indented(each, 12), after=_indented(after, 8))


def _indented(lines: Sequence[str], spaces: int) -> str:
    return "\n".join(" " * spaces + line for line in lines)
