"""Master weights: a copy of a parameter in the dtype of its arithmetic, so that small updates are not rounded away.

The copy is in the state of the parameter, under the key :data:`MASTER`. Rules read and change it in the parameter's
place, and then the parameter gets its rounding. Where an element of the parameter is not the rounding of the copy's,
somebody else has changed it, and the copy takes it over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from optreg.arrays import Array, compute_dtype, device_of
from optreg.errors import OptregError

MASTER = "master"
"""The key of the copy in a state; no slot of an optimizer may be called so."""


def wants_master(owner: Any, data: Array) -> bool:
    """Whether a parameter is to have a copy, with the hyperparameters that its optimizer has at the moment."""
    return getattr(owner, "master_weights", False) is True and compute_dtype(data.dtype) != data.dtype


def has_master(owner: Any, state: Mapping[str, Any]) -> bool:
    """Whether a state of an optimizer or hook has a copy of the parameter."""
    return MASTER in state and hasattr(type(owner), "master_weights")


def check_slots(owner: Any, state: Mapping[str, Any]) -> None:
    """Raise an OptregError for a slot that would be taken for a copy."""
    if has_master(owner, state):
        raise OptregError(
            f"{type(owner).__name__} has a slot called {MASTER!r}, but under this name an optimizer keeps the copies "
            f"of parameters that master_weights=True asks for; give the slot another name"
        )


def new_master(data: Array) -> Array:
    """The copy of a parameter's array."""
    with device_of(data):
        return data.astype(compute_dtype(data.dtype))


def present(master: Array, param: Array, stored: np.dtype[Any]) -> Array:
    """What the parameter is in full precision: a new array, of the copy where that rounds to the parameter."""
    return np.where(master.astype(stored) == param, master, param)


class Widened:
    """A parameter as its copy, with the gradient in the same dtype; whatever else it has is the parameter's own."""

    def __init__(self, parameter: Any, master: Array) -> None:
        self._parameter = parameter
        self.data = master
        grad = getattr(parameter, "grad", None)
        self.grad = None if grad is None else grad.astype(master.dtype, copy=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parameter, name)


@contextmanager
def widened(owner: Any, parameter: Any, state: Mapping[str, Any]) -> Iterator[Any]:
    """The parameter, or else its copy to be changed, of which the parameter gets the rounding afterwards."""
    if not has_master(owner, state):
        yield parameter
        return
    master, data = state[MASTER], parameter.data
    master[...] = present(master, data, data.dtype)
    copy = Widened(parameter, master)
    yield copy
    if copy.data is not master:
        master[...] = copy.data
    data[...] = master
