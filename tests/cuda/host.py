"""The element functions of rules, compiled for the host: the text that a CUDA kernel has, in a plain loop."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from optreg.backends.element_source import element_source, type_of
from optreg.tracing.nodes import Rule

COMPILER = shutil.which("g++")

_PRELUDE = """\
#include <math.h>
#define OPTREG_FUNCTION static inline
#define OPTREG_INFINITY INFINITY
struct Half { unsigned short bits; };
"""

_HALF = """\
typedef short Halves __attribute__((vector_size(16)));
typedef float Floats __attribute__((vector_size(16)));
OPTREG_FUNCTION float to_float(Half half) { return __builtin_ia32_vcvtph2ps(Halves{(short)half.bits})[0]; }
OPTREG_FUNCTION Half to_half(float number) {
    return Half{(unsigned short)__builtin_ia32_vcvtps2ph(Floats{number}, 0)[0]};
}
"""
# (What the header immintrin.h offers under other names; it takes the compiler a second.)


def on_host(text: str) -> str:
    """What has to stand before text that stands after the prelude of CUDA on a device."""
    return _PRELUDE + (_HALF if "to_float(" in text or "to_half(" in text else "")


_LOOP = """\
extern "C" void {name}(void **arrays, const double *scalars, long long count) {{
    using namespace of_{name};
{pointers}
    const Once same = once((const Word *)scalars, nullptr{numbers});
    for (long long i = 0; i < count; ++i) element(same{elements});
{new_numbers}
}}
"""


def compiled(rules: Sequence[Rule], directory: Path) -> list[Callable[..., None]]:
    """Functions ``run(arrays, owner_by_name)`` that do to arrays what the rules do."""
    text = "".join(_function(rule, f"rule{number}") for number, rule in enumerate(rules))
    source, target = directory / "rules.cpp", directory / "rules.so"
    source.write_text(on_host(text) + text, encoding="utf-8")
    options = ["-std=c++17", "-O2", "-mf16c", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wno-unused"]
    made = subprocess.run([str(COMPILER), *options, source, "-o", target], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[:3000]
    library = ctypes.CDLL(str(target))
    return [_caller(library[f"rule{number}"], rule) for number, rule in enumerate(rules)]


def _function(rule: Rule, name: str) -> str:
    element = element_source(rule)
    touched = {*element.numbers, *element.arrays, *(at for at, _ in element.new_numbers)}
    pointers = (f"    {(t := type_of(rule.inputs[at].dtype))} *p{at} = ({t} *)arrays[{at}];" for at in sorted(touched))
    return f"namespace of_{name} {{\n{element.text}}}\n" + _LOOP.format(
        name=name,
        pointers="\n".join(pointers),
        numbers="".join(f", *p{at}" for at in element.numbers),
        elements="".join(f", p{at}[i]" for at in element.arrays),
        new_numbers="\n".join(f"    *p{at} = {text.replace('once.', 'same.')};" for at, text in element.new_numbers),
    )


def _caller(function: Any, rule: Rule) -> Callable[..., None]:
    def run(arrays: Sequence[Any], **owner: Any) -> None:
        scope = {**owner, "np": np}
        scalars = np.array([float(eval(source, scope)) for source in rule.scalars] or [0.0])
        addresses = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        count = ctypes.c_longlong(max(array.size for array in arrays))
        function(addresses, ctypes.c_void_p(scalars.ctypes.data), count)

    return run
