"""What an optimizer or hook holds beside arrays, as JSON and back: hyperparameters, random generators, extra state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from optreg.config import plain
from optreg.errors import CheckpointError, ConfigError, OptregError
from optreg.hyperparameters import signature, values_of

FUNCTION = "__function__"
"""Marks a value that is a function: it is named, but not saved."""


def snapshot(owner: Any) -> dict[str, Any]:
    """What :func:`restoration` needs to give an optimizer or hook of the same class the same values."""
    extra = owner.get_extra_state() if callable(getattr(owner, "get_extra_state", None)) else None
    return {
        "hyperparameters": {name: written(value) for name, value in values_of(owner).items()},
        "generators": {name: _encoded(generator.state) for name, generator in _generators(owner)},
        "extra": _encoded(extra),
    }


def written(value: Any) -> Any:
    """The value as plain data; one that cannot be is only named."""
    try:
        return plain(value, "")
    except ConfigError:
        return {FUNCTION: getattr(value, "__qualname__", None) or repr(value)}


def read_back(owner: Any, name: str, value: Any, present: Any) -> Any:
    """A hyperparameter's value from what :func:`written` gave, checked; ``present`` where it was only named.

    Raises:
        CheckpointError: it was a function, and there is none now; or the class has no such hyperparameter.
        HyperparameterError: it is out of the bounds that the class now has.
    """
    fields = signature(type(owner)).fields
    if name not in fields:
        raise CheckpointError(f"{type(owner).__name__} has no hyperparameter {name}")
    if isinstance(value, Mapping) and FUNCTION in value:
        if present is None or isinstance(present, (bool, int, float, str)):
            raise CheckpointError(
                f"{name} was {value[FUNCTION]}, which cannot be saved, and is {present!r} now; set it before you load"
            )
        return present
    return fields[name].checked(owner, value)


def restoration(owner: Any, saved: Mapping[str, Any]) -> Callable[[], None]:
    """A function that gives ``owner`` the saved values, all of which are checked now.

    Raises:
        CheckpointError: the values do not fit.
    """
    values = _checked_values(owner, saved["hyperparameters"])
    generators = dict(_generators(owner))
    if generators.keys() != saved["generators"].keys():
        raise CheckpointError(
            f"the random generators are {', '.join(saved['generators']) or 'none'} in the file "
            f"and {', '.join(generators) or 'none'} here"
        )

    def restore() -> None:
        for attribute, value in values.items():
            object.__setattr__(owner, attribute, value)
        for name, generator in generators.items():
            generator.state = _decoded(saved["generators"][name])
        if saved["extra"] is not None:
            owner.set_extra_state(_decoded(saved["extra"]))

    return restore


def _checked_values(owner: Any, saved: Mapping[str, Any]) -> dict[str, Any]:
    fields = signature(type(owner)).fields
    present = values_of(owner)
    try:
        return {
            fields[name].attribute if name in fields else name: read_back(owner, name, value, present.get(name))
            for name, value in saved.items()
        }
    except (OptregError, TypeError, ValueError) as error:
        raise CheckpointError(str(error)) from error


def _generators(owner: Any) -> Iterator[tuple[str, Any]]:
    """The bit generators of the ``numpy.random`` generators that an object holds, by attribute."""
    names = dict.fromkeys(vars(owner) if hasattr(owner, "__dict__") else ())
    if attrs.has(type(owner)):
        names |= dict.fromkeys(field.name for field in attrs.fields(type(owner)))
    for name in names:
        value = getattr(owner, name, None)
        if isinstance(value, np.random.Generator):
            yield name, value.bit_generator
        elif isinstance(value, np.random.RandomState):
            yield name, value._bit_generator


def _encoded(value: Any) -> Any:
    """Plain data of nested dicts, in which arrays are marked lists."""
    if isinstance(value, np.ndarray):
        return {"__array__": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, Mapping):
        return {key: _encoded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encoded(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "__array__" in value:
            return np.array(value["__array__"], dtype=value["dtype"])
        return {key: _decoded(each) for key, each in value.items()}
    return [_decoded(each) for each in value] if isinstance(value, list) else value
