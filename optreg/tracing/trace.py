"""Trace a rule: run it once on symbols."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Sequence
from types import CodeType
from typing import Any

import attrs
import numpy as np

from optreg.errors import UntraceableRuleError
from optreg.tracing.nodes import Input, Load, Rule
from optreg.tracing.scalars import Scalar
from optreg.tracing.symbols import Recording, Symbol


def trace(owner: Any, inputs: Sequence[Input | None]) -> Rule:
    """Run the rule of an optimizer or hook on symbols.

    Args:
        owner: whose numeric attributes are scalars of the rule; their present values decide its branches.
        inputs: ``param``, ``grad`` and the slots in the order of the rule's arguments; None for one not in use.

    Returns:
        What the rule does, element by element. It holds as long as its guards do.

    Raises:
        UntraceableRuleError: the rule does something that cannot be compiled; the message names the line.
    """
    recording = Recording()
    used = [each for each in inputs if each is not None]
    loads = [Load(position, each.dtype, each.single) for position, each in enumerate(used)]
    symbols = {each.name: Symbol(recording, load) for each, load in zip(used, loads, strict=True)}
    stand_in = copy.copy(owner)
    numbers = _numbers(owner)
    for name, value in numbers.items():
        object.__setattr__(stand_in, name, _scalar(recording, f"self.{name}", value))
    before = _attributes(stand_in)
    rule = type(owner).rule
    try:
        rule(stand_in, *(None if each is None else symbols[each.name] for each in inputs))
    except Exception as error:
        raise UntraceableRuleError(_explained(owner, rule.__code__, error)) from error
    changed = [name for name, value in _attributes(stand_in).items() if before.get(name, before) is not value]
    if changed:
        raise UntraceableRuleError(
            f"the rule of {type(owner).__name__} changes self.{changed[0]}; a rule may change its arrays only: "
            f"keep a number of each tensor in a slot"
        )
    stores = [
        (position, symbols[each.name].value)
        for position, (each, load) in enumerate(zip(used, loads, strict=True))
        if symbols[each.name].value is not load
    ]
    return Rule(tuple(used), tuple(recording.scalars), tuple(recording.journal.guards.items()), tuple(stores))


def _attributes(owner: Any) -> dict[str, Any]:
    names = dict.fromkeys(vars(owner) if hasattr(owner, "__dict__") else ())
    if attrs.has(type(owner)):
        names |= dict.fromkeys(field.name for field in attrs.fields(type(owner)))
    return {name: getattr(owner, name) for name in names if hasattr(owner, name)}


def _numbers(owner: Any) -> dict[str, Any]:
    found = {name: value for name, value in _attributes(owner).items() if _is_number(value) or _is_tuple(value)}
    return {"t": owner.t, **found}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _is_tuple(value: object) -> bool:
    return isinstance(value, tuple) and len(value) > 0 and all(map(_is_number, value))


def _scalar(recording: Recording, source: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(Scalar(recording.journal, f"{source}[{i}]", each) for i, each in enumerate(value))
    return Scalar(recording.journal, source, value)


def _explained(owner: Any, code: CodeType, error: Exception) -> str:
    """The error with the last line of the author's text that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "optreg/tracing" not in frame.filename.replace("\\", "/")]
    line = own[-1] if own else None
    where = f"{line.filename}:{line.lineno}: {line.line}" if line else code.co_filename
    return f"the rule of {type(owner).__name__} cannot be compiled: {error} ({where})"
