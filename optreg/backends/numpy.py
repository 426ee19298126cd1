"""The reference: rules run as they are written, in blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain, groupby
from typing import Any, TypeAlias

import numpy as np

from optreg.arrays import Array, compute_dtype, device_of, real_elements
from optreg.backends.blas import BLAS
from optreg.backends.shares import shares_of
from optreg.backends.work import BoundRule, Group, Tensor, Work
from optreg.backends.workers import WORKERS, thread_count
from optreg.masters import MASTER, present
from optreg.rule import BEFORE, sees_before

BLOCK = 16_384
"""Elements a block: the four arrays of Adam take 256 KiB in float32, and NumPy's temporaries as much again."""


Slots: TypeAlias = Sequence[Sequence[Array | None]]
Call: TypeAlias = tuple[BoundRule, Sequence[Array | None]]
"""A rule with its slots of one tensor."""


class NumpyBackend:
    """Runs rules on NumPy arrays in blocks, and on CuPy arrays whole."""

    name = "numpy"

    def run(self, work: Work) -> None:
        """Run the rules of every group, one after another, on every tensor."""
        with work.hooks_held():
            for group in work.groups:
                befores = [
                    (number, bound.rule.slots.index(BEFORE))
                    for number, bound in enumerate(group.rules)
                    if sees_before(bound.owner)
                ]
                with work.held(group):
                    alone, shares = shares_of(group, thread_count())
                    _run_each(alone, group, befores)
                    if shares:
                        with BLAS.one_thread_each():
                            WORKERS.run([partial(_run_each, share, group, befores) for share in shares], thread_count())


def _run_each(tensors: Sequence[Tensor], group: Group, befores: Sequence[tuple[int, int]]) -> None:
    for tensor in tensors:
        _run(tensor, group, befores)


def _run(tensor: Tensor, group: Group, befores: Sequence[tuple[int, int]]) -> None:
    # Compiled kernels do not warn either; skip_nonfinite looks at the results.
    with np.errstate(all="ignore"), device_of(tensor.parameter.data):
        _run_on(tensor, group, befores)


def _run_on(tensor: Tensor, group: Group, befores: Sequence[tuple[int, int]]) -> None:
    data, grad = tensor.parameter.data, tensor.parameter.grad
    master = None if tensor.master_in is None else tensor.master_in[MASTER]
    slots_of_rules = tensor.slots(group.rules)
    for number, at in befores:  # the parameter as it is now, unless it was kept in the beginning of the step
        if slots_of_rules[number][at] is None:
            wide = data.astype(compute_dtype(data.dtype))
            slots_of_rules[number][at] = wide if master is None else present(master, data, data.dtype)
    calls = list(zip(group.rules, slots_of_rules, strict=True))
    runs = [
        (key, list(run)) for key, run in groupby(calls, lambda call: (call[0].of_real_elements, call[0].elementwise))
    ]
    if len(runs) > 1 and data.size and any(compute_dtype(array.dtype) != array.dtype for array in (data, grad)):
        # Between the rules of a pass nothing is rounded to float16.
        runs = [((False, False), calls)]
    for (real, in_blocks), together in runs:
        if real:
            _run_on_elements(together, data, grad, master, in_blocks)
        else:
            _run_at_once(together, data, grad, master, [slots for _, slots in together])


def _run_on_elements(
    calls: Sequence[Call], data: Array, gradient: Array, master: Array | None, in_blocks: bool
) -> None:
    if data.size == 0:
        return
    param, grad = real_elements(data), real_elements(gradient)
    slots = [[_real_slot(slot, data) for slot in each] for _, each in calls]
    one_block = param.size <= BLOCK or not isinstance(data, np.ndarray)
    if not in_blocks or one_block or not _all_alike(param, grad, slots):
        _run_at_once(calls, param, grad, master, slots)
    else:
        _iterate(calls, param, grad, master, slots)


def _run_at_once(calls: Sequence[Call], param: Array, grad: Array, master: Array | None, slots: Slots) -> None:
    """Run the rules on whole arrays; float16 in copies of the dtype of its arithmetic."""
    work, work_grad = _computable(param) if master is None else present(master, param, param.dtype), _computable(grad)
    work_slots = [[None if slot is None else _computable(slot) for slot in each] for each in slots]
    for (rule, _), each in zip(calls, work_slots, strict=True):
        rule.function(work, _own(rule, work_grad), *each)
    if _change_parameter(calls):
        _store(param, work)
        if master is not None:
            master[...] = work
    if _change_gradients(calls):
        _store(grad, work_grad)
    for slot, new in zip(chain.from_iterable(slots), chain.from_iterable(work_slots), strict=True):
        if slot is not None:
            _store(slot, new)


def _computable(array: Array) -> Array:
    return array.astype(compute_dtype(array.dtype), copy=False)


def _store(array: Array, new: Array) -> None:
    if new is not array:
        array[...] = new


def _own(rule: BoundRule, grad: Array) -> Array:
    return grad.copy() if rule.overwrites_gradient else grad


def _change_gradients(calls: Sequence[Call]) -> bool:
    return any(rule.changes_gradients for rule, _ in calls)


def _change_parameter(calls: Sequence[Call]) -> bool:
    return any(rule.changes_parameter for rule, _ in calls)


def _real_slot(slot: Array | None, data: Array) -> Array | None:
    return slot if slot is None or slot.dtype.kind != data.dtype.kind else real_elements(slot)


def _all_alike(param: Array, grad: Array, slots: Sequence[Sequence[Array | None]]) -> bool:
    """Whether every array has the parameter's shape, or, for a slot, no axes."""
    flat = [slot for each in slots for slot in each if slot is not None and slot.ndim]
    return all(array.shape == param.shape for array in (grad, *flat))


def _iterate(calls: Sequence[Call], param: Array, grad: Array, master: Array | None, slots: Slots) -> None:
    """Run the rules block by block; NumPy's iterator copies into its buffers where it has to convert or gather."""
    flat = [slot for each in slots for slot in each if slot is not None]
    arrays = [param, grad, *(slot for slot in flat if slot.ndim), *([] if master is None else [master])]
    numbers = [slot for slot in flat if not slot.ndim]
    position = {id(slot): index for index, slot in enumerate([*arrays, *numbers])}
    access: list[list[Any]] = [["readwrite"] for _ in arrays]
    if not _change_gradients(calls):
        access[1] = ["readonly"]
    blocks_of = np.nditer(
        arrays,
        ["external_loop", "buffered"],
        access,
        [compute_dtype(array.dtype) for array in arrays],
        casting="same_kind",
        buffersize=BLOCK,
    )
    new_numbers = numbers
    with blocks_of:
        for blocks in blocks_of:
            # A number of the whole tensor changes once a step: every block begins with the old one.
            new_numbers = [number.astype(compute_dtype(number.dtype)) for number in numbers]
            here = [*blocks, *new_numbers]
            work = blocks[0] if master is None else present(blocks[-1], blocks[0], param.dtype)
            for (rule, _), each in zip(calls, slots, strict=True):
                picked = (None if slot is None else here[position[id(slot)]] for slot in each)
                rule.function(work, _own(rule, here[1]), *picked)
            if master is not None and _change_parameter(calls):
                blocks[0][...] = blocks[-1][...] = work
    for number, new in zip(numbers, new_numbers, strict=True):
        number[...] = new
