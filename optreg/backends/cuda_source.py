"""The text of a CUDA kernel: a traced rule on the elements of many tensors, in one launch.

A block works on one chunk::

    step<<<chunks, THREADS>>>(addresses, groups, chunks, parts, arrived, first_chunk, first_row, scalars)

Tensor ``k`` has the array ``j`` of the rule at ``addresses[k, j]``, and the hyperparameters of the row ``groups[k]``.
Chunk ``c`` is ``chunks[c]``: a tensor, and where in it the chunk begins and ends. All of them are int64, on the device.
``scalars`` are rows of float64 in the launch itself, the first of them that of ``first_row``: nothing has to be sent to
the device, or waited for, when only they change.

Slots that are one number a tensor are read by every block of the tensor. The last one to have read them writes the new
ones: ``parts[k]`` is the number of chunks of tensor ``k``, ``arrived[k]`` counts them (uint32, zero before and after).
"""

from __future__ import annotations

from optreg.backends.element_source import Element, element_source, type_of
from optreg.tracing.nodes import Rule

THREADS = 256
"""Of a block."""
CHUNK = 8192
"""Elements of a chunk."""
NAME = "step"
OPTIONS = ("--std=c++17", "--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false")
"""What NVRTC has to be told so that the bits are those of NumPy."""
WORDS = 480
"""Numbers of eight bytes that fit into the 4 KiB of a launch's arguments, beside the addresses."""

PRELUDE = """\
#define OPTREG_FUNCTION static __device__ __forceinline__
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

_KERNEL = """\
struct Scalars {{ double of[{scalars}]; }};
template <class T> struct alignas(16) Pack {{ T of[{pack}]; }};

extern "C" __global__ void __launch_bounds__({threads}) {name}(
    const long long *addresses, const long long *groups, const long long *chunks, const long long *parts,
    unsigned int *arrived, const long long first_chunk, const long long first_row,
    const __grid_constant__ Scalars scalars)
{{
    const long long *const chunk = chunks + 3 * (first_chunk + blockIdx.x);
    const long long tensor = chunk[0];
    const int count = (int)(chunk[2] - chunk[1]);
    const long long *const address = addresses + {width} * tensor;
{pointers}
    const Once same = once(scalars.of + {columns} * (groups[tensor] - first_row){numbers});
{new_numbers}
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
}}
"""

_NEW_NUMBERS = """\
    __syncthreads();
    if (threadIdx.x == 0) {{
        __threadfence();
        if (atomicAdd(arrived + tensor, 1u) == parts[tensor] - 1) {{
            arrived[tensor] = 0;
            __threadfence();
{writes}
        }}
    }}
"""


def cuda_source(rule: Rule, rows: int = 1) -> str:
    """Write the kernel of a rule.

    Args:
        rule: joined by ``chain``.
        rows: of scalars that a launch holds.

    Raises:
        UntraceableRuleError: it computes something that cannot be done in CUDA as NumPy does it.
    """
    element = element_source(rule)
    types = {position: type_of(each.dtype) for position, each in enumerate(rule.inputs)}
    sizes = {position: rule.inputs[position].dtype.itemsize for position in element.arrays}
    narrowest = min(element.arrays, key=lambda position: sizes[position], default=None)
    pack = 1 if narrowest is None else max(1, 16 // sizes[narrowest])
    writes = [f"*({types[at]} *)address[{at}] = {_of_block(text)};" for at, text in element.new_numbers]
    return (
        PRELUDE
        + element.text
        + _KERNEL.format(
            name=NAME,
            threads=THREADS,
            scalars=max(1, rows * len(rule.scalars)),
            columns=len(rule.scalars),
            width=len(rule.inputs),
            pack=pack,
            pointers=_lines(
                4, [f"{types[at]} *const p{at} = ({types[at]} *)address[{at}] + chunk[1];" for at in sizes]
            ),
            numbers="".join(f", *(const volatile {types[at]} *)address[{at}]" for at in element.numbers),
            new_numbers=_NEW_NUMBERS.format(writes=_lines(12, writes)) if writes else "",
            narrowest="chunk" if narrowest is None else f"p{narrowest}",
            itemsize=1 if narrowest is None else sizes[narrowest],
            disagree="".join(f" || (unsigned long long)(p{at} + head) & 15" for at in sizes),
            one=_lines(8, _one(element, types)),
            many=_lines(8, _many(element, types, pack)),
        )
    )


def _pointer(at: int, kind: str) -> list[str]:
    # An address out of a table might be anywhere; accesses are quicker where the compiler knows that it is global.
    return [f"{kind} *const p{at} = ({kind} *)address[{at}] + chunk[1];", f"__builtin_assume(__isGlobal(p{at}));"]


def _one(element: Element, types: dict[int, str]) -> list[str]:
    return [
        *(f"{types[at]} x{at}{f' = p{at}[i]' if at in element.loaded else ''};" for at in element.arrays),
        f"element(same{''.join(f', x{at}' for at in element.arrays)});",
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
        f"for (int k = 0; k < {pack}; ++k) element(same{''.join(f', x{at}.of[k]' for at in packs)});",
        *(f"*({packs[at]} *)(p{at} + i) = x{at};" for at in sorted(element.stored)),
    ]


def _of_block(text: str) -> str:
    """A field of ``Once``, as the kernel calls it."""
    return text.replace("once.", "same.", 1)


def _lines(spaces: int, lines: list[str]) -> str:
    return "\n".join(" " * spaces + line for line in lines)
