"""Numbers that an optimizer finds out by itself and remembers, as ``remembered()`` declares them."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import attrs

from optreg.hyperparameters import REMEMBERED

_INITIALS: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


def remembered_by(owner: object) -> dict[str, Any]:
    """The numbers that an optimizer remembers, by name."""
    return {name: getattr(owner, name) for name in _initials(type(owner))}


def remember(owner: object, numbers: dict[str, Any]) -> None:
    """Give an optimizer the numbers to remember."""
    for name, value in numbers.items():
        object.__setattr__(owner, name, value)


def begin_anew(owner: object) -> None:
    """Make the numbers that an optimizer remembers what they are at first."""
    initials = _initials(type(owner))
    remember(owner, {name: each(owner) if callable(each) else each for name, each in initials.items()})


def _initials(cls: type) -> dict[str, Any]:
    if cls not in _INITIALS:
        fields = attrs.fields(cls) if attrs.has(cls) else ()
        _INITIALS[cls] = {field.name: field.metadata[REMEMBERED] for field in fields if REMEMBERED in field.metadata}
    return _INITIALS[cls]
