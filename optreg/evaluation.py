"""Weights to evaluate with, where these are other ones than those that are trained: averages, mostly."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from optreg.arrays import Array, compute_dtype, device_of
from optreg.errors import OptregError
from optreg.masters import MASTER, has_master, present
from optreg.passes import groups_at, step_of
from optreg.signatures import holding, values_at
from optreg.targets import named_parameters


@contextmanager
def evaluation_weights(optimizer: Any) -> Iterator[None]:
    """Put the weights to evaluate with into the parameters' arrays, and take them out again at the end.

    Raises:
        OptregError: more than one of the optimizer and its hooks has such weights; or this is done already.
    """
    refuse_while_evaluating(optimizer, "evaluation_weights()")
    owner = _owner(optimizer)
    kept: list[tuple[Array, Array]] = []
    optimizer._is_evaluating = True
    try:
        for values, members in groups_at(optimizer, named_parameters(optimizer.target), max(optimizer.t, 1)):
            with holding(optimizer, values):
                for name, parameter in members:
                    _replace(optimizer, owner, name, parameter.data, kept)
        yield
    finally:
        for array, trained in kept:
            with device_of(array):
                array[...] = trained
        del optimizer._is_evaluating


def refuse_while_evaluating(optimizer: Any, what: str) -> None:
    """Raise an OptregError where the parameters hold weights to evaluate with."""
    if optimizer._is_evaluating:
        raise OptregError(
            f"{what} was called inside of evaluation_weights(), where the parameters are not those that are trained; "
            f"call it after the block"
        )


def _owner(optimizer: Any) -> Any:
    """What has weights to evaluate with: the optimizer, one of its hooks, or None."""
    found = {name: hook for name, hook in optimizer._hooks.items() if _gives_weights(hook)}
    if _gives_weights(optimizer):
        found = {type(optimizer).__name__: optimizer, **found}
    if len(found) > 1:
        raise OptregError(
            f"{' and '.join(found)} each have weights to evaluate with, and which of them are meant is not known; "
            f"keep one of them"
        )
    return next(iter(found.values()), None)


def _gives_weights(owner: Any) -> bool:
    return callable(getattr(type(owner), "evaluation_weight", None))


def _replace(optimizer: Any, owner: Any, name: str, data: Array, kept: list[tuple[Array, Array]]) -> None:
    states = optimizer._states if owner is optimizer else _states_of_hook(optimizer, owner)
    if owner is None or name not in states:  # a hook that has seen no step yet
        return
    slots = {slot: states[name][slot] for slot in _slots_of(type(owner).evaluation_weight)}
    hyperparameters = {} if owner is optimizer else values_at(owner, step_of(owner, optimizer.t))
    with device_of(data), holding(owner, hyperparameters):
        weight = owner.evaluation_weight(_in_full(optimizer, name, data), **slots)
        kept.append((data, data.copy()))
        data[...] = weight


def _in_full(optimizer: Any, name: str, data: Array) -> Array:
    """A parameter in the dtype of its arithmetic: its master weights, where it has these."""
    state = optimizer._states.get(name, {})
    if has_master(optimizer, state):
        return present(state[MASTER], data, data.dtype)
    return data.astype(compute_dtype(data.dtype), copy=False)


def _states_of_hook(optimizer: Any, hook: Any) -> Any:
    return next((optimizer._hook_states.get(name, {}) for name, each in optimizer._hooks.items() if each is hook), {})


@cache
def _slots_of(method: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(method).parameters)[2:]
