"""Copies and pickles of everything that an object holds, whether it has slots or not."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def attributes_of(owner: object) -> dict[str, Any]:
    """The attributes of an object by name, those in slots included."""
    attributes = dict(vars(owner)) if hasattr(owner, "__dict__") else {}
    for base in type(owner).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__weakref__", "__dict__") and hasattr(owner, name):
                attributes[name] = getattr(owner, name)
    return attributes


class Copied:
    """A base whose copies and pickles hold all attributes; attrs classes with slots would keep their fields alone.

    A class that says in ``__getstate__`` and ``__setstate__`` what it wants to be copied is asked.
    """

    def __copy__(self: T) -> T:
        return _filled(_empty(type(self)), _state_of(self))

    def __deepcopy__(self: T, memo: dict[int, Any]) -> T:
        new = memo[id(self)] = _empty(type(self))  # known before its attributes, which may refer to it
        return _filled(new, copy.deepcopy(_state_of(self), memo))

    def __reduce__(self) -> Any:
        return _empty, (type(self),), _state_of(self), None, None, _filled


def _empty(cls: type[T]) -> T:
    new: T = cls.__new__(cls)
    return new


def _state_of(owner: object) -> Any:
    return owner.__getstate__() if _has_own(owner, "__getstate__") else attributes_of(owner)


def _filled(new: T, state: Any) -> T:
    if _has_own(new, "__setstate__"):
        new.__setstate__(state)  # type: ignore[attr-defined] # just found
    elif isinstance(state, Mapping):
        for name, value in state.items():
            object.__setattr__(new, name, value)
    return new


def _has_own(owner: object, method: str) -> bool:
    """Whether a class has such a method that neither Python nor attrs has put there."""
    found = getattr(type(owner), method, None)
    given = getattr(object, method, None)
    return found not in (None, given) and getattr(found, "__name__", "") not in ("slots_getstate", "slots_setstate")
