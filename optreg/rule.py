"""A rule: the update of one parameter, written once as the NumPy lines of the paper.

``rule(self, param, grad, *slots)`` changes arrays in place. The arguments after ``param`` and ``grad`` name the
state's slots; one whose default is None exists only where the class says so in ``uses_slot(name)``. An optimizer may
have several, and says in ``rule_for(param)`` which of its methods is the rule of a parameter.
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


@attrs.frozen(eq=False)
class OwnedRule:
    """A rule of an optimizer or hook: one of its methods."""

    owner: Any
    name: str = "rule"

    @property
    def function(self) -> Callable[..., None]:
        """The function of the class, which takes the owner first."""
        function: Callable[..., None] = getattr(type(self.owner), self.name)
        return function

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of all its slots, in the order of its arguments."""
        return slots_of(self.function).names

    @property
    def needs_whole_tensors(self) -> bool:
        """Whether the class says so of it: ``elementwise`` is about the method ``rule``."""
        return self.name == "rule" and getattr(self.owner, "elementwise", True) is False

    def __str__(self) -> str:
        return f"rule of {type(self.owner).__name__}" + ("" if self.name == "rule" else f" called {self.name}")

    def used_slots(self) -> tuple[str, ...]:
        """The slots that the owner allocates for a parameter with this rule."""
        slots = slots_of(self.function)
        return tuple(name for name in slots.names if name not in slots.on_demand or self.owner.uses_slot(name))


def rule_of(owner: Any, parameter: Any) -> OwnedRule:
    """The rule of an optimizer or hook, which has one, for a parameter.

    Raises:
        OptregError: what ``rule_for()`` returns is not the name of a method.
    """
    choose = getattr(owner, "rule_for", None)
    if choose is None:
        return OwnedRule(owner)
    name = choose(parameter)
    if name not in names_of_rules(type(owner)):
        raise OptregError(
            f"{type(owner).__name__}.rule_for() returned {name!r}, which is none of the class's rules, "
            f"{', '.join(names_of_rules(type(owner)))}; list the names of all rules in its attribute rules"
        )
    return OwnedRule(owner, name)


def names_of_rules(cls: type) -> tuple[str, ...]:
    """The methods of a class that are rules, by name."""
    names = getattr(cls, "rules", ("rule",))
    return tuple(name for name in names if callable(getattr(cls, name, None)))


def has_rule(owner: object) -> bool:
    """Whether an optimizer or hook says what it does by a rule."""
    return callable(getattr(type(owner), "rule", None))


def used_slots(owner: Any, parameter: Any) -> tuple[str, ...]:
    """The slots that an optimizer or hook allocates for a parameter; none without a rule."""
    return rule_of(owner, parameter).used_slots() if has_rule(owner) else ()


def keeps_states(hook: Any) -> bool:
    """Whether a hook allocates slots for every parameter."""
    return has_rule(hook) and bool(OwnedRule(hook).used_slots())


def flags_of(owner: Any) -> tuple[tuple[str, Any], ...]:
    """The hyperparameters that choose between variants of a rule: those that are True, False, None or text."""
    values = values_of(owner).items()
    return tuple((name, value) for name, value in values if value is None or isinstance(value, (bool, str)))
