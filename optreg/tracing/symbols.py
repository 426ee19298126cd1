"""Symbols: they take part in a rule as arrays do, and note what is done to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from optreg.errors import UntraceableRuleError
from optreg.tracing.nodes import DType, HostValue, Reduction, Size, Value, cast, operation
from optreg.tracing.scalars import Journal, Scalar, is_number, is_of_numpy, source_of

UFUNCS = {
    "add", "subtract", "multiply", "divide", "power", "remainder", "negative", "positive",
    "less", "less_equal", "greater", "greater_equal", "equal", "not_equal",
    "logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor", "invert",
    "sqrt", "absolute", "fabs", "sign", "minimum", "maximum", "fmin", "fmax", "exp", "log", "log1p", "expm1",
    "square", "reciprocal", "tanh", "floor", "ceil", "isfinite", "isnan", "copysign",
}  # fmt: skip
"""The functions of NumPy that every backend can do."""

_POWERS = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal", 1.0: "positive"}
"""The exponents for which NumPy's power does something simpler, and so with other bits."""

_ON_TRUTH_VALUES = {
    "bitwise_and": "logical_and", "bitwise_or": "logical_or", "bitwise_xor": "not_equal", "invert": "logical_not",
    "logical_and": "logical_and", "logical_or": "logical_or", "logical_xor": "not_equal", "logical_not": "logical_not",
    "add": "logical_or", "maximum": "logical_or", "fmax": "logical_or",
    "multiply": "logical_and", "minimum": "logical_and", "fmin": "logical_and",
    "equal": "equal", "not_equal": "not_equal",
}  # fmt: skip
"""What functions are where all operands are True or False."""

_WHOLE = "needs the tensor as a whole, but an elementwise rule sees one element; say elementwise = False in the class"


class Recording:
    """What is noted while a rule runs on symbols: its scalars, and through the journal its branches.

    ``functions``: what functions of NumPy that are no ufuncs do on symbols; each takes a symbol before its arguments.
    """

    def __init__(self, functions: Mapping[Any, Callable[..., Any]]) -> None:
        self.functions = functions
        self.journal = Journal()
        self.scalars: dict[str, int] = {}

    def host_value(self, scalar: Any, dtype: DType) -> HostValue:
        """A scalar or literal as a value of an array's dtype."""
        return HostValue(self.scalars.setdefault(source_of(scalar), len(self.scalars)), dtype)


def _promoted(operand: Any) -> Any:
    """What NumPy's promotion is to see: a dtype, or the type of a Python number, which adapts to arrays."""
    if isinstance(operand, Symbol):
        return operand.dtype
    value = operand.value if isinstance(operand, Scalar) else operand
    if not is_number(value):
        raise UntraceableRuleError(
            f"the rule uses a value of the type {type(value).__name__}; "
            f"a compiled rule is made of its arguments, numbers, and NumPy's functions"
        )
    if isinstance(value, np.generic):
        return value.dtype
    return np.dtype(bool) if isinstance(value, bool) else int if isinstance(value, int) else float


class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of a rule, or an intermediate one.

    ``value`` is what its elements are at this point of the rule; operations in place change it. ``single``: it has no
    axes, but is one number for the whole tensor. ``fixed``: it is what NumPy makes of such arrays, a number that cannot
    be changed, so that ``+=`` makes a new one.
    """

    def __init__(self, recording: Recording, value: Value, single: bool, fixed: bool = False) -> None:
        self._recording = recording
        self.value = value
        self.single = single
        self._fixed = fixed

    @property
    def dtype(self) -> DType:
        """As of an array."""
        return self.value.dtype

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", (None,))[0]
        name = ufunc.__name__
        if method == "reduce" and ufunc in (np.add, np.maximum, np.minimum):
            functions = {np.add: np.sum, np.maximum: np.max, np.minimum: np.min}
            if kwargs.get("axis", 0) is not None:  # 0 is what it is where nobody says
                raise UntraceableRuleError(
                    f"np.{name}.reduce goes along one axis; of all elements, use np.{functions[ufunc].__name__}, "
                    f"or say elementwise = False in the class"
                )
            return self._recording.functions[functions[ufunc]](self, *inputs, **kwargs)
        if method != "__call__" or ufunc.signature is not None:
            raise UntraceableRuleError(f"np.{name}{'' if method == '__call__' else '.' + method} {_WHOLE}")
        if name not in UFUNCS or not is_of_numpy(ufunc) or kwargs:
            given = f" with {', '.join(kwargs)}" if kwargs else ""
            known = ", ".join(sorted(UFUNCS))
            raise UntraceableRuleError(f"{name}(){given} is not among the functions that can be compiled: {known}")
        if out is None or (isinstance(out, Symbol) and out._fixed):
            return self.applied(ufunc, inputs)
        if not isinstance(out, Symbol):
            raise UntraceableRuleError(
                f"the rule puts a result into a {type(out).__name__} that is none of its arguments"
            )
        out.assign(self.applied(ufunc, inputs, out.dtype))
        return out

    def applied(self, ufunc: np.ufunc, inputs: tuple[Any, ...], wanted: DType | None = None) -> Symbol:
        """The result of a ufunc, in the dtypes that NumPy would choose."""
        try:
            dtypes = ufunc.resolve_dtypes((*map(_promoted, inputs), wanted), casting="same_kind")
        except TypeError as error:
            raise UntraceableRuleError(f"np.{ufunc.__name__} does not take these dtypes: {error}") from error
        name, dtype = ufunc.__name__, dtypes[-1]
        single = all(each.single for each in inputs if isinstance(each, Symbol))
        if ufunc is np.power and dtype.kind == "f" and self._is_array_to_a_number(inputs):
            if inputs[1] == 0:
                return Symbol(self._recording, self._recording.host_value(1.0, dtype), single, fixed=single)
            name = next((simpler for power, simpler in _POWERS.items() if inputs[1] == power), name)
            inputs = inputs if name == "power" else inputs[:1]
        operands = [self.converted(each, to) for each, to in zip(inputs, dtypes, strict=False)]
        if name.startswith("logical_"):
            operands = [cast(each, np.dtype(bool)) for each in operands]
        if {dtype.kind, *(each.dtype.kind for each in operands)} == {"b"}:
            if name in ("absolute", "floor", "ceil"):
                return Symbol(self._recording, operands[0], single, fixed=single)
            name = _ON_TRUTH_VALUES.get(name, name)
        elif name.startswith("bitwise_") or name == "invert":
            raise UntraceableRuleError(f"np.{name} is compiled for True and False only")
        return Symbol(self._recording, operation(name, operands, dtype), single, fixed=single)

    @staticmethod
    def _is_array_to_a_number(inputs: Sequence[Any]) -> bool:
        return isinstance(inputs[0], Symbol) and not inputs[0]._fixed and not isinstance(inputs[1], Symbol)

    def reduced(self, function: str, operand: Symbol) -> Symbol:
        """One number of all elements of an array, as NumPy gives it: no array any more."""
        if operand.dtype.kind != "f":
            raise UntraceableRuleError(
                f"np.{function}.reduce of {operand.dtype} cannot be compiled; use astype(param.dtype) first"
            )
        if operand.single:  # an array without axes is its own sum
            return Symbol(self._recording, operand.value, True, fixed=True)
        return Symbol(self._recording, Reduction(function, operand.value, operand.dtype), True, fixed=True)

    def size_of_tensor(self) -> Symbol:
        """The number of elements that a reduction of it goes over."""
        elements = self._recording.host_value(1, self.dtype) if self.single else Size(self.dtype)
        return Symbol(self._recording, elements, True, fixed=True)

    def converted(self, operand: Any, dtype: DType) -> Value:
        """An operand as a value of a dtype."""
        if isinstance(operand, Symbol):
            return cast(operand.value, dtype)
        _promoted(operand)
        return self._recording.host_value(operand, dtype)

    def assign(self, new: Symbol, casting: Any = "same_kind") -> None:
        """Change the elements, converted to the dtype that the array keeps."""
        if self.single and not new.single:
            raise UntraceableRuleError("a slot that is one number cannot take an array; give it a shape in init_state")
        if not np.can_cast(new.dtype, self.dtype, casting):
            raise UntraceableRuleError(f"an array of {self.dtype} cannot be changed in place to {new.dtype}")
        self.value = cast(new.value, self.dtype)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        functions = self._recording.functions
        if function not in functions:
            place = function.__module__.replace("numpy", "np")
            raise UntraceableRuleError(f"{place}.{function.__name__} {_WHOLE}, or use np.where")
        return functions[function](self, *args, **kwargs)

    def __getitem__(self, key: Any) -> Symbol:
        _check_key(key)
        return Symbol(self._recording, self.value, self.single) if self._fixed else self

    def __setitem__(self, key: Any, new: Any) -> None:
        _check_key(key)
        if self._fixed:
            raise UntraceableRuleError("a number that was computed cannot be changed; only slots can")
        if not isinstance(new, Symbol):
            new = Symbol(self._recording, self.converted(new, self.dtype), single=True)
        self.assign(new, "unsafe")

    def __bool__(self) -> bool:
        raise UntraceableRuleError(
            "an array has no truth value, so a rule cannot branch on it; use np.where(condition, this, otherwise)"
        )

    def __float__(self) -> float:
        raise UntraceableRuleError(
            "float(), int() and the math module need a Python number, and an array is none; use NumPy's functions"
        )

    __int__ = __index__ = __complex__ = __float__

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise UntraceableRuleError("np.array and np.asarray need elements, which a rule has none of while it is traced")

    def __iter__(self) -> Any:
        raise UntraceableRuleError("a rule cannot go through the elements of an array; write it for all at once")

    def __len__(self) -> int:
        raise UntraceableRuleError(f"len() {_WHOLE}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UntraceableRuleError(f".{name} {_WHOLE}")

    def astype(self, dtype: Any, copy: bool = True) -> Symbol:
        """As of an array."""
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        return Symbol(self._recording, cast(self.value, np.dtype(dtype)), self.single, self._fixed)

    def copy(self) -> Symbol:
        """As of an array."""
        return Symbol(self._recording, self.value, self.single, self._fixed)

    def sum(self, *args: Any, **options: Any) -> Any:
        """As of an array."""
        return np.sum(self, *args, **options)

    def mean(self, *args: Any, **options: Any) -> Any:
        """As of an array."""
        return np.mean(self, *args, **options)

    def max(self, *args: Any, **options: Any) -> Any:
        """As of an array."""
        return np.max(self, *args, **options)

    def min(self, *args: Any, **options: Any) -> Any:
        """As of an array."""
        return np.min(self, *args, **options)

    def fill(self, value: Any) -> None:
        """As of an array."""
        self[...] = value

    def clip(self, *args: Any, **kwargs: Any) -> Symbol:
        """As of an array."""
        clipped: Symbol = np.clip(self, *args, **kwargs)
        return clipped


def _check_key(key: Any) -> None:
    if key is not Ellipsis and not (isinstance(key, slice) and key == slice(None)):
        raise UntraceableRuleError(
            "an index singles out elements, but an elementwise rule treats all alike: only [...] and [:] are possible; "
            "use np.where, or say elementwise = False in the class"
        )


def result_type(*operands: Any) -> DType:
    """As NumPy's, which does not take classes for Python numbers."""
    return np.result_type(*(each(0) if isinstance(each, type) else each for each in map(_promoted, operands)))


def where(symbol: Symbol, condition: Any, chosen: Any, otherwise: Any) -> Symbol:
    """``np.where`` of three operands, of which one is a symbol."""
    dtype = result_type(chosen, otherwise)
    operands = [symbol.converted(condition, np.dtype(bool)), *(symbol.converted(e, dtype) for e in (chosen, otherwise))]
    single = all(each.single for each in (condition, chosen, otherwise) if isinstance(each, Symbol))
    return Symbol(symbol._recording, operation("where", operands, dtype), single)
