"""What a rule sees as ``self`` while it is traced: its owner, whose numbers are scalars, and which comes to no harm."""

from __future__ import annotations

import inspect
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType
from typing import Any, NoReturn

import numpy as np

from optreg.errors import UntraceableRuleError
from optreg.tracing.scalars import Journal, Scalar, is_number

_PARTS_OF_A_CLASS = classmethod, staticmethod, type, BuiltinFunctionType, np.ufunc


class StandIn:
    """Stands in for an optimizer or hook.

    Its numbers, and those in its tuples, lists and dictionaries, are scalars, evaluated at each step. Truth values,
    text, enumerations and None decide what the rule is, so reading one is a branch. Methods and properties run on the
    stand-in. What else it has cannot be read, for nobody would notice when it changes; and nothing can be set.
    """

    __slots__ = ("_stand_in_for", "_stand_in_journal")

    def __init__(self, owner: Any, journal: Journal) -> None:
        object.__setattr__(self, "_stand_in_for", owner)
        object.__setattr__(self, "_stand_in_journal", journal)

    @property  # type: ignore[misc] # a property in place of an attribute
    def __class__(self) -> Any:  # so that isinstance() and super() take it for its owner
        return type(self._stand_in_for)

    def __getattr__(self, name: str) -> Any:
        owner = self._stand_in_for
        on_class = inspect.getattr_static(type(owner), name, None)
        if isinstance(on_class, property) and on_class.fget is not None:
            return on_class.fget(self)
        if name not in getattr(owner, "__dict__", ()):
            if isinstance(on_class, FunctionType):
                return MethodType(on_class, self)
            if isinstance(on_class, _PARTS_OF_A_CLASS):
                return getattr(owner, name)
        return _read(self._stand_in_journal, f"self.{name}", getattr(owner, name))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise UntraceableRuleError(
            f"a rule may change its arrays only, but it sets self.{name}; "
            f"keep a number of each tensor in a slot that init_state makes"
        )


def _read(journal: Journal, source: str, value: Any) -> Any:
    if isinstance(value, Enum):
        journal.decided(f"({source}.name == {value.name!r})", True)
    elif value is None:
        journal.decided(f"({source} is None)", True)
    elif isinstance(value, str):
        journal.decided(f"({source} == {str(value)!r})", True)
    elif isinstance(value, (bool, np.bool_)):
        journal.decided(source, bool(value))
    elif is_number(value):
        return Scalar(journal, source, value)
    elif isinstance(value, (tuple, list)):
        journal.decided(f"(len({source}) == {len(value)})", True)
        return tuple(_read(journal, f"{source}[{place}]", each) for place, each in enumerate(value))
    elif type(value) is dict and all(isinstance(key, str) for key in value):
        journal.decided(f"(list({source}) == {list(value)!r})", True)
        return MappingProxyType({key: _read(journal, f"{source}[{key!r}]", each) for key, each in value.items()})
    else:
        raise UntraceableRuleError(
            f"the rule reads {source}, which is of the type {type(value).__name__}; what a compiled rule reads of self "
            f"are numbers, truth values, text, None, and tuples and dictionaries of these"
        )
    return value
