"""What an optimizer or hook holds beside arrays, as JSON and back: hyperparameters, random generators, extra state."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import attrs
import numpy as np

from optreg.encoding import decoded, encoded
from optreg.errors import CheckpointError
from optreg.signatures import signature

UNSAVED = "__unsaved__"
"""Marks a value that is a function or another object: it is named, but not saved."""


def snapshot(owner: Any) -> dict[str, Any]:
    """What the functions below need to give an optimizer or hook of the same class the same values.

    Raises:
        CheckpointError: its extra state cannot be saved without pickle.
    """
    cls = type(owner).__name__
    saved: dict[str, Any] = {
        "hyperparameters": {name: written(getattr(owner, name)) for name in _attributes(owner)},
        "generators": {name: encoded(_state_of(generator), f"{cls}.{name}") for name, generator in _generators(owner)},
    }
    if callable(getattr(owner, "get_extra_state", None)):
        saved["extra"] = encoded(owner.get_extra_state(), f"what {cls}.get_extra_state() returns")
    return saved


Step = tuple[Callable[[], None], Callable[[], None]]
"""Something to be done, and what undoes it."""


def restored_values(owner: Any, saved: Mapping[str, Any]) -> Step:
    """The step that gives ``owner`` the saved hyperparameters, all of which are checked now.

    Raises:
        CheckpointError: they do not fit, or what is saved is damaged; other errors mean the same.
    """
    new = _changed_values(owner, saved["hyperparameters"])
    old = {name: getattr(owner, name) for name in new}

    def give(values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            object.__setattr__(owner, name, value)

    return partial(give, new), partial(give, old)


def restored_generators(owner: Any, saved: Mapping[str, Any]) -> Step:
    """The step that gives ``owner`` the saved generators and extra state; raises as :func:`restored_values`."""
    generators = dict(_generators(owner))
    if generators.keys() != saved["generators"].keys():
        raise CheckpointError(
            f"the random generators are {', '.join(saved['generators']) or 'none'} in the file "
            f"and {', '.join(generators) or 'none'} here"
        )
    present = snapshot(owner)
    if ("extra" in present) != ("extra" in saved):
        raise CheckpointError(f"there is extra state {'here' if 'extra' in present else 'in the file'} only")
    for name, generator in generators.items():
        _set_state(copy.deepcopy(generator), decoded(saved["generators"][name]))

    def give(snapshot: Mapping[str, Any]) -> None:
        for name, generator in generators.items():
            _set_state(generator, decoded(snapshot["generators"][name]))
        if "extra" in snapshot:
            owner.set_extra_state(decoded(snapshot["extra"]))

    return partial(give, saved), partial(give, present)


def written(value: Any) -> Any:
    """The value as JSON; one that cannot be is only named."""
    try:
        return encoded(value, "")
    except CheckpointError:
        return {UNSAVED: str(getattr(value, "__qualname__", None) or repr(value))}


def read_back(name: str, code: Any, present: Any) -> Any:
    """The value of which :func:`written` gave ``code``; ``present`` where it was only named.

    Raises:
        CheckpointError: it was only named, and at present there is nothing of its kind.
    """
    if not (isinstance(code, Mapping) and UNSAVED in code):
        return decoded(code)
    if present is None or isinstance(present, (bool, int, float, str)):
        raise CheckpointError(
            f"{name} was {code[UNSAVED]}, which cannot be saved, and is {present!r} now; set it before you load"
        )
    return present


def _attributes(owner: Any) -> list[str]:
    """The attributes that keep what an owner was made with, its own class's arguments and those of its attrs bases."""
    names = [each.attribute for each in signature(type(owner)).fields.values()]
    if attrs.has(type(owner)):
        names += [field.name for field in attrs.fields(type(owner)) if field.init]
    return [name for name in dict.fromkeys(names) if hasattr(owner, name)]


def _changed_values(owner: Any, saved: Mapping[str, Any]) -> dict[str, Any]:
    """The saved values that differ from the present ones, checked together by the class's own validators."""
    present = _attributes(owner)
    changed = {}
    for name, code in saved.items():
        if name not in present:
            raise CheckpointError(f"{type(owner).__name__} has no hyperparameter {name}")
        value = getattr(owner, name)
        # Compared as texts: 1, 1.0 and True are not the same, and NaN is.
        if json.dumps(written(value)) != json.dumps(code):
            new = read_back(name, code, value)
            if new is not value:
                changed[name] = new
    if changed and attrs.has(type(owner)):
        trial = copy.copy(owner)
        for name, value in changed.items():
            object.__setattr__(trial, name, value)
        attrs.validate(trial)
    return changed


GENERATORS = np.random.Generator, np.random.RandomState, np.random.BitGenerator, random.Random


def _generators(owner: Any) -> Iterator[tuple[str, Any]]:
    """The random generators that an object holds, by attribute."""
    names = dict.fromkeys(vars(owner) if hasattr(owner, "__dict__") else ())
    for base in type(owner).__mro__:
        slots = vars(base).get("__slots__", ())
        names |= dict.fromkeys((slots,) if isinstance(slots, str) else slots)
    for name in names:
        value = getattr(owner, name, None)
        if isinstance(value, GENERATORS) and not isinstance(value, random.SystemRandom):
            yield name, value


def _state_of(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return _bits(generator).state


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        _bits(generator).state = state


def _bits(generator: Any) -> Any:
    return generator.bit_generator if isinstance(generator, np.random.Generator) else generator
