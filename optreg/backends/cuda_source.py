"""The text of CUDA kernels: a traced rule on the elements of many tensors, in one launch.

A block works on one chunk::

    step<<<chunks, THREADS>>>(tables, first_chunk, first_row, scalars)

Tensor ``k`` has the array ``j`` of the rule at ``addresses[k, j]``, and the hyperparameters of the row ``groups[k]``.
Chunk ``c`` is ``chunks[c]``: a tensor, and where in it the chunk begins and ends. All of them are int64, on the device.
``scalars`` are rows of float64 in the launch itself, the first of them that of ``first_row``: nothing has to be sent to
the device, or waited for, when only they change. A scalar that is on the device already stands there as its address. A
CUDA graph reads all rows from ``tables.scalars`` instead, which is sent before the graph is launched.

Slots that are one number a tensor are read by every block of the tensor. The last one to have read them writes the new
ones: ``parts[k]`` is the number of chunks of tensor ``k``, ``arrived[k]`` counts them (uint32, zero before and after).

What a rule must know of whole tensors (norms, sums, means, the largest element) comes first, stage by stage, from
kernels ``reduce`` of the same arguments, which change no array. Each block leaves its ``partials`` (float64) for the
last one of its tensor, which joins them in the order of the chunks and writes ``known[k, column]``: the sums are the
same each time.

If ``is_made`` is an address, and 0 stands there, the step is left out.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import attrs

from optreg.backends.element_source import Element, element_source, type_of
from optreg.tracing.nodes import Reduction, Rule

THREADS = 256
"""Of a block."""
CHUNK = 8192
"""Elements of a chunk."""
STEP, REDUCE = "step", "reduce"
"""The names of the kernels."""
OPTIONS = ("--std=c++17", "--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false")
"""What NVRTC has to be told so that the bits are those of NumPy."""
WORDS = 480
"""Numbers of eight bytes that fit into the 4 KiB of a launch's arguments, beside the addresses."""

PRELUDE = """\
#define OPTREG_FUNCTION static __device__ __forceinline__
#define OPTREG_INFINITY __longlong_as_double(0x7ff0000000000000LL)
struct Half { unsigned short bits; };
OPTREG_FUNCTION float to_float(Half half) {
    float number;
    asm("cvt.f32.f16 %0, %1;" : "=f"(number) : "h"(half.bits));
    return number;
}
OPTREG_FUNCTION Half to_half(float number) {
    Half half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half.bits) : "f"(number));
    return half;
}
"""

SEND = f"""\
struct Words {{ long long of[{WORDS}]; }};

extern "C" __global__ void send(long long *table, const long long first, const int count,
                                const __grid_constant__ Words words)
{{
    for (int place = threadIdx.x; place < count; place += {THREADS}) table[first + place] = words.of[place];
}}
"""
"""A kernel that writes numbers from its launch to a table: no memory of the host must stay as it is until it runs."""

_TABLES = """\
struct Tables {
    const long long *addresses, *groups, *chunks, *parts;
    unsigned int *arrived;
    double *known, *partials;
    const long long *is_made;
    const Word *scalars;
};
"""

TABLES = ("addresses", "groups", "chunks", "parts", "arrived", "known", "partials", "is_made", "scalars")
"""The addresses that a launch is given first, as one structure."""

_KERNEL = """\
struct Scalars {{ Word of[{scalars}]; }};
template <class T> struct alignas(16) Pack {{ T of[{pack}]; }};

extern "C" __global__ void __launch_bounds__({threads}) {name}(
    const Tables tables, const long long first_chunk, const long long first_row,
    const __grid_constant__ Scalars scalars)
{{
    if (tables.is_made && !*tables.is_made) return;
    const long long number = first_chunk + blockIdx.x;
    const long long *const chunk = tables.chunks + 3 * number;
    const long long tensor = chunk[0];
    const int count = (int)(chunk[2] - chunk[1]);
    const long long *const address = tables.addresses + {width} * tensor;
{pointers}
    const long long row = tables.groups[tensor];
    const Word *const of_group =
        tables.scalars ? tables.scalars + {columns} * row : scalars.of + {columns} * (row - first_row);
    const Once same = once(of_group, tables.known + {known} * tensor{numbers});
{begin}
    // Elements before the first address that can be divided by 16; all of them, if the arrays do not agree on it.
    int head = (int)((0 - (unsigned long long){narrowest}) & 15) / {itemsize};
    if (head > count{disagree}) head = count;
    const int packs = (count - head) / {pack};
#pragma unroll 1
    for (int place = threadIdx.x; place < count - packs * {pack}; place += {threads}) {{
        const int i = place < head ? place : place + packs * {pack};
{one}
    }}
#pragma unroll 1
    for (int place = threadIdx.x; place < packs; place += {threads}) {{
        const int i = head + place * {pack};
{many}
    }}
{end}
}}
"""

_NEW_NUMBERS = """\
    __syncthreads();
    if (threadIdx.x == 0) {{
        __threadfence();
        if (atomicAdd(tables.arrived + tensor, 1u) == tables.parts[tensor] - 1) {{
            tables.arrived[tensor] = 0;
            __threadfence();
{writes}
        }}
    }}"""

JOIN = f"""\
// What the values of a block's threads give together, always in the same order; the first thread gets it.
template <class Join> static __device__ double of_block(double value)
{{
    __shared__ double of[{THREADS}];
    of[threadIdx.x] = value;
    for (int half = {THREADS // 2}; half > 0; half /= 2) {{
        __syncthreads();
        if (threadIdx.x < half) of[threadIdx.x] = value = Join::of(value, of[threadIdx.x + half]);
    }}
    __syncthreads();
    return value;
}}

// What many values in memory give together, which other blocks have written; the first thread gets it.
template <class Join> static __device__ double of_many(
    const volatile double *values, const long long count, const int apart)
{{
    double total = Join::none();
    for (long long at = threadIdx.x; at < count; at += {THREADS}) total = Join::of(total, values[apart * at]);
    return of_block<Join>(total);
}}

// Whether this block is the last of those that were to come; then it sees what all of them have written.
static __device__ bool is_last(unsigned int *arrived, const long long blocks)
{{
    __shared__ bool last;
    if (threadIdx.x == 0) {{
        __threadfence();
        last = atomicAdd(arrived, 1u) == blocks - 1;
        if (last) *arrived = 0;
    }}
    __syncthreads();
    __threadfence();
    return last;
}}

"""
"""Functions of a block's threads together."""


@attrs.frozen
class CudaSources:
    """The texts for a rule: what must be known of whole tensors first, stage by stage, then what changes the arrays."""

    stages: tuple[str, ...]
    step: str


def cuda_sources(rule: Rule, rows: int = 1, on_device: Set[int] = frozenset()) -> CudaSources:
    """Write the kernels of a rule.

    Args:
        rule: joined by ``chain``.
        rows: of scalars that a launch holds.
        on_device: the scalars that are there, by position.

    Raises:
        UntraceableRuleError: it computes something that cannot be done in CUDA as NumPy does it.
    """
    stages = (_source(rule, rows, element_source(rule, stage, on_device), stage) for stage in rule.stages)
    return CudaSources(tuple(stages), _source(rule, rows, element_source(rule, (), on_device), ()))


def partials_of(rule: Rule) -> int:
    """How many partial results a block leaves, at most."""
    return max(map(len, rule.stages), default=0)


def _source(rule: Rule, rows: int, element: Element, found: Sequence[Reduction]) -> str:
    types = {position: type_of(each.dtype) for position, each in enumerate(rule.inputs)}
    sizes = {position: rule.inputs[position].dtype.itemsize for position in element.arrays}
    narrowest = min(element.arrays, key=lambda position: sizes[position], default=None)
    pack = 1 if narrowest is None else max(1, 16 // sizes[narrowest])
    reductions = rule.reductions
    columns = [reductions.index(reduction) for reduction in found]
    return (
        PRELUDE
        + element.text
        + _TABLES
        + (JOIN if found else "")
        + _KERNEL.format(
            name=REDUCE if found else STEP,
            threads=THREADS,
            scalars=max(1, rows * len(rule.scalars)),
            columns=len(rule.scalars),
            known=len(reductions) + 1,
            width=len(rule.inputs),
            pack=pack,
            pointers=_lines(
                4, [f"{types[at]} *const p{at} = ({types[at]} *)address[{at}] + chunk[1];" for at in sizes]
            ),
            numbers="".join(f", *(const volatile {types[at]} *)address[{at}]" for at in element.numbers),
            begin=_lines(4, [f"double r{n} = {join}::none();" for n, join in enumerate(element.totals)])
            or _new_numbers(element, types),
            narrowest="chunk" if narrowest is None else f"p{narrowest}",
            itemsize=1 if narrowest is None else sizes[narrowest],
            disagree="".join(f" || (unsigned long long)(p{at} + head) & 15" for at in sizes),
            one=_lines(8, _one(element, types)),
            many=_lines(8, _many(element, types, pack)),
            end=_lines(4, _joined(element.totals, columns, len(reductions) + 1)),
        )
    )


def _new_numbers(element: Element, types: dict[int, str]) -> str:
    writes = [f"*({types[at]} *)address[{at}] = {_of_block(text)};" for at, text in element.new_numbers]
    return _NEW_NUMBERS.format(writes=_lines(12, writes)) if writes else ""


def _joined(totals: Sequence[str], columns: Sequence[int], width: int) -> list[str]:
    """Join the totals of a block's threads, and, in the last block of a tensor, those of all its blocks."""
    if not totals:
        return []
    count = len(totals)
    blocks = [f"r{n} = of_block<{join}>(r{n});" for n, join in enumerate(totals)]
    partials = " ".join(f"partials[{n}] = r{n};" for n in range(count))
    tensors = [f"r{n} = of_many<{join}>(partials + {n}, blocks, {count});" for n, join in enumerate(totals)]
    known = " ".join(f"tables.known[{width} * tensor + {at}] = r{n};" for n, at in enumerate(columns))
    return [
        *blocks,
        f"double *partials = tables.partials + {count} * number;",
        f"if (threadIdx.x == 0) {{ {partials} }}",
        "const long long blocks = tables.parts[tensor];",
        "if (is_last(tables.arrived + tensor, blocks)) {",
        f"    partials -= {count} * (chunk[1] / {CHUNK});  // to those of the tensor's first chunk",
        *("    " + line for line in tensors),
        f"    if (threadIdx.x == 0) {{ {known} }}",
        "}",
    ]


def _one(element: Element, types: dict[int, str]) -> list[str]:
    return [
        *(f"{types[at]} x{at}{f' = p{at}[i]' if at in element.loaded else ''};" for at in element.arrays),
        f"element(same{''.join(f', x{at}' for at in element.arrays)}{_totals(element)});",
        *(f"p{at}[i] = x{at};" for at in sorted(element.stored)),
    ]


def _many(element: Element, types: dict[int, str], pack: int) -> list[str]:
    packs = {at: f"Pack<{types[at]}>" for at in element.arrays}
    return [
        *(
            f"{kind} x{at}{f' = *(const {kind} *)(p{at} + i)' if at in element.loaded else ''};"
            for at, kind in packs.items()
        ),
        "#pragma unroll",
        f"for (int k = 0; k < {pack}; ++k) element(same{''.join(f', x{at}.of[k]' for at in packs)}{_totals(element)});",
        *(f"*({packs[at]} *)(p{at} + i) = x{at};" for at in sorted(element.stored)),
    ]


def _totals(element: Element) -> str:
    return "".join(f", r{number}" for number in range(len(element.totals)))


def _of_block(text: str) -> str:
    """A field of ``Once``, as the kernel calls it."""
    return text.replace("once.", "same.", 1)


def _lines(spaces: int, lines: list[str]) -> str:
    return "\n".join(" " * spaces + line for line in lines)
