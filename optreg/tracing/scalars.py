"""Scalars of a rule: expressions of hyperparameters and ``t``, evaluated once a step on the host."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from optreg.arrays import is_array, is_number_on_device
from optreg.errors import UntraceableRuleError

_ON_DEVICE = "is on a device, where a rule can calculate with numbers; to compare them or branch would wait for it"


class Journal:
    """What a trace has found out about scalars: the truths that its course depended on.

    Attributes:
        guards: pairs of a source text and the truth it had; the trace is right while they hold. A later one may be
            an error to evaluate where an earlier one does not hold.
        fleeting: the rule has taken a scalar for a plain number, with which nobody can follow what it does then, so
            the trace is right for this step alone.
    """

    def __init__(self) -> None:
        self.guards: dict[str, bool] = {}
        self.fleeting = False

    def decided(self, source: str, truth: bool) -> bool:
        """Note that the rule branched on ``source``."""
        self.guards[source] = truth
        return truth


def is_number(value: object) -> bool:
    """Whether a value is a real number or a truth value, Python's or NumPy's, or a number on a device."""
    return isinstance(value, (int, float, np.bool_, np.integer, np.floating)) or is_number_on_device(value)


def is_of_numpy(function: Any) -> bool:
    """Whether a function is the one that NumPy offers by its name."""
    return getattr(np, function.__name__, None) is function


def source_of(value: Any) -> str:
    """A Python expression for a scalar or for a plain number, of the same type."""
    if isinstance(value, Scalar):
        return value.source
    if isinstance(value, np.generic):
        return repr(value) if np.isfinite(value) else f"np.{value.dtype.name}({str(value)!r})"
    if isinstance(value, float):
        return repr(value) if np.isfinite(value) else f"float({str(value)!r})"
    return repr(value if isinstance(value, bool) else int(value))


def _value_of(value: Any) -> Any:
    return value.value if isinstance(value, Scalar) else value


def _are_scalars(values: Any) -> bool:
    return all(isinstance(each, Scalar) or is_number(each) for each in values)


def _binary(symbol: str, function: Callable[[Any, Any], Any], reflected: bool = False) -> Any:
    def method(self: Scalar, other: Any) -> Any:
        if not _are_scalars([other]):
            return NotImplemented
        left, right = (other, self) if reflected else (self, other)
        source = f"({source_of(left)} {symbol} {source_of(right)})"
        return Scalar(self.journal, source, function(_value_of(left), _value_of(right)))

    return method


class Scalar:
    """A number, or the truth of a comparison, that is evaluated on the host at each step.

    Attributes:
        journal: of the trace that it belongs to.
        source: a Python expression of ``self``, ``np`` and literals.
        value: what it is at the step that is traced; a Python number, or NumPy's where NumPy made it, because then
            it takes part in the promotion of dtypes; or a number on a device, which stands for a Python number.
    """

    __slots__ = ("journal", "source", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, journal: Journal, source: str, value: Any) -> None:
        if not is_number(value):
            why = _ON_DEVICE if is_array(value) else f"is {value!r}, which is no real number"
            raise UntraceableRuleError(f"{source} {why}")
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
    __and__, __rand__ = _binary("&", operator.and_), _binary("&", operator.and_, True)
    __or__, __ror__ = _binary("|", operator.or_), _binary("|", operator.or_, True)
    __lt__, __le__ = _binary("<", operator.lt), _binary("<=", operator.le)
    __gt__, __ge__ = _binary(">", operator.gt), _binary(">=", operator.ge)
    __eq__, __ne__ = _binary("==", operator.eq), _binary("!=", operator.ne)

    def __neg__(self) -> Scalar:
        return Scalar(self.journal, f"(-{self.source})", operator.neg(self.value))

    def __pos__(self) -> Scalar:
        return self

    def __abs__(self) -> Scalar:
        return Scalar(self.journal, f"abs({self.source})", abs(self.value))

    def __bool__(self) -> bool:
        if is_number_on_device(self.value):
            raise UntraceableRuleError(f"{self.source} {_ON_DEVICE}")
        return self.journal.decided(self.source, bool(self.value))

    def __index__(self) -> int:
        """As in ``range(self.steps)``; another number would make another rule, so this is a branch, too."""
        if not isinstance(self.value, (int, np.integer)):
            raise TypeError(f"{self.source} is {self.value!r}, which is no whole number")
        if re.search(r"\bself\.t\b", self.source):
            return int(self)
        self.journal.decided(f"({self.source} == {int(self.value)})", True)
        return int(self.value)

    def __float__(self) -> float:
        """As in ``math.sqrt(self.lr)``."""
        self.journal.fleeting = True
        return float(self.value)

    def __int__(self) -> int:
        self.journal.fleeting = True
        return int(self.value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs or not _are_scalars(inputs):
            return NotImplemented
        return self._called(ufunc, inputs, {})

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if not all(issubclass(each, Scalar) for each in types):
            return NotImplemented
        return self._called(function, args, kwargs)

    def _called(self, function: Any, args: Any, kwargs: Any) -> Scalar:
        name = function.__name__
        if not is_of_numpy(function) or not _are_scalars([*args, *kwargs.values()]):
            raise UntraceableRuleError(f"{name}() cannot be evaluated on {self.source}; only NumPy's functions can")
        result = function(*map(_value_of, args), **{key: _value_of(each) for key, each in kwargs.items()})
        sources = [*map(source_of, args), *(f"{key}={source_of(each)}" for key, each in kwargs.items())]
        value = result[()] if isinstance(result, np.ndarray) else result
        return Scalar(self.journal, f"np.{name}({', '.join(sources)})", value)
