"""Chunks of tensors, and kernels that run over them on several threads."""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np

from optreg.backends.native import Kernel
from optreg.backends.workers import WORKERS, thread_count

CHUNK = 65_536
"""Elements that a thread works on at a time."""
ALONE = 262_144
"""Elements that one thread does sooner than it could wake another."""
SHARES = 8
"""Parts of the work for each thread, so that none waits long for the last."""


class Chunks:
    """The chunks of tensors of given sizes.

    Attributes:
        rows: a tensor's number, and where in it the chunk begins and ends.
        address: of the rows.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        rows = [
            (tensor, begin, min(begin + CHUNK, size))
            for tensor, size in enumerate(sizes)
            for begin in range(0, size, CHUNK)
        ]
        self.rows: np.ndarray[Any, Any] = np.array(rows, np.int64).reshape(-1, 3)
        self.address: int = self.rows.ctypes.data
        self._count = len(rows)
        self._alone = len(rows) < 2 or sum(sizes) <= ALONE
        self._bounds: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return self._count

    def run(self, kernel: Kernel, frame: int) -> None:
        """Run a kernel on the tables of a frame over all chunks, on as many threads as their elements are worth."""
        threads = 1 if self._alone else thread_count()
        if threads == 1:
            kernel(frame, 0, self._count)
            return
        shares = [partial(kernel, frame, first, last) for first, last in pairwise(self._shares(threads))]
        WORKERS.run(shares, threads)

    def _shares(self, threads: int) -> list[int]:
        """Where the parts begin and end that threads take one after another: of about equal numbers of elements."""
        if threads not in self._bounds:
            ends = np.cumsum(self.rows[:, 2] - self.rows[:, 1])
            wanted = np.linspace(0, ends[-1], SHARES * threads + 1)
            bounds = np.searchsorted(ends, wanted[1:-1])
            self._bounds[threads] = sorted({0, *bounds.tolist(), self._count})
        return self._bounds[threads]


chunks_of = lru_cache(maxsize=64)(Chunks)
"""The chunks of tensors of these sizes, made once."""
