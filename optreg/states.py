"""States: what an optimizer or hook remembers of each parameter, by the parameter's path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from optreg.arrays import Array, is_array, moved_beside, zero_state
from optreg.errors import CheckpointError, TargetError
from optreg.masters import MASTER, Widened, check_slots, new_master, wants_master
from optreg.rule import used_slots


class States(dict[str, dict[str, Any]]):
    """The state of every parameter that has been seen, by path.

    Attributes:
        waiting: states that a checkpoint brought for parameters that are not initialized yet.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[str, dict[str, Array]] = {}
        self._made_for: dict[str, tuple[tuple[int, ...], Any]] = {}

    def prepare(self, owner: Any, parameters: Sequence[tuple[str, Any]]) -> None:
        """Make the states that are missing, and move those whose parameter has moved to another device.

        Raises:
            TargetError: a parameter now has another shape or dtype than its state was made for.
        """
        for name, parameter in parameters:
            data = parameter.data
            if name not in self:
                self[name] = self.new(owner, name, parameter)
                self._made_for[name] = (data.shape, data.dtype)
            elif self._made_for[name] != (data.shape, data.dtype):
                shape, dtype = self._made_for[name]
                raise TargetError(
                    f"the parameter {name} was {shape} {dtype} and is now {data.shape} {data.dtype}, so its state in "
                    f"{type(owner).__name__} does not fit it any more; call setup() again to begin with new states"
                )
            else:
                state = self[name]
                for key, value in state.items():
                    if type(value) is not type(data) or not isinstance(data, np.ndarray):
                        state[key] = moved_beside(value, data) if is_array(value) else value

    def new(self, owner: Any, name: str, parameter: Any) -> dict[str, Any]:
        """The state of a parameter before its first step, with what a checkpoint brought for it."""
        state: dict[str, Any] = {}
        master = new_master(parameter.data) if wants_master(owner, parameter.data) else None
        seen = parameter if master is None else Widened(parameter, master)
        owner.init_state(seen, state)
        fill_slots(owner, seen, state)
        check_slots(owner, state)
        if master is not None:
            state[MASTER] = master
        if name in self.waiting:
            check_fit(name, state, self.waiting[name])
            fill(state, self.waiting.pop(name))
        return state

    def serialize(self, serializer: Any) -> None:
        """Write or read every state through a serializer of Chainer's kind; what is read is taken whole or not at all.

        Raises:
            KeyError: what is read lacks a value.
            CheckpointError: a value has another shape.
        """
        writes = hasattr(serializer, "save")  # of Chainer's two kinds, the one that need not be given copies
        read: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        for name, state in self.items():
            exchange = serializer[name]
            values = {
                key: exchange(key, value.copy() if is_array(value) and not writes else value)
                for key, value in state.items()
            }
            read.append((name, state, {key: state[key] if new is None else new for key, new in values.items()}))
        if writes:
            for name, state in self.waiting.items():
                for key, value in state.items():
                    serializer[name](key, value)
            return
        for name, state, values in read:
            check_fit(name, state, values)
        for _, state, values in read:
            fill(state, values)


def fill_slots(owner: Any, parameter: Any, state: dict[str, Any]) -> None:
    """Add zeros for the slots of the rule that the state lacks."""
    for slot in used_slots(owner, parameter):
        if slot not in state:
            state[slot] = zero_state(parameter.data)


def misfits(state: Mapping[str, Any], values: Mapping[str, Any], *, exact: bool = False) -> list[str]:
    """What keeps ``values`` from being filled into ``state``, one phrase for each key.

    Args:
        state: as it is at present; a value that is None takes anything.
        values: by the same keys.
        exact: dtypes must be the same; else, those that NumPy converts to each other will do.
    """
    found = []
    for key in sorted(state.keys() | values.keys()):
        if key not in state:
            found.append(f"{key} is unexpected")
        elif key not in values:
            found.append(f"{key} is missing")
        elif state[key] is not None and values[key] is not None:
            found.extend(f"{key} {misfit}" for misfit in _misfits_of_value(state[key], values[key], exact))
    return found


def _misfits_of_value(present: Any, value: Any, exact: bool) -> Iterator[str]:
    if (is_array(present) or is_array(value)) and np.shape(value) != np.shape(present):
        yield f"has the shape {np.shape(value)} instead of {np.shape(present)}"
    elif is_array(present) and is_array(value):
        new, old = value.dtype.newbyteorder("="), present.dtype.newbyteorder("=")
        if new != old if exact else not np.can_cast(new, old, "same_kind"):
            yield f"is of dtype {value.dtype} instead of {present.dtype}"


def check_fit(name: str, state: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raise a CheckpointError unless ``values`` have the keys and shapes of ``state``."""
    wrong = misfits(state, values)
    if wrong:
        raise CheckpointError(f"the loaded state of {name} does not fit: {', '.join(wrong)}; nothing was loaded")


def fill(state: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put values into a state that they fit: arrays in place, and arrays for numbers as numbers."""
    for key, value in values.items():
        present = state[key]
        if is_array(present) and value is not None:
            present[...] = moved_beside(value, present) if is_array(value) else value
        elif is_array(value) and isinstance(present, (bool, int, float, complex, np.generic)):
            state[key] = value[()] if isinstance(present, np.generic) else value.item()
        else:
            state[key] = value
