"""The hyperparameters of an optimizer or hook: which there are, and what they are at a step."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import attrs

from optreg.errors import UnknownHyperparameterError, did_you_mean
from optreg.hyperparameters import Hyperparameter

NOTHING: Mapping[str, Any] = {}
"""No hyperparameters in place of the usual ones."""


@attrs.frozen
class Signature:
    """The hyperparameters of a class by name; an ``open`` one takes any keyword."""

    fields: Mapping[str, Hyperparameter]
    open: bool

    def is_common(self, name: str) -> bool:
        """Whether a hyperparameter is set once an object of the class is made."""
        return name in self.fields and self.fields[name].is_common

    def check_names(self, cls: type, names: Iterable[str]) -> None:
        """Raise for the first of ``names`` that the class does not have."""
        for name in names:
            if name not in self.fields and not self.open:
                listed = ", ".join(self.fields) or "none"
                raise UnknownHyperparameterError(
                    f"{cls.__name__} has no hyperparameter {name!r}; it has: {listed}.{did_you_mean(name, self.fields)}"
                )


_SIGNATURES: WeakKeyDictionary[type, Signature] = WeakKeyDictionary()


def signature(cls: type) -> Signature:
    """The hyperparameters of a class: the arguments of its ``__init__``, with what attrs knows of them."""
    if cls not in _SIGNATURES:
        _SIGNATURES[cls] = _read_signature(cls)
    return _SIGNATURES[cls]


def _read_signature(cls: type) -> Signature:
    shared: Mapping[str, Hyperparameter] = getattr(cls, "common_hyperparameters", NOTHING)
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return Signature(shared, open=False)
    known = {field.alias: field for field in attrs.fields(cls)} if attrs.has(cls) else {}
    fields: dict[str, Hyperparameter] = {}
    takes_any = False
    for argument in list(inspect.signature(cls.__init__).parameters.values())[1:]:  # type: ignore[misc]
        if argument.kind in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL):
            takes_any |= argument.kind is argument.VAR_KEYWORD
            continue
        field = known.get(argument.name)
        default = attrs.NOTHING if argument.default is argument.empty else argument.default
        fields[argument.name] = Hyperparameter.described(argument.name, default, field, argument.annotation)
    for name, each in shared.items():
        fields.setdefault(name, each)
    return Signature(fields, takes_any)


def common(cls: type) -> dict[str, Hyperparameter]:
    """The fields of an attrs class, as hyperparameters that are no arguments of the classes that have them."""
    described = (Hyperparameter.described(each.name, each.default, each, each.type) for each in attrs.fields(cls))
    return {each.name: attrs.evolve(each, is_common=True) for each in described}


def values_of(owner: object) -> dict[str, Any]:
    """The present hyperparameters of an optimizer or hook, by name, schedules as they are."""
    return {
        name: getattr(owner, each.attribute)
        for name, each in signature(type(owner)).fields.items()
        if hasattr(owner, each.attribute)
    }


def values_at(owner: object, t: int) -> dict[str, Any]:
    """What ``owner``'s attributes that are schedules must become for step ``t``; usually nothing."""
    changed: dict[str, Any] = {}
    for each in signature(type(owner)).fields.values():
        value = getattr(owner, each.attribute, None)
        if callable(value) and each.is_schedule(value):
            changed[each.attribute] = each.at(owner, value, t)
    return changed


def overrides_at(owner: object, t: int, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What ``owner``'s attributes must become for step ``t`` where overrides by name take their place."""
    changed: dict[str, Any] = {}
    for name, value in overrides.items():
        each = hyperparameter(owner, name)
        scheduled = callable(value) and each.is_schedule(value)
        changed[each.attribute] = each.at(owner, value, t) if scheduled else value
    return changed


def hyperparameter(owner: object, name: str) -> Hyperparameter:
    """A hyperparameter by name; one that ``__init__`` takes as a further keyword is what the attribute says."""
    fields = signature(type(owner)).fields
    return fields[name] if name in fields else Hyperparameter(name, name, getattr(owner, name, None), "", "", None)


@contextmanager
def holding(owner: object, values: Mapping[str, Any]) -> Iterator[None]:
    """Give ``owner``'s attributes other values for a while, past the validators, which have seen them."""
    kept = {attribute: getattr(owner, attribute) for attribute in values}
    try:
        for attribute, value in values.items():
            object.__setattr__(owner, attribute, value)
        yield
    finally:
        for attribute, value in kept.items():
            object.__setattr__(owner, attribute, value)
