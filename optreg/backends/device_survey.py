"""One read of many arrays on a device, for a number that all of them give together, which stays there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optreg.arrays import Array, is_capturing
from optreg.backends.cuda_source import JOIN, PRELUDE, THREADS
from optreg.backends.device_kernels import kernel
from optreg.backends.device_tables import ADDRESS, LOOK, Table, addresses_of, chunk_table, layouts_of, send
from optreg.backends.element_source import JOINS_SOURCE
from optreg.errors import OptregError

NAME = "survey"

_SURVEY = """\
template <class T> struct alignas(16) Pack {{ T of[16 / sizeof(T)]; }};
OPTREG_FUNCTION double value(Half element) {{ return to_float(element); }}
OPTREG_FUNCTION double value(float element) {{ return element; }}
OPTREG_FUNCTION double value(double element) {{ return element; }}
OPTREG_FUNCTION double of_one(const double x) {{ return {of_one}; }}

template <class T> OPTREG_FUNCTION double of_chunk(const T *elements, const int count)
{{
    constexpr int pack = 16 / sizeof(T);
    int head = (int)((0 - (unsigned long long)elements) & 15) / (int)sizeof(T);
    if (head > count) head = count;
    const int packs = (count - head) / pack;
    double total = 0;
#pragma unroll 1
    for (int place = threadIdx.x; place < count - packs * pack; place += {threads})
        total += of_one(value(elements[place < head ? place : place + packs * pack]));
#pragma unroll 1
    for (int place = threadIdx.x; place < packs; place += {threads}) {{
        const Pack<T> found = *(const Pack<T> *)(elements + head + place * pack);
#pragma unroll
        for (int k = 0; k < pack; ++k) total += of_one(value(found.of[k]));
    }}
    return total;
}}

struct Tables {{
    const long long *addresses, *sizes, *chunks;
    unsigned int *arrived;
    double *partials;
    {type} *results;
    const long long *is_made;
}};

extern "C" __global__ void __launch_bounds__({threads}) survey(
    const Tables tables, const long long blocks, const double limit)
{{
    const long long *const chunk = tables.chunks + 3 * (long long)blockIdx.x;
    const long long address = tables.addresses[chunk[0]], size = tables.sizes[chunk[0]];
    const int count = (int)(chunk[2] - chunk[1]);
    double total = size == 2 ? of_chunk((const Half *)address + chunk[1], count)
                 : size == 4 ? of_chunk((const float *)address + chunk[1], count)
                             : of_chunk((const double *)address + chunk[1], count);
    total = of_block<Sum>(total);
    if (threadIdx.x == 0) tables.partials[blockIdx.x] = total;
    if (is_last(tables.arrived, blocks)) {{
        total = of_many<Sum>(tables.partials, blocks, 1);
        if (threadIdx.x == 0) {{
{results}
        }}
    }}
}}
"""


def _source(of_one: str, kind: str, results: Sequence[str]) -> str:
    lines = "\n".join(" " * 12 + line for line in results)
    body = _SURVEY.format(of_one=of_one, type=kind, threads=THREADS, results=lines)
    return PRELUDE + JOIN + JOINS_SOURCE + body


SQUARES = _source(
    "x * x",
    "double",
    [
        "const double norm = sqrt(total);",
        "tables.results[0] = total;",
        "tables.results[1] = norm > limit && norm - norm == 0 ? limit / norm : 1;",
    ],
)
"""The sum of squares; and what makes the norm at most the limit, as a factor: 1 if the norm is not finite."""

FINITE = _source(
    "x - x == 0 ? 0 : 1",
    "long long",
    [
        "const bool was_made = !tables.is_made || *tables.is_made;",
        "tables.results[0] = was_made && total == 0;",
        "tables.results[1] += was_made && total != 0;",
    ],
)
"""Whether the step is made, as it was before, for all elements are finite; and how often it was left out for these."""


class Survey:
    """A kernel that reads arrays, with its tables.

    Args:
        source: ``SQUARES`` or ``FINITE``.
        device: the number of the one that the arrays are on.

    Attributes:
        device: as given.
        results: two numbers on the device.
    """

    def __init__(self, source: str, device: int) -> None:
        import cupy

        self.device = device
        self._cupy = cupy
        self._source = source
        self._looks: list[Any] = []
        self._dense: list[bool] = []
        self._sent: Table | None = None
        self._captured = False
        self._refuse_to_capture()
        with cupy.cuda.Device(device):
            self.results = cupy.zeros(2, np.float64 if source == SQUARES else np.int64)

    def run(self, arrays: Sequence[Array], limit: float = 0.0, is_made: Array | None = None) -> Any:
        """Look at arrays, at least one of them not empty, and return the results. Never waits."""
        with self._cupy.cuda.Device(self.device):
            looks = list(map(LOOK, arrays))
            if looks != self._looks:
                self._refuse_to_capture()
                self._make_tables(arrays)
                self._looks = looks
            dense = [array if flag else array.copy(order="C") for array, flag in zip(arrays, self._dense, strict=True)]
            addresses = np.array(list(map(ADDRESS, dense)), np.int64)
            # After a graph has been launched nobody knows which addresses are there.
            self._captured = self._captured or is_capturing(self.device)
            if self._captured or self._sent is None or not np.array_equal(addresses, self._sent):
                send(addresses, self._tables[0])
                self._sent = addresses
            tables = addresses_of([*self._tables, self.results, is_made])
            kernel(self._source, NAME)((self._blocks,), (THREADS,), (tables, np.int64(self._blocks), np.float64(limit)))
        return self.results

    def _make_tables(self, arrays: Sequence[Array]) -> None:
        cupy = self._cupy
        self._dense = [bool(layouts_of(array)) for array in arrays]
        pairs = [2 if array.dtype.kind == "c" else 1 for array in arrays]
        chunks, _ = chunk_table([array.size * each for array, each in zip(arrays, pairs, strict=True)])
        itemsizes = [array.dtype.itemsize // each for array, each in zip(arrays, pairs, strict=True)]
        self._blocks = len(chunks)
        self._tables = (
            cupy.zeros(len(arrays), np.int64),
            cupy.asarray(np.array(itemsizes, np.int64)),
            cupy.asarray(chunks),
            cupy.zeros(1, np.uint32),
            cupy.zeros(self._blocks, np.float64),
        )
        self._sent = None

    def _refuse_to_capture(self) -> None:
        if is_capturing(self.device):
            raise OptregError(
                "these gradients were not there in the step before, so tables for them have to be made on the device, "
                "which cannot be captured into a CUDA graph; make a step with them before the capture begins"
            )


def survey_on(device: int, source: str, present: Survey | None) -> Survey:
    """The present survey if it is on the device, else a new one."""
    return present if present is not None and present.device == device else Survey(source, device)
