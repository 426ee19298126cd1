"""Scalars of a rule: expressions of hyperparameters and ``t``, evaluated once a step on the host."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from optreg.errors import UntraceableRuleError

Number = int | float | np.generic


class Journal:
    """What a trace has found out about scalars: the truths that its course depended on.

    Attributes:
        guards: pairs of a source text and the truth it had; the trace is right while they hold.
    """

    def __init__(self) -> None:
        self.guards: dict[str, bool] = {}

    def decided(self, source: str, truth: bool) -> bool:
        """Note that the rule branched on ``source``."""
        self.guards[source] = truth
        return truth


class Truth:
    """A comparison of scalars; asking for its truth is a branch, which is noted."""

    def __init__(self, journal: Journal, source: str, value: bool) -> None:
        self._journal = journal
        self._source = source
        self._value = value

    def __bool__(self) -> bool:
        return self._journal.decided(self._source, self._value)


def _source_of(value: Any) -> str:
    if isinstance(value, Scalar):
        return value.source
    return repr(value) if np.isfinite(value) else f"float({str(value)!r})"


def _value_of(value: Any) -> Any:
    return value.value if isinstance(value, Scalar) else value


def _binary(symbol: str, function: Callable[[Any, Any], Any], reflected: bool = False) -> Any:
    def method(self: Scalar, other: Any) -> Any:
        if not isinstance(other, (int, float, Scalar)):
            return NotImplemented
        left, right = (other, self) if reflected else (self, other)
        source = f"({_source_of(left)} {symbol} {_source_of(right)})"
        return Scalar(self.journal, source, function(_value_of(left), _value_of(right)))

    return method


def _comparison(symbol: str, function: Callable[[Any, Any], Any]) -> Any:
    def method(self: Scalar, other: Any) -> Any:
        if not isinstance(other, (int, float, Scalar)):
            return NotImplemented
        source = f"({_source_of(self)} {symbol} {_source_of(other)})"
        return Truth(self.journal, source, bool(function(self.value, _value_of(other))))

    return method


class Scalar:
    """A number that is evaluated on the host at each step.

    Attributes:
        journal: of the trace that it belongs to.
        source: a Python expression of ``self``, ``np`` and literals.
        value: what it is at the step that is traced; a Python number, or NumPy's where NumPy made it, because then
            it takes part in the promotion of dtypes.
    """

    __slots__ = ("journal", "source", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, journal: Journal, source: str, value: Number) -> None:
        self.journal = journal
        self.source = source
        self.value = value

    __add__, __radd__ = _binary("+", operator.add), _binary("+", operator.add, True)
    __sub__, __rsub__ = _binary("-", operator.sub), _binary("-", operator.sub, True)
    __mul__, __rmul__ = _binary("*", operator.mul), _binary("*", operator.mul, True)
    __truediv__, __rtruediv__ = _binary("/", operator.truediv), _binary("/", operator.truediv, True)
    __floordiv__, __rfloordiv__ = _binary("//", operator.floordiv), _binary("//", operator.floordiv, True)
    __mod__, __rmod__ = _binary("%", operator.mod), _binary("%", operator.mod, True)
    __pow__, __rpow__ = _binary("**", operator.pow), _binary("**", operator.pow, True)
    __lt__, __le__ = _comparison("<", operator.lt), _comparison("<=", operator.le)
    __gt__, __ge__ = _comparison(">", operator.gt), _comparison(">=", operator.ge)
    __eq__, __ne__ = _comparison("==", operator.eq), _comparison("!=", operator.ne)

    def __neg__(self) -> Scalar:
        return Scalar(self.journal, f"(-{self.source})", -self.value)

    def __pos__(self) -> Scalar:
        return self

    def __abs__(self) -> Scalar:
        return Scalar(self.journal, f"abs({self.source})", abs(self.value))

    def __bool__(self) -> bool:
        return self.journal.decided(f"bool({self.source})", bool(self.value))

    def __float__(self) -> float:
        raise UntraceableRuleError(
            f"a function of the math module, or float() or int(), cannot be traced on {self.source}; "
            f"write it with operators (x ** 0.5 for the root) or NumPy functions"
        )

    __int__ = __index__ = __float__  # type: ignore[assignment]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs or not all(isinstance(each, (int, float, Scalar)) for each in inputs):
            return NotImplemented
        source = f"np.{ufunc.__name__}({', '.join(map(_source_of, inputs))})"
        return Scalar(self.journal, source, ufunc(*map(_value_of, inputs)))
