"""Functions of compiled kernels for dtypes that are only stored: how a number is loaded, and how it is stored.

They round as NumPy does: to the nearest, ties to even, with subnormal numbers, and to infinity beyond the largest.
"""

from __future__ import annotations

import platform
from typing import Any


def functions() -> dict[str, Any]:
    """``float32_of_float16(word)`` and ``float16_of_float32(number)``, where words are uint16."""
    from numba import types

    narrow = _narrow if _processor_converts() else _narrow_by_integers
    return {
        "float32_of_float16": _function(types.uint16, types.float32, widening()),
        "float16_of_float32": _function(types.float32, types.uint16, narrow),
    }


def widening() -> Any:
    """The function ``widen(builder, words)`` that builds the float32 numbers of a word, or of a vector of words."""
    return _widen if _processor_converts() else _widen_by_integers


def _processor_converts() -> bool:
    """Whether the processor that is compiled for has instructions for it; LLVM would call a function that nobody has.

    They make a kernel that waits for memory out of one that waits for arithmetic.
    """
    from numba.core.registry import cpu_target

    features = getattr(cpu_target.target_context.codegen(), "_tm_features", "")
    return "+f16c" in features.split(",") or platform.machine().lower() in ("arm64", "aarch64")


def _function(argument: Any, result: Any, build: Any) -> Any:
    from numba.extending import intrinsic

    @intrinsic  # type: ignore[untyped-decorator] # its types are not looked at
    def convert(typingctx: Any, value: Any) -> Any:  # noqa: ARG001 (as Numba calls it)
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
            return build(builder, arguments[0])

        return result(argument), codegen

    return convert


def _alike(value: Any, element: Any) -> Any:
    """The type of as many elements as a value has."""
    from llvmlite import ir

    return ir.VectorType(element, value.type.count) if isinstance(value.type, ir.VectorType) else element


def _widen(builder: Any, word: Any) -> Any:
    from llvmlite import ir

    return builder.fpext(builder.bitcast(word, _alike(word, ir.HalfType())), _alike(word, ir.FloatType()))


def _narrow(builder: Any, number: Any) -> Any:
    from llvmlite import ir

    return builder.bitcast(builder.fptrunc(number, ir.HalfType()), ir.IntType(16))


def _widen_by_integers(builder: Any, word: Any) -> Any:
    """The bits, moved to their places, are a float32 whose exponent is 112 too small; in infinity it is all ones."""
    from llvmlite import ir

    integer, single = _alike(word, ir.IntType(32)), _alike(word, ir.FloatType())

    def constant(number: int) -> Any:
        return integer([number] * word.type.count if isinstance(word.type, ir.VectorType) else number)

    bits = builder.zext(word, integer)
    sign = builder.shl(builder.and_(bits, constant(0x8000)), constant(16))
    size = builder.shl(builder.and_(bits, constant(0x7FFF)), constant(13))
    to_its_place = builder.bitcast(constant((127 + 112) << 23), single)
    scaled = builder.bitcast(builder.fmul(builder.bitcast(size, single), to_its_place), integer)
    is_finite = builder.icmp_unsigned("<", size, constant(0x7C00 << 13))
    found = builder.select(is_finite, scaled, builder.or_(size, constant(0x7F800000)))
    return builder.bitcast(builder.or_(found, sign), single)


def _narrow_by_integers(builder: Any, number: Any) -> Any:
    """Half of the last place, less a bit for ties, is added to the bits; subnormal numbers are rounded by adding ½."""
    from llvmlite import ir

    integer, single = ir.IntType(32), ir.FloatType()
    bits = builder.bitcast(number, integer)
    size = builder.and_(bits, integer(0x7FFFFFFF))
    sign = builder.lshr(builder.xor(bits, size), integer(16))
    is_odd = builder.and_(builder.lshr(size, integer(13)), integer(1))
    # 0xC8000FFF: an exponent smaller by 112, and just less than half of the last place.
    rounded = builder.add(builder.add(size, integer(0xC8000FFF)), is_odd)
    normal = builder.lshr(rounded, integer(13))
    half = builder.bitcast(single(0.5), integer)
    subnormal = builder.sub(builder.bitcast(builder.fadd(builder.bitcast(size, single), single(0.5)), integer), half)
    found = builder.select(builder.icmp_unsigned("<", size, integer(0x38800000)), subnormal, normal)
    found = builder.select(builder.icmp_unsigned("<", size, integer(0x47800000)), found, integer(0x7C00))
    found = builder.select(builder.icmp_unsigned("<=", size, integer(0x7F800000)), found, integer(0x7E00))
    return builder.trunc(builder.or_(found, sign), ir.IntType(16))
