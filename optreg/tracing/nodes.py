"""What a traced rule is made of: values, each computed once from others, and the arrays they are stored to."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, TypeAlias

import attrs
import numpy as np

DType: TypeAlias = "np.dtype[Any]"


@attrs.frozen(eq=False)
class Load:
    """The element of an input array as it was before the rule.

    ``array`` is its position among the inputs; ``single`` says that it has one number for the whole tensor.
    """

    array: int
    dtype: DType
    single: bool


@attrs.frozen(eq=False)
class HostValue:
    """A scalar of the host, rounded to ``dtype``; ``position`` is that among the scalars of the rule."""

    position: int
    dtype: DType
    single: bool = True


@attrs.frozen(eq=False)
class Operation:
    """An elementwise NumPy function of values, each of which is converted to the dtype it is given with.

    Attributes:
        function: the name of a ufunc, or "where", or "cast".
        operands: values, already of the dtypes that the function's loop takes.
        dtype: of the result.
        single: it is the same for every element of the tensor.
    """

    function: str
    operands: tuple[Any, ...]
    dtype: DType
    single: bool


@attrs.frozen(eq=False)
class Reduction:
    """One number made of a value of every element of the tensor: their sum, or the largest or smallest.

    Attributes:
        function: the name of the ufunc that joins two elements: "add", "maximum" or "minimum".
        operand: the value, of the dtype of the result.
        dtype: of the result; sums are made in float64 and rounded.
    """

    function: str
    operand: Any
    dtype: DType
    single: bool = True

    @property
    def operands(self) -> tuple[Any, ...]:
        """What it is made of."""
        return (self.operand,)


@attrs.frozen(eq=False)
class Size:
    """The number of elements of the tensor, rounded to ``dtype``."""

    dtype: DType
    single: bool = True


Value: TypeAlias = Load | HostValue | Operation | Reduction | Size


def operation(function: str, operands: Iterable[Value], dtype: DType) -> Operation:
    """An operation, which is single if its operands are."""
    operands = tuple(operands)
    return Operation(function, operands, dtype, all(operand.single for operand in operands))


def cast(value: Value, dtype: DType) -> Value:
    """The value, converted to another dtype where it has not got it."""
    return value if value.dtype == dtype else operation("cast", [value], dtype)


def operands_of(value: Value) -> tuple[Value, ...]:
    """What a value is made of."""
    return value.operands if isinstance(value, (Operation, Reduction)) else ()


def in_order(values: Iterable[Value], known: type | tuple[type, ...] = ()) -> list[Value]:
    """The values and all that they are made of, each once, operands first; not what those ``known`` are made of."""
    found: dict[Value, None] = {}
    waiting = list(values)[::-1]
    while waiting:
        value = waiting[-1]
        operands = () if isinstance(value, known) else operands_of(value)
        missing = [each for each in operands if each not in found]
        if missing and value not in found:
            waiting.extend(reversed(missing))
        else:
            found[waiting.pop()] = None
    return list(found)


@attrs.frozen
class Input:
    """An array of a rule: ``param``, ``grad``, or a slot, by its name.

    ``single``: it is one number for the whole tensor.
    """

    name: str
    dtype: DType
    single: bool = False


@attrs.frozen
class Rule:
    """What a rule does, element by element.

    Attributes:
        inputs: the arrays, ``param`` and ``grad`` first.
        scalars: Python expressions of ``self`` and ``np``, evaluated once a step on the host.
        guards: such expressions with the truth that they must have for this trace to be right. They are to be asked in
            order, and none after one that has another truth: it may be an error then.
        stores: the inputs that change, by position, with their new values in the inputs' dtypes.
    """

    inputs: tuple[Input, ...]
    scalars: tuple[str, ...]
    guards: tuple[tuple[str, bool], ...]
    stores: tuple[tuple[int, Value], ...]

    @cached_property
    def reductions(self) -> tuple[Reduction, ...]:
        """What must be known of whole tensors, each after those that it is made of."""
        return tuple(value for value in in_order(value for _, value in self.stores) if isinstance(value, Reduction))

    @property
    def stages(self) -> list[list[Reduction]]:
        """The reductions, those first that need no other, then those that need only these, and so on."""
        stages: list[list[Reduction]] = []
        known_after: dict[Value, int] = {}
        for value in in_order(value for _, value in self.stores):
            before = max((known_after[each] for each in operands_of(value)), default=0)
            known_after[value] = before + isinstance(value, Reduction)
            if isinstance(value, Reduction):
                if before == len(stages):
                    stages.append([])
                stages[before].append(value)
        return stages

    @property
    def changed(self) -> frozenset[str]:
        """The names of the inputs that change."""
        return frozenset(self.inputs[position].name for position, _ in self.stores)
