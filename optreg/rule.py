"""A rule: the update of one parameter, written once as the NumPy lines of the paper.

``rule(self, param, grad, *slots)`` changes arrays in place. The arguments after ``param`` and ``grad`` name the
state's slots; one whose default is None exists only where the class says so in ``uses_slot(name)``. An optimizer may
have several, and says in ``rule_for(param)`` which of its methods is the rule of a parameter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from types import MethodType
from typing import Any

import attrs
import numpy as np

from optreg.errors import OptregError
from optreg.signatures import values_of

BEFORE = "before"
"""In the rule of a hook after the update no slot, but the parameter as it was before the update."""


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
    def method(self) -> Callable[..., None]:
        """The function bound to the owner, called as ``method(param, grad, *slots)``."""
        method: Callable[..., None] = getattr(self.owner, self.name)
        return method

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of all its slots, in the order of its arguments."""
        return slots_of(self.function).names

    @property
    def needs_whole_tensors(self) -> bool:
        """Whether the class says so. (Its ``elementwise`` is about the method ``rule`` alone.)"""
        return self.name == "rule" and getattr(self.owner, "elementwise", True) is False

    def __str__(self) -> str:
        return f"rule of {type(self.owner).__name__}" + ("" if self.name == "rule" else f" called {self.name}")

    def used_slots(self) -> tuple[str, ...]:
        """The slots that the owner allocates for a parameter with this rule."""
        slots = slots_of(self.function)
        names = (name for name in slots.names if name not in slots.on_demand or self.owner.uses_slot(name))
        return tuple(name for name in names if not (name == BEFORE and sees_before(self.owner)))


@attrs.frozen(eq=False)
class Measure(OwnedRule):
    """The method ``measure`` of an optimizer as a rule: what it returns is put into slots that ``adapt`` names."""

    name: str = attrs.field(default="measure", init=False)

    @property
    def function(self) -> Callable[..., None]:
        """What calls the method of the class, and stores what it returns."""
        return _storing(type(self.owner).measure, type(self.owner).adapt)

    @property
    def method(self) -> Callable[..., None]:
        """The function bound to the owner."""
        return MethodType(self.function, self.owner)

    @property
    def totals(self) -> tuple[str, ...]:
        """The names of what is returned, and added up over all tensors."""
        return _totals_of(type(self.owner).adapt)

    def used_slots(self) -> tuple[str, ...]:
        """The slots that it reads."""
        return tuple(slot for slot in super().used_slots() if slot not in self.totals)


@cache
def _totals_of(adapt: Callable[..., None]) -> tuple[str, ...]:
    return tuple(inspect.signature(adapt).parameters)[1:]


@cache
def _storing(measure: Callable[..., Any], adapt: Callable[..., None]) -> Callable[..., None]:
    totals = _totals_of(adapt)

    def storing(self: Any, param: Any, grad: Any, *arrays: Any) -> None:
        slots, numbers = arrays[: -len(totals)], arrays[-len(totals) :]
        returned = measure(self, param, grad, *slots)
        found = returned if isinstance(returned, tuple) else (returned,)
        if len(found) != len(totals) or not all(map(_is_one_number, found)):
            raise OptregError(
                f"{measure.__qualname__}() must return one number for each of the totals that "
                f"{adapt.__qualname__}() takes ({', '.join(totals)}), such as np.sum(grad * param); it returned "
                f"{', '.join(type(each).__name__ for each in found)}"
            )
        for number, each in zip(numbers, found, strict=True):
            number[...] = each

    signature = inspect.signature(measure)
    further = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in totals]
    storing.__signature__ = signature.replace(  # type: ignore[attr-defined] # where inspect looks for it
        parameters=[*signature.parameters.values(), *further], return_annotation=None
    )
    return storing


def _is_one_number(value: Any) -> bool:
    return not value.ndim if isinstance(value, np.ndarray) else bool(getattr(value, "single", True))


def measures(owner: object) -> bool:
    """Whether an optimizer wants to know something of all tensors before its rule runs."""
    return all(callable(getattr(type(owner), name, None)) for name in ("measure", "adapt"))


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


def sees_before(owner: object) -> bool:
    """Whether an owner is a hook after the update that wants the parameter as it was before."""
    return has_rule(owner) and getattr(owner, "timing", "pre") == "post" and BEFORE in OwnedRule(owner).slots


def names_of_rules(cls: type) -> tuple[str, ...]:
    """The methods of a class that are rules, by name."""
    names = getattr(cls, "rules", ("rule",))
    return tuple(name for name in names if callable(getattr(cls, name, None)))


def has_rule(owner: object) -> bool:
    """Whether an optimizer or hook says what it does by a rule."""
    return callable(getattr(type(owner), "rule", None))


def used_slots(owner: Any, parameter: Any) -> tuple[str, ...]:
    """The slots that an optimizer or hook allocates for a parameter; none without a rule."""
    slots = rule_of(owner, parameter).used_slots() if has_rule(owner) else ()
    return tuple(dict.fromkeys([*slots, *(Measure(owner).used_slots() if measures(owner) else ())]))


def keeps_states(hook: Any) -> bool:
    """Whether a hook allocates slots for every parameter."""
    return has_rule(hook) and bool(OwnedRule(hook).used_slots())


def flags_of(owner: Any) -> tuple[tuple[str, Any], ...]:
    """The hyperparameters that choose between variants of a rule: those that are True, False, None or text."""
    values = values_of(owner).items()
    return tuple((name, value) for name, value in values if value is None or isinstance(value, (bool, str)))
