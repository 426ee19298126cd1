"""Symbols: they take part in a rule as arrays do, and note what is done to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optreg.errors import UntraceableRuleError
from optreg.tracing.nodes import DType, HostValue, Operation, Value, cast
from optreg.tracing.scalars import Journal, Scalar, Truth

UFUNCS = {
    "add", "subtract", "multiply", "divide", "power", "remainder", "negative", "positive",
    "less", "less_equal", "greater", "greater_equal", "equal", "not_equal",
    "logical_and", "logical_or", "logical_not", "bitwise_and", "bitwise_or", "invert",
    "sqrt", "absolute", "fabs", "sign", "minimum", "maximum", "fmin", "fmax", "clip", "exp", "log", "log1p", "expm1",
    "square", "reciprocal", "tanh", "floor", "ceil", "isfinite", "isnan", "copysign",
}  # fmt: skip
"""The functions of NumPy that every backend can do."""

_POWERS = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal", 1.0: "positive"}
"""The exponents for which NumPy's ``**`` does something simpler, and so with other bits."""


class Recording:
    """What is noted while a rule runs on symbols: its scalars, and through the journal its branches."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.scalars: dict[str, int] = {}

    def host_value(self, scalar: Any, dtype: DType) -> HostValue:
        """A scalar or literal as a value of an array's dtype."""
        source = scalar.source if isinstance(scalar, Scalar) else repr(scalar)
        return HostValue(self.scalars.setdefault(source, len(self.scalars)), dtype)


def _promoted(operand: Any) -> Any:
    """What NumPy's promotion is to see: a dtype, or the type of a Python number, which adapts to arrays."""
    if isinstance(operand, Symbol):
        return operand.dtype
    value = operand.value if isinstance(operand, Scalar) else operand
    if isinstance(value, np.generic):
        return value.dtype
    return np.dtype(bool) if isinstance(value, (bool, Truth)) else type(value)


class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of a rule, or an intermediate one.

    ``value`` is what its elements are at this point of the rule; operations in place change it.
    """

    def __init__(self, recording: Recording, value: Value) -> None:
        self._recording = recording
        self.value = value

    @property
    def dtype(self) -> DType:
        """As of an array."""
        return self.value.dtype

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", (None,))[0]
        if method != "__call__" or ufunc.signature is not None or ufunc.nout != 1:
            raise UntraceableRuleError(f"np.{ufunc.__name__}.{method} needs the tensor as a whole")
        if ufunc.__name__ not in UFUNCS or kwargs:
            given = f" with {', '.join(kwargs)}" if kwargs else ""
            raise UntraceableRuleError(f"np.{ufunc.__name__}{given} is not among the functions that can be compiled")
        if ufunc is np.power and isinstance(inputs[0], Symbol) and _POWERS.get(_literal(inputs[1])):
            return self._operation(getattr(np, _POWERS[_literal(inputs[1])]), inputs[:1], out)
        return self._operation(ufunc, inputs, out)

    def _operation(self, ufunc: np.ufunc, inputs: tuple[Any, ...], out: Symbol | None) -> Symbol:
        wanted = None if out is None else out.dtype
        try:
            dtypes = ufunc.resolve_dtypes((*map(_promoted, inputs), wanted), casting="same_kind")
        except TypeError as error:
            raise UntraceableRuleError(f"np.{ufunc.__name__} does not take these dtypes: {error}") from error
        operands = tuple(self._as(each, dtype) for each, dtype in zip(inputs, dtypes[:-1], strict=True))
        result = Operation(ufunc.__name__, operands, dtypes[-1], all(operand.single for operand in operands))
        if out is None:
            return Symbol(self._recording, result)
        out.assign(result)
        return out

    def _as(self, operand: Any, dtype: DType) -> Value:
        if isinstance(operand, Symbol):
            return cast(operand.value, dtype)
        if isinstance(operand, Truth):
            operand = bool(operand)
        return self._recording.host_value(operand, dtype)

    def assign(self, value: Value) -> None:
        """Change the elements, converted to the dtype that the array keeps."""
        if self.value.single and not value.single:
            raise UntraceableRuleError("a slot that is one number cannot take an array; give it a shape in init_state")
        if not np.can_cast(value.dtype, self.dtype, "same_kind"):
            raise UntraceableRuleError(f"an array of {self.dtype} cannot be changed in place to {value.dtype}")
        self.value = cast(value, self.dtype)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if function not in _FUNCTIONS:
            raise UntraceableRuleError(f"np.{function.__name__} needs the tensor as a whole, or cannot be compiled")
        return _FUNCTIONS[function](self, *args, **kwargs)

    def __getitem__(self, key: Any) -> Symbol:
        _check_key(key)
        return self

    def __setitem__(self, key: Any, new: Any) -> None:
        _check_key(key)
        if isinstance(new, Symbol):
            self.assign(new.value)
        else:
            self.assign(self._as(new, self.dtype))

    def __bool__(self) -> bool:
        raise UntraceableRuleError("an array has no truth value, so a rule cannot branch on it; use np.where")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        # Otherwise NumPy would take a symbol for one object, whose sum is itself.
        raise UntraceableRuleError("np.asarray() asks for the tensor as a whole")

    def __float__(self) -> float:
        raise UntraceableRuleError("an array cannot become a Python number; use NumPy's functions")

    def __iter__(self) -> Any:
        raise UntraceableRuleError("a rule cannot go through the elements of an array; write it for all at once")

    def __len__(self) -> int:
        raise UntraceableRuleError("a rule that treats elements alike does not know how many there are")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UntraceableRuleError(f".{name} of an array is not elementwise, or cannot be compiled")

    def astype(self, dtype: Any) -> Symbol:
        """As of an array."""
        return Symbol(self._recording, cast(self.value, np.dtype(dtype)))

    def copy(self) -> Symbol:
        """As of an array."""
        return Symbol(self._recording, self.value)

    def clip(self, *args: Any, **kwargs: Any) -> Symbol:
        """As of an array."""
        return _clip(self, self, *args, **kwargs)


def _literal(operand: Any) -> float | None:
    """The value of an exponent that is written as a literal or held by a hyperparameter."""
    return float(operand) if isinstance(operand, (int, float)) else None


def _check_key(key: Any) -> None:
    if key is not Ellipsis and not (isinstance(key, slice) and key == slice(None)):
        raise UntraceableRuleError(f"the index {key!r} is not elementwise: only [...] and [:] are; use np.where")


def _clip(symbol: Symbol, array: Any, a_min: Any = None, a_max: Any = None, out: Any = None) -> Symbol:
    for bound, ufunc in ((a_min, np.maximum), (a_max, np.minimum)):
        if bound is not None:
            array = symbol._operation(ufunc, (array, bound), None)
    if out is None:
        return array  # type: ignore[no-any-return]
    out.assign(array.value)
    return out  # type: ignore[no-any-return]


def _where(symbol: Symbol, condition: Any, chosen: Any, otherwise: Any) -> Symbol:
    dtype = np.result_type(*(_example(each) for each in (chosen, otherwise)))
    operands = (
        symbol._as(condition, np.dtype(bool)),
        symbol._as(chosen, dtype),
        symbol._as(otherwise, dtype),
    )
    return Symbol(symbol._recording, Operation("where", operands, dtype, all(each.single for each in operands)))


def _example(operand: Any) -> Any:
    promoted = _promoted(operand)
    return promoted(0) if isinstance(promoted, type) else promoted


def _filled(fill: float) -> Callable[..., Symbol]:
    def like(symbol: Symbol, array: Symbol) -> Symbol:
        return Symbol(symbol._recording, symbol._recording.host_value(fill, array.dtype))

    return like


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.clip: _clip,
    np.where: _where,
    np.zeros_like: _filled(0.0),
    np.ones_like: _filled(1.0),
    np.copyto: lambda symbol, target, source: target.__setitem__(Ellipsis, source),
    np.copy: lambda symbol, array: array.copy(),
}
