"""A rule: the update of one parameter, written once as the NumPy lines of the paper.

``rule(self, param, grad, *slots)`` changes arrays in place. The arguments after ``param`` and ``grad`` name the
state's slots; one whose default is None exists only where the class says so in ``uses_slot(name)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import attrs

from optreg.errors import OptregError
from optreg.hyperparameters import values_of


@attrs.frozen
class Slots:
    """The slot arguments of a rule, in order, and which of them exist only on demand."""

    names: tuple[str, ...]
    on_demand: frozenset[str]


@cache
def slots_of(rule: Callable[..., None]) -> Slots:
    """Read the slots from the signature of a rule (the function, not the bound method).

    Raises:
        OptregError: the signature is not ``rule(self, param, grad, *slots)``.
    """
    arguments = list(inspect.signature(rule).parameters.values())
    fixed = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY
    if len(arguments) < 3 or any(argument.kind not in fixed for argument in arguments):
        raise OptregError(
            f"{rule.__qualname__} must be written as rule(self, param, grad, ...), with one argument for each "
            f"state slot after grad; it takes {', '.join(map(str, arguments))}"
        )
    slots = arguments[3:]
    return Slots(
        names=tuple(slot.name for slot in slots),
        on_demand=frozenset(slot.name for slot in slots if slot.default is not slot.empty),
    )


def has_rule(owner: object) -> bool:
    """Whether an optimizer or hook says what it does by a rule."""
    return callable(getattr(type(owner), "rule", None))


def used_slots(owner: Any) -> tuple[str, ...]:
    """The slots that an optimizer or hook allocates for every parameter; none without a rule."""
    if not has_rule(owner):
        return ()
    slots = slots_of(type(owner).rule)
    return tuple(name for name in slots.names if name not in slots.on_demand or owner.uses_slot(name))


def flags_of(owner: Any) -> tuple[tuple[str, Any], ...]:
    """The hyperparameters that choose between variants of a rule: those that are True, False, None or text."""
    values = values_of(owner).items()
    return tuple((name, value) for name, value in values if value is None or isinstance(value, (bool, str)))
