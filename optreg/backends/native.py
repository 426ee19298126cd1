"""Machine code that another process compiled, loaded and callable from here."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, TypeAlias

Kernel: TypeAlias = Callable[[int, int, int], Any]
"""Takes the address of a frame, which is a table of addresses and numbers, and a range of what is to be done."""


def numba_is_installed() -> bool:
    """Whether the compiler can be started; it is not imported here."""
    try:
        return find_spec("numba") is not None and find_spec("llvmlite") is not None
    except (ImportError, ValueError):  # something stands in its way
        return False


@cache
def _target_machine() -> Any:
    import llvmlite.binding as llvm

    # Newer versions of llvmlite initialize themselves and refuse to be asked.
    for initialize in (llvm.initialize_native_target, llvm.initialize_native_asmprinter):
        with suppress(RuntimeError):
            initialize()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), jit=True)


@cache
def processor() -> str:
    """The processor as LLVM knows it: its name and features, for which kernels are compiled."""
    import llvmlite.binding as llvm

    return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()} llvmlite {llvm.llvm_version_info}"


_engines: list[Any] = []
"""What owns the memory of the kernels that were loaded; they stay for the life of the process."""

_nowhere = ctypes.create_string_buffer(16)
"""Where kernels leave the results that Numba's calling convention asks for; nobody reads them."""


def load(name: str, machine_code: bytes, brief: bool = False) -> Kernel:
    """Load an object file and return its function.

    Args:
        name: of the function in the object.
        machine_code: the object file.
        brief: other threads of Python are not let in while the function runs.

    Raises:
        RuntimeError: it is no object file for this machine.
    """
    import llvmlite.binding as llvm

    module = llvm.parse_assembly("")
    engine = llvm.create_mcjit_compiler(module, _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(machine_code))
    engine.finalize_object()
    address = engine.get_function_address(name)
    if not address:
        raise RuntimeError(f"the object has no function {name}")
    _engines.append(engine)
    prototype = ctypes.PYFUNCTYPE if brief else ctypes.CFUNCTYPE
    function = prototype(ctypes.c_int32, *[ctypes.c_int64] * 5)(address)
    nowhere = ctypes.addressof(_nowhere)
    return partial(function, nowhere, nowhere + 8)
