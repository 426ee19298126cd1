"""The reference: rules run as they are written, in blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from optreg.arrays import Array, device_of, real_elements
from optreg.backends import BoundRule, Tensor

BLOCK = 16_384
"""Elements a block: the four arrays of Adam take 256 KiB in float32, and NumPy's temporaries as much again."""


class NumpyBackend:
    """Runs rules on NumPy arrays in blocks, and on CuPy arrays whole."""

    name = "numpy"

    def run(self, rules: Sequence[BoundRule], tensors: Sequence[Tensor]) -> None:
        """Run the rules, one after another, on every tensor."""
        with np.errstate(all="ignore"):  # compiled kernels do not warn either; skip_nonfinite looks for the results
            for tensor in tensors:
                with device_of(tensor.data):
                    calls = list(zip(rules, tensor.slots, strict=True))
                    for elementwise, together in groupby(calls, lambda call: call[0].elementwise):
                        (_run_blocks if elementwise else _run_whole)(list(together), tensor)


def _run_whole(calls: Sequence[tuple[BoundRule, Sequence[Array]]], tensor: Tensor) -> None:
    for rule, slots in calls:
        rule.function(tensor.data, _own(rule, tensor.grad), *slots)


def _own(rule: BoundRule, grad: Array) -> Array:
    return grad.copy() if rule.overwrites_gradient else grad


def _run_blocks(calls: Sequence[tuple[BoundRule, Sequence[Array]]], tensor: Tensor) -> None:
    data = tensor.data
    if data.size == 0:
        return
    param, grad = real_elements(data), real_elements(tensor.grad)
    slots = [[_real_slot(slot, data) for slot in each] for _, each in calls]
    one_block = param.size <= BLOCK or not isinstance(data, np.ndarray)
    if one_block or not _all_alike(param, grad, slots):
        for (rule, _), each in zip(calls, slots, strict=True):
            rule.function(param, _own(rule, grad), *each)
        return
    _iterate(calls, param, grad, slots)


def _real_slot(slot: Array | None, data: Array) -> Array | None:
    return slot if slot is None or slot.dtype.kind != data.dtype.kind else real_elements(slot)


def _all_alike(param: Array, grad: Array, slots: Sequence[Sequence[Array | None]]) -> bool:
    """Whether every array has the parameter's shape, or, for a slot, no axes."""
    flat = [slot for each in slots for slot in each if slot is not None and slot.ndim]
    return all(array.shape == param.shape for array in (grad, *flat))


def _iterate(
    calls: Sequence[tuple[BoundRule, Sequence[Array]]],
    param: Array,
    grad: Array,
    slots: Sequence[Sequence[Array | None]],
) -> None:
    """Run the rules block by block; NumPy's iterator copies into its buffers where memory is not contiguous."""
    flat = [slot for each in slots for slot in each if slot is not None]
    arrays = [param, grad, *(slot for slot in flat if slot.ndim)]
    numbers = [slot for slot in flat if not slot.ndim]
    position = {id(slot): index for index, slot in enumerate([*arrays, *numbers])}
    access = [["readwrite"] for _ in arrays]
    if not any(rule.changes_gradients for rule, _ in calls):
        access[1] = ["readonly"]
    new_numbers = numbers
    with np.nditer(arrays, ["external_loop", "buffered"], access, buffersize=BLOCK) as iterator:  # type: ignore[arg-type]
        for blocks in iterator:
            # A number of the whole tensor changes once a step: every block begins with the old one.
            new_numbers = [number.copy() for number in numbers]
            here = [*blocks, *new_numbers]
            for (rule, _), each in zip(calls, slots, strict=True):
                picked = (None if slot is None else here[position[id(slot)]] for slot in each)
                rule.function(here[0], _own(rule, here[1]), *picked)
    for number, new in zip(numbers, new_numbers, strict=True):
        number[...] = new
