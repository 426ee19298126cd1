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
from optreg.backends.workers import WORKERS
from optreg.bench.cases import Array
from optreg.bench.contender import Job, arrays_changed
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
        self.compiled = find_spec("numba") is not None

    def start(self, values: Sequence[Array]) -> None:
        if not self.compiled:
            warnings.warn("streamed by NumPy, as Numba is not there to compile the loop", RuntimeWarning, stacklevel=2)
        self._widths = _widths(self._job, values)
        # Written once each, so that no page is touched first while the clock runs.
        self._arrays = [
            [np.full_like(value, number) for number in range(width)] for width, value in self._pairs(values)
        ]
        self._held: list[Array] = []  # whose addresses are given away
        by_width: dict[int, list[list[Array]]] = {}
        for row in self._arrays:
            by_width.setdefault(len(row), []).append(row)
        self._parts = [self._part(width, rows) for width, rows in by_width.items()]

    def _pairs(self, arrays: Sequence[Array]) -> list[tuple[int, Array]]:
        return list(zip(self._widths, arrays, strict=True)) if self.compiled else _joined(self._widths, arrays)

    def _part(self, width: int, rows: list[list[Array]]) -> Callable[[], None]:
        if not self.compiled:
            (row,) = rows
            return partial(self._by_numpy, *row)
        chunks = Chunks(tuple(row[0].size for row in rows))
        addresses = np.array([[array.ctypes.data for array in row] for row in rows], np.int64)
        frame = np.array([addresses.ctypes.data, chunks.address], np.int64)
        self._held += addresses, frame
        compilation = Compilation(source(width, self._job.dtype))
        kernel = compilation.wait()
        if kernel is None:
            raise RuntimeError(str(compilation.failure))
        return partial(chunks.run, kernel, frame.ctypes.data)

    def _by_numpy(self, gradient: Array, *changed: Array) -> None:
        bounds = [*range(0, gradient.size, IN_CACHE * 64), gradient.size]
        WORKERS.run([partial(_add, gradient, changed, *part) for part in pairwise(bounds)], self._job.threads)

    def renew_gradients(self, gradients: Sequence[Array]) -> None:
        """Write the gradients anew, in place: as a bound on what can be reached, the loop has fixed addresses."""
        for arrays, (_, gradient) in zip(self._arrays, self._pairs(gradients), strict=True):
            np.copyto(arrays[0], gradient)

    def step(self) -> None:
        for part in self._parts:
            part()

    def drop_gradients(self) -> None:
        """They stay."""

    def values(self) -> list[Array]:
        return [row[1].copy() for row in self._arrays]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        yield


def _widths(job: Job, values: Sequence[Array]) -> list[int]:
    """How many arrays there are of each tensor: the gradient, and what a step changes."""
    return [1 + arrays_changed(job.optimizer, value.shape) for value in values]


def _joined(widths: Sequence[int], arrays: Sequence[Array]) -> list[tuple[int, Array]]:
    """One array of all that go with as many others, for each number of these."""
    by_width: dict[int, list[Array]] = {}
    for width, array in zip(widths, arrays, strict=True):
        by_width.setdefault(width, []).append(array.reshape(-1))
    return [(width, np.concatenate(members)) for width, members in by_width.items()]


class DeviceLimit:
    """The same on a GPU: one launch over an array as large as all tensors together that have as many states."""

    name = Limit.name

    def __init__(self, job: Job) -> None:
        self._job = job

    def start(self, values: Sequence[Array]) -> None:
        cupy = import_module("cupy")
        self._device = device_named(self._job.device)
        self._widths = _widths(self._job, values)
        self._parts = []
        for width, joined in _joined(self._widths, values):
            names = [f"a{k}" for k in range(1, width)]
            kernel = cupy.ElementwiseKernel(
                "T gradient",
                ", ".join(f"T {name}" for name in names),
                "; ".join(f"{name} = {name} + gradient" for name in names),
                "optreg_bench_limit",
            )
            self._parts.append((kernel, [cupy.full(joined.size, number, joined.dtype) for number in range(width)]))

    def renew_gradients(self, gradients: Sequence[Array]) -> None:
        for (_, arrays), (_, gradient) in zip(self._parts, _joined(self._widths, gradients), strict=True):
            arrays[0].set(gradient)
        self._device.wait()

    def step(self) -> None:
        for kernel, arrays in self._parts:
            kernel(*arrays)
        self._device.wait()

    def drop_gradients(self) -> None:
        """They stay."""

    def values(self) -> list[Array]:
        return [self._device.fetch(arrays[1]) for _, arrays in self._parts]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        yield


def _add(gradient: Array, changed: Sequence[Array], low: int, high: int) -> None:
    for begin in range(low, high, IN_CACHE):
        block = slice(begin, min(begin + IN_CACHE, high))
        for array in changed:
            np.add(array[block], gradient[block], out=array[block])
