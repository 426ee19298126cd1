"""Compile texts of kernels to machine code with Numba: ``python -m optreg.backends.kernel_compiler`` is asked by lines.

This runs in a process of its own. The process that trains never imports Numba, so it neither waits for the compiler,
nor shares the interpreter's lock with it, nor has to stop it at its exit; it loads the finished object.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from optreg.backends import conversions

IDLE = 10.0
"""Seconds without a request after which the compiler ends, so that it does not take memory for nothing."""


def compile_kernel(source: str) -> tuple[str, bytes]:
    """Compile a kernel for this machine's processor.

    Returns:
        The name of its function in the object, and the object file.
    """
    import llvmlite.binding
    from numba import njit, types

    # Without this, LLVM gives up vectorizing loops over more than a few arrays that might overlap.
    llvmlite.binding.set_option("", "--runtime-memory-check-threshold=4096")
    llvmlite.binding.set_option("", "--memory-check-merge-threshold=4096")
    namespace: dict[str, Any] = {"np": np, **_pointers(), **conversions.functions(), **_lanes()}
    exec(source, namespace)  # (text that optreg wrote, in a directory that only its user can write)
    name = source.removeprefix("def ").partition("(")[0]
    function = namespace[name]
    arguments = function.__code__.co_argcount
    signature = types.int64(*[types.int64] * arguments)
    compiled = njit(
        signature,
        error_model="numpy",
        boundscheck=False,
        # A sum over a tensor may be added up in any order, or its loop would go element by element.
        fastmath={"reassoc"} if name == "reduce" else False,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
    )(function)
    result = compiled.overloads[compiled.signatures[0]]
    return result.fndesc.llvm_func_name, result.library._get_compiled_object()


def _pointers() -> dict[str, Any]:
    """Functions ``float32_at(address)`` that turn an integer into a pointer to elements of a dtype."""
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    def pointer_to(element: Any, llvm: Any) -> Any:
        @intrinsic  # type: ignore[untyped-decorator] # its types are not looked at
        def at(typingctx: Any, address: Any) -> Any:  # noqa: ARG001 (as Numba calls it)
            def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
                return builder.inttoptr(arguments[0], llvm.as_pointer())

            return types.CPointer(element)(types.int64), codegen

        return at

    return {
        "float32_at": pointer_to(types.float32, ir.FloatType()),
        "float64_at": pointer_to(types.float64, ir.DoubleType()),
        "int64_at": pointer_to(types.int64, ir.IntType(64)),
        "int32_at": pointer_to(types.int32, ir.IntType(32)),
        "uint16_at": pointer_to(types.uint16, ir.IntType(16)),
    }


def _lanes() -> dict[str, Any]:
    """Functions ``add_squares_of_float32(address, rows, lanes, sums)`` for sums that stand side by side.

    They add the squares of the elements at an address, row by row of so many lanes, to the float64 numbers at ``sums``.
    Numba's loops go element by element where the order of additions matters; these are vectors.
    """
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    def squares_of(llvm: Any, widen: Any = None) -> Any:
        @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator] # its types are not looked at
        def add(typingctx: Any, address: Any, rows: Any, lanes: Any, sums: Any) -> Any:  # noqa: ARG001 (as Numba calls it)
            def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
                wide = ir.VectorType(ir.DoubleType(), lanes.literal_value)
                row_type = ir.VectorType(llvm, lanes.literal_value)
                begin = builder.inttoptr(arguments[0], row_type.as_pointer())
                target = builder.inttoptr(arguments[3], wide.as_pointer())
                total = cgutils.alloca_once(builder, wide)
                builder.store(builder.load(target, align=8), total)
                with cgutils.for_range(builder, arguments[1]) as loop:
                    row = builder.load(builder.gep(begin, [loop.index]), align=llvm.get_abi_size(context.target_data))
                    row = row if widen is None else widen(builder, row)
                    values = builder.fpext(row, wide) if llvm != ir.DoubleType() else row
                    builder.store(builder.fadd(builder.load(total), builder.fmul(values, values)), total)
                builder.store(builder.load(total), target, align=8)
                return context.get_dummy_value()

            return types.void(types.int64, types.int64, lanes, types.int64), codegen

        return add

    return {
        "add_squares_of_float32": squares_of(ir.FloatType()),
        "add_squares_of_float64": squares_of(ir.DoubleType()),
        "add_squares_of_float16": squares_of(ir.IntType(16), conversions.widening()),
    }


def _answer(source: Path, target: Path) -> None:
    """Compile the text of one file to an object in another, whole or not at all; or say beside it why not.

    Whoever finds the answer finds nothing else: the text is removed when it has been read.
    """
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        text = source.read_text(encoding="utf-8")
        source.unlink(missing_ok=True)
        name, machine_code = compile_kernel(text)
        digest = checksum(target, name.encode(), machine_code)
        temporary.touch(mode=0o600)
        temporary.write_bytes(b"\0".join([digest, name.encode(), machine_code]))
        os.replace(temporary, target)
    except Exception as error:  # whatever it is, the process that trains must hear of it
        temporary.write_text(f"{type(error).__name__}: {error}".strip().splitlines()[0], encoding="utf-8")
        os.replace(temporary, failure_of(target))


def checksum(target: Path, name: bytes, machine_code: bytes) -> bytes:
    """What a whole and right object file begins with; that of another kernel is not right."""
    return hashlib.sha256(b"\0".join([target.stem.encode(), name, machine_code])).hexdigest().encode()


def failure_of(target: Path) -> Path:
    """Where the compiler says why there is no object."""
    return target.with_suffix(".failure")


def main() -> None:
    """Answer requests, a line each with two paths, until there are no more or none has come for a while."""
    waiting: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(waiting,), daemon=True).start()
    while True:
        try:
            request = waiting.get(timeout=IDLE)
        except Empty:
            return
        if not request:
            return
        _answer(*map(Path, json.loads(request)))


def _read(waiting: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        waiting.put(line)
    waiting.put("")


if __name__ == "__main__":
    main()
