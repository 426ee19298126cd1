"""What is measured: sets of tensors, and what is done to their gradients besides the optimizer's rule."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import attrs
import numpy as np

Shape: TypeAlias = tuple[int, ...]
Array: TypeAlias = np.ndarray[Any, Any]


@attrs.frozen
class Case:
    """Parameters of these shapes."""

    name: str
    shapes: tuple[Shape, ...]

    @property
    def elements(self) -> int:
        """How many numbers the parameters have together."""
        return sum(map(prod, self.shapes))

    def __str__(self) -> str:
        count = len(self.shapes)
        return f"{self.name}: {count:,} tensor{'s' * (count > 1)}, {_readable(self.elements)} parameters"


def _readable(number: int) -> str:
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def gpt2_shapes(layers: int = 12, width: int = 768, vocabulary: int = 50_257, context: int = 1_024) -> list[Shape]:
    """The parameters of a GPT-2 (Radford et al. 2019); by default its small one, 124 M in 148 tensors."""
    norm = [(width,), (width,)]
    attention = [(width, 3 * width), (3 * width,), (width, width), (width,)]
    perceptron = [(width, 4 * width), (4 * width,), (4 * width, width), (width,)]
    return [(vocabulary, width), (context, width), *layers * [*norm, *attention, *norm, *perceptron], *norm]


CASES = {
    case.name: case
    for case in (
        Case("large", ((32_000_000,),)),
        Case("gpt2", tuple(gpt2_shapes())),
        Case("small", ((1_000,),) * 1_000),
        Case("tiny", ((64,),) * 1_000),
        Case("few", ((10,), (40,), (70,), (100,))),
    )
}

QUICK = ("large", "small", "tiny", "few")
"""Cases that are over within a minute or two, ``large`` with an eighth of its elements."""


def quick(case: Case) -> Case:
    """The same, small enough for ``--quick``."""
    return Case("large", ((4_000_000,),)) if case.name == "large" else case


@attrs.frozen
class Variant:
    """What is done besides the plain step.

    Attributes:
        decay: the rate of weight decay; 0 for none.
        threshold: the global norm to which gradients are clipped; None for no clipping.
    """

    name: str
    decay: float = 0.0
    threshold: float | None = None


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("plain"),
        Variant("decay", decay=0.01),
        Variant("clipping", threshold=1.0),
        Variant("decay + clipping", decay=0.01, threshold=1.0),
    )
}


@attrs.frozen
class Numbers:
    """The arrays that every contender begins with; each makes copies of its own."""

    values: Sequence[Array]
    gradients: Sequence[Array]

    @classmethod
    def of(cls, case: Case, dtype: str) -> Numbers:
        """Random numbers, always the same."""
        generator = np.random.default_rng(0)
        arrays = []
        for scale in (0.02, 1.0):
            flat = generator.standard_normal(case.elements, np.dtype(dtype).type)
            flat *= scale
            ends = np.cumsum([prod(shape) for shape in case.shapes])
            parts = np.split(flat, ends[:-1].tolist())
            arrays.append([part.reshape(shape) for part, shape in zip(parts, case.shapes, strict=True)])
        return cls(*arrays)
