"""Which tensors the threads of the NumPy backend share, so that they work on several at the same time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optreg.backends.blas import BLAS
from optreg.backends.work import Group, Tensor

LARGE = 65_536
"""Elements of a tensor that a thread may take alone; with fewer, threads would mostly wait for the interpreter."""

LARGE_MATRIX = 16_384
"""The same where matrices are multiplied."""

EFFICIENCY = 0.8
"""How much two threads of BLAS in one product do, beside one thread each in two products, where it was measured."""


def shares_of(group: Group, threads: int) -> tuple[Sequence[Tensor], Sequence[Sequence[Tensor]]]:
    """The tensors to be worked on first, without threads of ours, and what our threads take of the others at a time.

    Where a rule does not say ``tensors_in_parallel``, the first are all. Where it says ``multiplies_matrices``, they
    are those that would keep one of our threads busy when the others have ended: the threads of BLAS share such a one.
    """
    willing = [bound for bound in group.rules if getattr(bound.owner, "tensors_in_parallel", False)]
    # What has been traced changes nothing but its arrays.
    if threads == 1 or not willing or not all(bound in willing or bound.of_real_elements for bound in group.rules):
        return group.tensors, []
    with_products = any(getattr(bound.owner, "multiplies_matrices", False) for bound in willing)
    on_host = all(isinstance(tensor.parameter.data, np.ndarray) for tensor in group.tensors)
    if not on_host or (with_products and not BLAS.can_be_limited):
        return group.tensors, []
    # The largest first, so that threads end at the same time.
    tensors = sorted(group.tensors, key=_size, reverse=True)
    first = 0
    if with_products:
        left = sum(map(_size, tensors))
        while first < len(tensors) and _size(tensors[first]) * threads * EFFICIENCY > left:
            left -= _size(tensors[first])
            first += 1
    least = LARGE_MATRIX if with_products else LARGE
    large = [[tensor] for tensor in tensors[first:] if _size(tensor) >= least]
    small = tensors[first + len(large) :]
    shares = [*large, small] if small else large
    if len(shares) == 1 and not with_products:  # nothing to share, so BLAS may use its threads
        return group.tensors, []
    return tensors[:first], shares


def _size(tensor: Tensor) -> int:
    size: int = tensor.parameter.data.size
    return size
