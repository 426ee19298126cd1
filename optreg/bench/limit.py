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
from typing import Any

import numpy as np

from optreg.backends.kernel_cache import Compilation
from optreg.backends.workers import WORKERS
from optreg.bench.cases import Array
from optreg.bench.contender import Job, arrays_moved
from optreg.bench.devices import device_named

CHUNK = 65_536
"""Elements that a thread works on at a time."""
ALONE = 262_144
"""Elements that one thread streams sooner than it could wake another."""
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
        kernel = None
        if find_spec("numba") is not None:
            kernel = Compilation(source(self._width, self._job.dtype)).wait()
        self.compiled = kernel is not None
        if kernel is None:
            warnings.warn("streamed by NumPy, as Numba is not there to compile the loop", RuntimeWarning, stacklevel=2)
        self._values = values if self.compiled else [np.concatenate([value.reshape(-1) for value in values])]
        # Written once each, so that no page is touched first while the clock runs.
        self._arrays = [[np.full_like(value, number) for number in range(self._width)] for value in self._values]
        self._tasks = self._compiled_tasks(kernel) if kernel is not None else self._numpy_tasks()

    def _compiled_tasks(self, kernel: Callable[..., Any]) -> list[Callable[[], Any]]:
        sizes = [value.size for value in self._values]
        self._addresses = np.array([[array.ctypes.data for array in row] for row in self._arrays], np.int64)
        self._chunks = np.array(
            [
                (tensor, begin, min(begin + CHUNK, size))
                for tensor, size in enumerate(sizes)
                for begin in range(0, size, CHUNK)
            ],
            np.int64,
        )
        self._frame = np.array([self._addresses.ctypes.data, self._chunks.ctypes.data], np.int64)
        run = partial(kernel, self._frame.ctypes.data)
        count = len(self._chunks)
        return [partial(run, low, high) for low, high in self._parts(sum(sizes), count)]

    def _parts(self, elements: int, count: int) -> list[tuple[int, int]]:
        """Where each task of the threads begins and ends."""
        parts = 1 if elements <= ALONE or self._job.threads == 1 else min(count, 8 * self._job.threads)
        return list(pairwise(np.linspace(0, count, parts + 1).astype(int).tolist()))

    def _numpy_tasks(self) -> list[Callable[[], Any]]:
        ((gradient, *changed),) = self._arrays
        return [partial(_add, gradient, changed, *part) for part in self._parts(gradient.size, gradient.size)]

    def renew_gradients(self, gradients: Sequence[Array]) -> None:
        """Write the gradients anew, in place: as a bound on what can be reached, the loop has fixed addresses."""
        flat = gradients if self.compiled else [np.concatenate([each.reshape(-1) for each in gradients])]
        for arrays, gradient in zip(self._arrays, flat, strict=True):
            np.copyto(arrays[0], gradient)

    def step(self) -> None:
        if len(self._tasks) == 1:
            self._tasks[0]()
        else:
            WORKERS.run(self._tasks, self._job.threads)

    def drop_gradients(self) -> None:
        """They stay."""

    def values(self) -> list[Array]:
        return [row[1].copy() for row in self._arrays]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        yield


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
        self._arrays[0].set(np.concatenate([each.reshape(-1) for each in gradients]))
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
