"""Hyperparameters: attrs fields with bounds, checked once, in the field.

An optimizer that is an attrs class declares them so::

    @attrs.define(eq=False)
    class Momentum(GradientMethod):
        lr: float = positive(1e-2)
        momentum: float = fraction(0.9)

A plain class has the arguments of its ``__init__``, kept in attributes of the same names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from optreg.errors import HyperparameterError, did_you_mean
from optreg.schedules import Schedule, schedule_from_config

_METADATA = "optreg"

REMEMBERED = "optreg remembers"
"""Marks in the metadata of a field that it is a number which :func:`remembered` declares."""


@attrs.frozen
class Bound:
    """What a number must satisfy: an interval, closed or open at each end."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def holds(self, value: float, *, at_low_end: bool = False) -> bool:
        """Whether the finite ``value`` lies inside; ``at_low_end`` admits the lower end even where it is open."""
        above = value > self.low if self.low_open and not at_low_end else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        parts = []
        if self.low > -math.inf:
            parts.append(f"{'>' if self.low_open else '>='} {self.low:g}")
        if self.high < math.inf:
            parts.append(f"{'<' if self.high_open else '<='} {self.high:g}")
        return " and ".join(parts) or "finite"


def _number_from(value: Any) -> Any:
    """Numbers of any library become Python's, so that they never decide an array's dtype; a mapping is a schedule."""
    if isinstance(value, (bool, np.bool_)):
        return value
    if isinstance(value, (int, float)) or (getattr(value, "ndim", None) == 0 and hasattr(value, "__float__")):
        return _float_from(value)
    if isinstance(value, Mapping) and "schedule" in value:
        return schedule_from_config(value)
    return value


def _float_from(value: Any) -> Any:
    if getattr(getattr(value, "dtype", None), "kind", None) == "c":
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):  # text, say
        return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_number(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if callable(value) or (value is None and attribute.default is None):  # one that may be left out
        return
    bound: Bound = attribute.metadata[_METADATA]
    if not _is_number(value) or not bound.holds(value):
        raise HyperparameterError(
            f"{type(instance).__name__}: {attribute.name} must be a number {bound} (or a schedule), but it is {value!r}"
        )


def _field(default: Any, bound: Bound, doc: str) -> Any:
    metadata = {_METADATA: bound, "doc": doc}
    return attrs.field(default=default, converter=_number_from, validator=_check_number, metadata=metadata)


def positive(default: Any = attrs.NOTHING, doc: str = "") -> Any:
    """Declare a hyperparameter that is a number > 0, or a schedule."""
    return _field(default, Bound(low=0, low_open=True), doc)


def nonnegative(default: Any = attrs.NOTHING, doc: str = "") -> Any:
    """Declare a hyperparameter that is a number >= 0, or a schedule."""
    return _field(default, Bound(low=0), doc)


def fraction(default: Any = attrs.NOTHING, doc: str = "") -> Any:
    """Declare a hyperparameter that is a number >= 0 and < 1 (a decay rate, a momentum), or a schedule."""
    return _field(default, Bound(low=0, high=1, high_open=True), doc)


def number(
    default: Any = attrs.NOTHING,
    doc: str = "",
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    high_open: bool = False,
) -> Any:
    """Declare a hyperparameter that is a number from ``low`` to ``high``, or a schedule; ``open`` ends are excluded."""
    return _field(default, Bound(low, high, low_open, high_open), doc)


def boolean(default: Any = attrs.NOTHING, doc: str = "") -> Any:
    """Declare a hyperparameter that is True or False."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, bool):
            raise HyperparameterError(
                f"{type(instance).__name__}: {attribute.name} must be True or False, but it is {value!r}"
            )

    return attrs.field(default=default, validator=check, metadata={_METADATA: "True or False", "doc": doc})


def whole(default: Any = attrs.NOTHING, doc: str = "", *, low: int = 0) -> Any:
    """Declare a hyperparameter that is a whole number, at least ``low``, or None where that is the default."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None and default is None:
            return
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise HyperparameterError(
                f"{type(instance).__name__}: {attribute.name} must be a whole number >= {low}, but it is {value!r}"
            )

    return attrs.field(default=default, validator=check, metadata={_METADATA: f"whole, >= {low}", "doc": doc})


def choice(default: Any, options: Sequence[str], doc: str = "") -> Any:
    """Declare a hyperparameter that is one of several texts."""
    listed = " or ".join(map(repr, options))

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, str) or value not in options:
            raise HyperparameterError(
                f"{type(instance).__name__}: {attribute.name} must be {listed}, but it is {value!r}."
                f"{did_you_mean(str(value), options)}"
            )

    return attrs.field(default=default, validator=check, metadata={_METADATA: listed, "doc": doc})


def remembered(initial: Any = 0.0) -> Any:
    """Declare a number that an optimizer finds out by itself: no hyperparameter, but saved in every checkpoint.

    ``setup()`` makes it ``initial`` again, or what ``initial(self)`` gives.
    """
    default = attrs.Factory(initial, takes_self=True) if callable(initial) else initial
    return attrs.field(default=default, init=False, repr=False, metadata={REMEMBERED: initial})


@attrs.frozen
class Hyperparameter:
    """One hyperparameter of a class, as ``optreg info`` shows it.

    ``attribute`` is where an instance keeps it; ``default`` is ``attrs.NOTHING`` where the class has none;
    ``is_common`` says that it is no argument of the class, but set afterwards.
    """

    name: str
    attribute: str
    default: Any
    bound: str
    doc: str
    field: attrs.Attribute[Any] | None
    annotation: Any = None
    is_common: bool = False

    @classmethod
    def described(cls, name: str, default: Any, field: attrs.Attribute[Any] | None, annotation: Any) -> Hyperparameter:
        """With what the field of an attrs class, if it has one, says of it."""
        return cls(
            name=name,
            attribute=field.name if field else name,
            default=default,
            bound=str(field.metadata.get(_METADATA, "")) if field else "",
            doc=field.metadata.get("doc", "") if field else "",
            field=field,
            annotation=annotation,
        )

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is attrs.NOTHING

    def is_schedule(self, value: object) -> bool:
        """Whether a callable ``value`` is one of ``t``, rather than a hyperparameter that is a function."""
        bounded = self.field is not None and isinstance(self.field.metadata.get(_METADATA), Bound)
        a_number = _is_number(self.default) or self.annotation in (float, int, "float", "int")
        return bounded or isinstance(value, Schedule) or a_number

    def checked(self, owner: object, value: Any) -> Any:
        """``value``, converted and checked as the class would do it on assignment."""
        if self.field is None:
            return _number_from(value) if isinstance(value, Mapping) else value
        converter = self.field.converter
        if isinstance(converter, attrs.Converter):
            value = converter(value, owner, self.field)  # type: ignore[operator] # mypy knows Converter as a field only
        elif converter is not None:
            value = converter(value)
        if self.field.validator is not None:
            self.field.validator(owner, self.field, value)
        return value

    def at(self, owner: object, schedule: Callable[[int], float], t: int) -> float:
        """The schedule's value at step ``t``; a rate may fall to the very end of its bound (to zero, say)."""
        value = _number_from(schedule(t))
        bound = self.field.metadata.get(_METADATA) if self.field is not None else None
        if not isinstance(bound, Bound):
            bound = Bound()
        if not _is_number(value) or not bound.holds(value, at_low_end=True):
            raise HyperparameterError(
                f"{type(owner).__name__}: the schedule of {self.name} must give a number {bound}, "
                f"but at t = {t} it gave {value!r}"
            )
        return float(value)
