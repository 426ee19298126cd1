"""As much of CuPy as optreg uses, on the host: arrays in main memory, kernels that g++ compiles and one thread runs.

Every line of a kernel is run, for each block and each of its threads, which wait for each other at barriers, but one
at a time: what depends on threads that run at once, and everything about streams and devices, only a GPU can show.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from optreg.backends.cuda_source import PRELUDE

from .host import COMPILER, on_host

_KERNEL_PRELUDE = """\
#include <ucontext.h>
#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)
#define __grid_constant__
#define __threadfence()
static struct { unsigned x; } threadIdx, blockIdx;
static unsigned atomicAdd(unsigned *at, unsigned value) { const unsigned old = *at; *at += value; return old; }
enum { MOST = 256 };
static ucontext_t outside, inside[MOST];
static bool ended[MOST];
static void __syncthreads() { swapcontext(&inside[threadIdx.x], &outside); }
"""

_LAUNCH = """
static void **at;
template <class... A, unsigned long... N> static void call(void (*kernel)(A...), std::index_sequence<N...>) {
    kernel(*(std::remove_cv_t<A> *)at[N]...);
}
template <class... A> static void call(void (*kernel)(A...)) {
    call(kernel, std::make_index_sequence<sizeof...(A)>());
}
static void one_thread() {
    call(NAME);
    ended[threadIdx.x] = true;
    __syncthreads();
}
// Every thread runs to the next barrier before any goes on; false if some end where others wait.
static bool in_phases(unsigned threads) {
    static char stacks[MOST][1 << 14];
    for (unsigned thread = 0; thread < threads; ++thread) {
        ended[thread] = false;
        getcontext(&inside[thread]);
        inside[thread].uc_stack = {stacks[thread], 0, sizeof(stacks[thread])};
        makecontext(&inside[thread], one_thread, 0);
    }
    for (unsigned count = 0; count < threads;) {
        count = 0;
        for (unsigned thread = threads; thread-- > 0;) {
            threadIdx.x = thread;
            swapcontext(&outside, &inside[thread]);
            count += ended[thread];
        }
        if (count != 0 && count != threads) return false;
    }
    return true;
}
extern "C" bool go(unsigned blocks, unsigned threads, void **arguments) {
    at = arguments;
    for (unsigned block = blocks; block-- > 0;) {
        blockIdx.x = block;
        if (HAS_BARRIERS && !in_phases(threads)) return false;
        for (threadIdx.x = 0; !HAS_BARRIERS && threadIdx.x < threads; ++threadIdx.x) call(NAME);
    }
    return true;
}
"""


class Memory:
    """Where an array lies."""

    def __init__(self, ptr: int, device: int) -> None:
        self.ptr, self.device_id = ptr, device


class NDArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array on a device. As CuPy's, it is no array of NumPy, becomes none by itself, and is never a scalar."""

    def __init__(self, host: Any, number: int | None = None) -> None:
        self.host = np.asarray(host)
        self.device = Device(Device.current if number is None else number)

    @property
    def data(self) -> Memory:
        return Memory(self.host.ctypes.data, self.device.id)

    @property
    def real(self) -> NDArray:
        return self._like(self.host.real)

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "dtype", "size", "ndim", "flags", "strides", "nbytes", "base"):
            return getattr(self.host, name)
        if name in ("astype", "copy", "view", "ravel", "reshape", "all", "any", "sum", "max", "clip"):
            return lambda *args, **kwargs: self._like(getattr(self.host, name)(*args, **kwargs))
        raise AttributeError(name)

    def _like(self, host: Any) -> NDArray:
        return NDArray(host, self.device.id)

    @property
    def T(self) -> NDArray:
        return self._like(self.host.T)

    # What has to wait for the device, which is counted:

    waits = 0

    def get(self) -> np.ndarray[Any, Any]:
        assert Device.current == self.device.id, "each device has a current stream of its own"
        NDArray.waits += 1
        return self.host.copy(order="K")

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __bool__(self) -> bool:
        return bool(self.get())

    def __deepcopy__(self, memo: Any) -> NDArray:
        return self._like(self.host.copy(order="K"))

    def __getitem__(self, key: Any) -> NDArray:
        return self._like(self.host[key if key is Ellipsis or isinstance(key, tuple) else (key, ...)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.host[key] = _on_host(value)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("as CuPy's, this array does not become NumPy's by itself")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if "out" in kwargs:
            getattr(ufunc, method)(*_on_host(inputs), **kwargs | {"out": _on_host(kwargs["out"])})
            return kwargs["out"][0]
        return self._like(getattr(ufunc, method)(*_on_host(inputs), **kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        found = function(*_on_host(args), **{key: _on_host(value) for key, value in kwargs.items()})
        return found if function is np.shape else self._like(found)


def _on_host(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(map(_on_host, value))
    return value.host if isinstance(value, NDArray) else value


def on_device(array: Any, number: int = 0) -> NDArray:
    """A copy of an array on an emulated device."""
    with Device(number):
        return NDArray(np.array(array, order="K"))


class Device:
    """A device, which is the current one inside of ``with``."""

    current = 0

    def __init__(self, number: int) -> None:
        self.id = number

    def __enter__(self) -> None:
        self._before, Device.current = Device.current, self.id

    def __exit__(self, *error: object) -> None:
        Device.current = self._before


class Graph:
    """Launches that are to be made together, later on."""

    def __init__(self) -> None:
        self.launches: list[Any] = []

    def launch(self) -> None:
        for each in self.launches:
            each()


class Emulation:
    """The state of the emulation: the graph that is captured, and the launches that were made, by device and name."""

    def __init__(self) -> None:
        self.graph: Graph | None = None
        self.launches: list[tuple[int, str, int]] = []
        self.sources: list[str] = []

    @contextmanager
    def capture(self) -> Iterator[Graph]:
        """What is launched becomes part of a graph, instead of being done."""
        self.graph = Graph()
        try:
            yield self.graph
        finally:
            self.graph = None

    def module(self) -> ModuleType:
        """What is to stand for the module cupy."""
        cupy = ModuleType("cupy")
        emulation = self

        class RawKernel:
            def __init__(self, code: str, name: str, options: tuple[str, ...] = ()) -> None:
                self._name = name
                self._go = _compiled(code, name)
                emulation.sources.append(code)

            def compile(self) -> None:
                pass

            def __call__(self, grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
                emulation.launches.append((Device.current, self._name, grid[0]))
                held = [_held(each) for each in arguments]
                addresses = (ctypes.c_void_p * len(held))(*(each.ctypes.data for each in held))

                def launch() -> None:
                    assert self._go(ctypes.c_uint(grid[0]), ctypes.c_uint(block[0]), addresses), "a barrier is missed"

                launch.held = held  # type: ignore[attr-defined]
                launch() if emulation.graph is None else emulation.graph.launches.append(launch)

        def made(function: Any) -> Any:
            return lambda *args, **kwargs: NDArray(function(*_on_host(args), **kwargs))

        def stream() -> Any:
            return SimpleNamespace(is_capturing=lambda: emulation.graph is not None)

        cupy.ndarray, cupy.RawKernel = NDArray, RawKernel
        cupy.cuda = SimpleNamespace(Device=Device, get_current_stream=stream)
        cupy.cuda.compiler = SimpleNamespace(CompileException=SyntaxError)
        for name in ("zeros", "ones", "array", "asarray", "full", "zeros_like", "isfinite"):
            setattr(cupy, name, made(getattr(np, name)))
        return cupy


def _held(argument: Any) -> np.ndarray[Any, Any]:
    if isinstance(argument, NDArray):
        return np.array(argument.data.ptr, np.int64)
    if isinstance(argument, np.ndarray):
        assert argument.size == 1, "CuPy passes arrays of one element by value, and no others"
    return np.asarray(argument)


_directory = tempfile.TemporaryDirectory()


@cache
def _compiled(code: str, name: str) -> Any:
    source = Path(_directory.name) / f"kernel{len(list(Path(_directory.name).iterdir()))}.cpp"
    prelude = "#include <utility>\n#include <type_traits>\n" + on_host(code.removeprefix(PRELUDE)) + _KERNEL_PRELUDE
    launch = _LAUNCH.replace("NAME", name).replace("HAS_BARRIERS", str("__syncthreads" in code).lower())
    source.write_text(prelude + code.removeprefix(PRELUDE) + launch, encoding="utf-8")
    target = source.with_suffix(".so")
    options = ["-std=c++17", "-O0", "-mf16c", "-ffp-contract=off", "-fPIC", "-shared", "-Wl,-Bsymbolic"]
    made = subprocess.run([str(COMPILER), *options, source, "-o", target], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[:3000]
    go = ctypes.CDLL(str(target)).go
    go.restype = ctypes.c_bool
    return go
