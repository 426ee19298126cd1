"""Compile the text of a kernel to machine code with Numba: ``python -m optreg.backends.kernel_compiler TEXT OBJECT``.

This runs in a process of its own. The process that trains never imports Numba, so it neither waits for the compiler,
nor shares the interpreter's lock with it, nor has to stop it at its exit; it loads the finished object.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np


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
    namespace: dict[str, Any] = {"np": np, **_pointers()}
    exec(source, namespace)  # (text that optreg wrote, in a directory that only its user can write)
    function = next(value for name, value in namespace.items() if name in ("run", "check"))
    arguments = function.__code__.co_argcount
    signature = types.int64(*[types.int64] * arguments)
    compiled = njit(
        signature,
        error_model="numpy",
        boundscheck=False,
        fastmath=False,
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
        @intrinsic
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
    }


def main() -> None:
    """Compile the text in the first argument's file to an object at the second, whole or not at all."""
    source, target = map(Path, sys.argv[1:])
    try:
        name, machine_code = compile_kernel(source.read_text(encoding="utf-8"))
    finally:
        source.unlink(missing_ok=True)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    digest = hashlib.sha256(machine_code).hexdigest()
    temporary.write_bytes(b"\0".join([digest.encode(), name.encode(), machine_code]))
    os.replace(temporary, target)


if __name__ == "__main__":
    main()
