"""NumPy's functions of arrays that are no ufuncs, on symbols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from optreg.errors import UntraceableRuleError
from optreg.tracing.symbols import Symbol, result_type, where


def _clip(symbol: Symbol, a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **bounds: Any) -> Any:
    low, high = bounds.pop("min", a_min), bounds.pop("max", a_max)
    if bounds:
        raise TypeError(f"np.clip with {', '.join(bounds)} cannot be compiled")
    if low is None or high is None:
        ufunc, bound = (np.maximum, low) if high is None else (np.minimum, high)
        clipped = symbol.applied(np.positive, (a,)) if bound is None else symbol.applied(ufunc, (a, bound))
    elif all(not isinstance(bound, Symbol) or bound.single for bound in (low, high)):
        # NumPy keeps an element that equals a number: -0.0 stays as it is between 0 and 1.
        a, low, high = _promoted_together(symbol, a, low, high)
        above = where(symbol, (a >= low) | np.isnan(a), a, low)
        clipped = where(symbol, (above <= high) | np.isnan(above), above, high)
    else:
        a, low, high = _promoted_together(symbol, a, low, high)
        clipped = symbol.applied(np.minimum, (symbol.applied(np.maximum, (a, low)), high))
    if out is None:
        return Symbol(symbol._recording, clipped.value, clipped.single, fixed=clipped.single)  # as ufuncs do
    out.assign(clipped)
    return out


def _promoted_together(symbol: Symbol, *operands: Any) -> list[Any]:
    dtype = result_type(*operands)
    return [
        Symbol(symbol._recording, symbol.converted(each, dtype), not isinstance(each, Symbol) or each.single)
        for each in operands
    ]


def _where(symbol: Symbol, condition: Any, chosen: Any, otherwise: Any) -> Symbol:
    return where(symbol, condition, chosen, otherwise)


def _full_like(symbol: Symbol, a: Symbol, fill_value: Any, dtype: Any = None) -> Symbol:
    new = Symbol(symbol._recording, symbol.converted(0.0, np.dtype(dtype or a.dtype)), a.single)
    new[...] = fill_value
    return new


def _zeros_like(symbol: Symbol, a: Symbol, dtype: Any = None) -> Symbol:
    return _full_like(symbol, a, 0.0, dtype)


def _ones_like(symbol: Symbol, a: Symbol, dtype: Any = None) -> Symbol:
    return _full_like(symbol, a, 1.0, dtype)


def _copyto(symbol: Symbol, dst: Symbol, src: Any) -> None:  # noqa: ARG001 (the signature of all of these)
    dst[...] = src


def _copy(symbol: Symbol, a: Symbol) -> Symbol:  # noqa: ARG001
    return a.copy()


def _reduced(symbol: Symbol, ufunc: np.ufunc, a: Any, axis: Any = None, **options: Any) -> Symbol:
    if axis is not None or options:
        given = ", ".join([*(["axis"] if axis is not None else []), *options])
        raise UntraceableRuleError(
            f"np.{ufunc.__name__}.reduce with {given} cannot be compiled, only over all elements of a tensor; "
            f"leave {given} out, or say elementwise = False in the class"
        )
    if not isinstance(a, Symbol):
        raise UntraceableRuleError(f"np.{ufunc.__name__}.reduce is compiled for arrays, and {a!r} is none")
    return symbol.reduced(ufunc.__name__, a)


def _sum(symbol: Symbol, a: Any, axis: Any = None, **options: Any) -> Symbol:
    return _reduced(symbol, np.add, a, axis, **options)


def _max(symbol: Symbol, a: Any, axis: Any = None, **options: Any) -> Symbol:
    return _reduced(symbol, np.maximum, a, axis, **options)


def _min(symbol: Symbol, a: Any, axis: Any = None, **options: Any) -> Symbol:
    return _reduced(symbol, np.minimum, a, axis, **options)


def _mean(symbol: Symbol, a: Any, axis: Any = None, **options: Any) -> Symbol:
    return symbol.applied(np.divide, (_sum(symbol, a, axis, **options), a.size_of_tensor()))


def _norm(symbol: Symbol, x: Any, ord: Any = None, axis: Any = None, **options: Any) -> Symbol:
    if ord is not None:  # 2 as well: that of a matrix is its largest singular value
        raise UntraceableRuleError(
            f"np.linalg.norm with ord={ord!r} cannot be compiled, only the norm of all elements of a tensor; "
            f"leave ord out, or say elementwise = False in the class"
        )
    squares = symbol.applied(np.square, (x,))
    return symbol.applied(np.sqrt, (_sum(symbol, squares, axis, **options),))


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.clip: _clip,
    np.where: _where,
    np.zeros_like: _zeros_like,
    np.empty_like: _zeros_like,
    np.ones_like: _ones_like,
    np.full_like: _full_like,
    np.copyto: _copyto,
    np.copy: _copy,
    np.sum: _sum,
    np.mean: _mean,
    np.max: _max,
    np.amax: _max,
    np.min: _min,
    np.amin: _min,
    np.linalg.norm: _norm,
}
