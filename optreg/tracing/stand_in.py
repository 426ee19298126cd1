"""A stand-in for the owner of a rule: its numbers are scalars of the trace, and what it holds can come to no harm."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

from optreg.copying import attributes_of
from optreg.errors import UntraceableRuleError
from optreg.tracing.scalars import Journal, Scalar

_NOT_ITS_OWN = {"epoch", "target", "_hooks", "_states", "_hook_states", "_options", "_plan", "_repeat"}
"""What an optimizer holds as an optimizer."""


def stand_in_for(owner: Any, journal: Journal) -> Any:
    """A copy of an optimizer or hook whose numbers, and those in its containers, are scalars of a trace."""
    stand_in = copy.copy(owner)
    for name, value in _own(owner):
        object.__setattr__(stand_in, name, _followed(journal, f"self.{name}", value))
    object.__setattr__(stand_in, "t", Scalar(journal, "self.t", owner.t))
    return stand_in


def _own(owner: Any) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in attributes_of(owner).items() if name not in _NOT_ITS_OWN)


def _followed(journal: Journal, source: str, value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)) or callable(value):
        return value
    if isinstance(value, (int, float, np.number)):
        return Scalar(journal, source, value)
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        return type(value)(_followed(journal, f"{source}[{i}]", each) for i, each in enumerate(value))
    if type(value) is dict:
        return {key: _followed(journal, f"{source}[{key!r}]", each) for key, each in value.items()}
    return copy.deepcopy(value)


def fingerprints(owner: Any) -> dict[str, Any]:
    """The attributes that are an object's own, in a form that shows whether their contents have changed."""
    return {name: _fingerprint(value) for name, value in _own(owner)}


def _fingerprint(value: Any) -> Any:
    if isinstance(value, Scalar):
        return value.source
    if type(value) in (tuple, list):
        return tuple(map(_fingerprint, value))
    if type(value) is dict:
        return {key: _fingerprint(each) for key, each in value.items()}
    try:
        return pickle.dumps(value)
    except Exception:  # what cannot be pickled
        return id(value)


def check_unchanged(owner: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Raise an UntraceableRuleError if a rule has changed its owner."""
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    if changed:
        raise UntraceableRuleError(
            f"the rule of {type(owner).__name__} changes self.{min(changed)}; a rule may change its arrays only: "
            f"keep a number of each tensor in a slot"
        )
