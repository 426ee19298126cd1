"""The limit: a loop that reads and writes the arrays of a step, with one addition for each that it writes.

Compiled as the kernels of the backend numba are and shared among as many threads; without Numba, by NumPy, on arrays as
large as all tensors together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from optreg.backends.chunks import Chunks
from optreg.backends.kernel_cache import Compilation
from optreg.backends.native import Kernel
from optreg.backends.workers import WORKERS
from optreg.bench.cases import Array
from optreg.bench.contender import Job, arrays_moved
from optreg.bench.devices import device_named

IN_CACHE = 16_384
"""Elements that NumPy adds at a time, so that they are read from memory once."""

_TEMPLATE = """\
def run(frame_, first, last):
    frame = int64_at(frame_)
    addresses = int64_at(frame[0])
    chunks = int64_at(frame[1])
    for chunk in range(first, last):
        tensor = chunks[3 * chunk]
        begin = chunks[3 * chunk + 1]
        end = chunks[3 * chunk + 2]
{pointers}
        for i in range(end - begin):
            gradient = a0[i]
{additions}
    return 0
"""


def source(arrays: int, dtype: str) -> str:
    """The text of the loop over a gradient and ``arrays - 1`` arrays that are changed."""
    size = np.dtype(dtype).itemsize
    pointers = [f"a{k} = {dtype}_at(addresses[{arrays} * tensor + {k}] + begin * {size})" for k in range(arrays)]
    additions = [f"a{k}[i] = a{k}[i] + gradient" for k in range(1, arrays)]
    return _TEMPLATE.format(
        pointers="\n".join(" " * 8 + line for line in pointers),
        additions="\n".join(" " * 12 + line for line in additions),
    )


class Limit:
    """Streams a gradient, the parameter and its states, tensor by tensor."""

    name = "limit"

    def __init__(self, job: Job) -> None:
        self._job = job
        self._width = 2 + (arrays_moved(job.optimizer) - 3) // 2
        self.compiled = False

    def start(self, values: Sequence[Array]) -> None:
        kernel = Compilation(source(self._width, self._job.dtype)).wait() if find_spec("numba") is not None else None
        self.compiled = kernel is not None
        if not self.compiled:
            warnings.warn("streamed by NumPy, as Numba is not there to compile the loop", RuntimeWarning, stacklevel=2)
            values = [_flat(values)]
        # Written once each, so that no page is touched first while the clock runs.
        self._arrays = [[np.full_like(value, number) for number in range(self._width)] for value in values]
        self._stream = self._by_numpy if kernel is None else self._by(kernel)

    def _by(self, kernel: Kernel) -> Callable[[], None]:
        chunks = Chunks(tuple(row[0].size for row in self._arrays))
        self._addresses = np.array([[array.ctypes.data for array in row] for row in self._arrays], np.int64)
        self._frame = np.array([self._addresses.ctypes.data, chunks.address], np.int64)
        return partial(chunks.run, kernel, self._frame.ctypes.data)

    def _by_numpy(self) -> None:
        ((gradient, *changed),) = self._arrays
        bounds = [*range(0, gradient.size, IN_CACHE * 64), gradient.size]
        WORKERS.run([partial(_add, gradient, changed, *part) for part in pairwise(bounds)], self._job.threads)

    def renew_gradients(self, gradients: Sequence[Array]) -> None:
        """Write the gradients anew, in place: as a bound on what can be reached, the loop has fixed addresses."""
        for arrays, gradient in zip(self._arrays, gradients if self.compiled else [_flat(gradients)], strict=True):
            np.copyto(arrays[0], gradient)

    def step(self) -> None:
        self._stream()

    def drop_gradients(self) -> None:
        """They stay."""

    def values(self) -> list[Array]:
        return [row[1].copy() for row in self._arrays]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        yield


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([array.reshape(-1) for array in arrays])


class DeviceLimit:
    """The same on a GPU: one launch over arrays as large as all tensors together."""

    name = Limit.name

    def __init__(self, job: Job) -> None:
        self._job = job
        self._width = 2 + (arrays_moved(job.optimizer) - 3) // 2

    def start(self, values: Sequence[Array]) -> None:
        cupy = import_module("cupy")
        self._device = device_named(self._job.device)
        names = [f"a{k}" for k in range(1, self._width)]
        self._kernel = cupy.ElementwiseKernel(
            "T gradient",
            ", ".join(f"T {name}" for name in names),
            "; ".join(f"{name} = {name} + gradient" for name in names),
            "optreg_bench_limit",
        )
        elements = sum(value.size for value in values)
        self._arrays = [cupy.full(elements, number, values[0].dtype) for number in range(self._width)]

    def renew_gradients(self, gradients: Sequence[Array]) -> None:
        self._arrays[0].set(_flat(gradients))
        self._device.wait()

    def step(self) -> None:
        self._kernel(*self._arrays)
        self._device.wait()

    def drop_gradients(self) -> None:
        """They stay."""

    def values(self) -> list[Array]:
        return [self._device.fetch(self._arrays[1])]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        yield


def _add(gradient: Array, changed: Sequence[Array], low: int, high: int) -> None:
    for begin in range(low, high, IN_CACHE):
        block = slice(begin, min(begin + IN_CACHE, high))
        for array in changed:
            np.add(array[block], gradient[block], out=array[block])
