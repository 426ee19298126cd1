"""Schedules: hyperparameters that follow the step ``t``, the step being made, counted from 1.

Any callable of ``t`` is a schedule. Those of this page can also be written down in a configuration:
``{"schedule": "cosine", "initial": 1e-3, "steps": 1000}``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

import attrs

from optreg.errors import ConfigError, HyperparameterError, did_you_mean

Value: TypeAlias = float | Callable[[int], float]


def _at_least_one(instance: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise HyperparameterError(
            f"{type(instance).__name__}: {attribute.name} must be a whole number of steps, at least 1, "
            f"but it is {value!r}"
        )


def _finite(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise HyperparameterError(
            f"{type(instance).__name__}: {attribute.name} must be a finite number, but it is {value!r}"
        )


def _plain(value: Any) -> Any:
    """Numbers of NumPy become Python's, which a configuration can hold."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _steps() -> Any:
    return attrs.field(converter=_plain, validator=_at_least_one)


def _number(default: Any = attrs.NOTHING) -> Any:
    return attrs.field(default=default, converter=_plain, validator=_finite)


def _positive(default: float) -> Any:
    return attrs.field(default=default, converter=_plain, validator=[_finite, _above_zero])


def _above_zero(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if value <= 0:
        raise HyperparameterError(f"{type(instance).__name__}: {attribute.name} must be > 0, but it is {value!r}")


def _share(default: float) -> Any:
    return attrs.field(default=default, converter=_plain, validator=[_finite, _within_one])


def _within_one(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 <= value <= 1:
        raise HyperparameterError(
            f"{type(instance).__name__}: {attribute.name} is a share, so it must be at least 0 and at most 1, "
            f"but it is {value!r}"
        )


SCHEDULES: dict[str, type[Schedule]] = {}
"""The schedules that can be written down, by name."""


@attrs.frozen
class Schedule:
    """The base of the schedules that can be written down in a configuration.

    A subclass is an attrs class with a ``name``, under which it is known as soon as its module is imported.
    """

    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        known = SCHEDULES.get(cls.name)
        # attrs makes a class with slots twice, so the same definition may come again.
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ConfigError(
                f"the schedule {cls.name!r} of {cls.__module__} has the name of one in {known.__module__}; rename it"
            )
        SCHEDULES[cls.name] = cls

    def __call__(self, t: int) -> float:
        """The value at step ``t``, counted from 1."""
        raise NotImplementedError(f"{type(self).__name__} must say its value in __call__(self, t)")

    def config(self) -> dict[str, Any]:
        """The schedule as a plain dict, which :func:`schedule_from_config` reads back."""
        config: dict[str, Any] = {"schedule": self.name}
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            config[field.name] = value.config() if isinstance(value, Schedule) else value
        return config


@attrs.frozen
class Constant(Schedule):
    """The same value at every step.

    >>> Constant(0.1)(7)
    0.1
    """

    name: ClassVar[str] = "constant"
    value: float = _number()

    def __call__(self, t: int) -> float:  # noqa: ARG002 (the same at every t)
        return self.value


@attrs.frozen
class Step(Schedule):
    """``initial``, multiplied by ``factor`` after every ``every`` steps.

    >>> [Step(initial=1.0, every=2, factor=0.5)(t) for t in (1, 2, 3, 5)]
    [1.0, 1.0, 0.5, 0.25]
    """

    name: ClassVar[str] = "step"
    initial: float = _number()
    every: int = _steps()
    factor: float = _number(0.1)

    def __call__(self, t: int) -> float:
        return float(self.initial * self.factor ** ((t - 1) // self.every))


@attrs.frozen
class Exponential(Schedule):
    """``initial · factor^(t − 1)``.

    >>> [Exponential(initial=1.0, factor=0.5)(t) for t in (1, 2, 3)]
    [1.0, 0.5, 0.25]
    """

    name: ClassVar[str] = "exponential"
    initial: float = _number()
    factor: float = _number()

    def __call__(self, t: int) -> float:
        return float(self.initial * self.factor ** (t - 1))


def _cosine_between(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


@attrs.frozen
class Cosine(Schedule):
    """From ``initial`` at the first step along half a cosine to ``final``, reached after ``steps`` steps and kept.

    Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts.

    >>> [round(Cosine(initial=1.0, steps=4)(t), 3) for t in (1, 3, 5, 9)]
    [1.0, 0.5, 0.0, 0.0]
    """

    name: ClassVar[str] = "cosine"
    initial: float = _number()
    steps: int = _steps()
    final: float = _number(0.0)

    def __call__(self, t: int) -> float:
        return _cosine_between(self.initial, self.final, min((t - 1) / self.steps, 1.0))


def _value(value: Any) -> Any:
    return schedule_from_config(value) if isinstance(value, Mapping) else _plain(value)


def _finite_unless_schedule(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not callable(value):
        _finite(instance, attribute, value)


def _number_or_schedule() -> Any:
    return attrs.field(converter=_value, validator=_finite_unless_schedule)


@attrs.frozen
class LinearWarmup(Schedule):
    """A linear rise over the first ``steps`` steps, then ``then``: a number or another schedule.

    Step ``t`` of the rise is ``t / steps`` of the value that follows it, so the first step already moves;
    the schedule that follows begins at its own first step.

    >>> [LinearWarmup(steps=4, then=1.0)(t) for t in (1, 2, 4, 9)]
    [0.25, 0.5, 1.0, 1.0]
    """

    name: ClassVar[str] = "linear_warmup"
    steps: int = _steps()
    then: Value = _number_or_schedule()

    def __call__(self, t: int) -> float:
        after = max(t - self.steps, 1)
        value = self.then(after) if callable(self.then) else self.then
        return value * min(t / self.steps, 1.0)


@attrs.frozen
class Scaled(Schedule):
    """Another schedule, or any function of the step, multiplied by ``factor``.

    >>> Scaled(Exponential(initial=1.0, factor=0.5), factor=3.0)(2)
    1.5
    """

    name: ClassVar[str] = "scaled"
    of: Value = _number_or_schedule()
    factor: float = _number()

    def __call__(self, t: int) -> float:
        value = self.of(t) if callable(self.of) else self.of
        return value * self.factor


@attrs.frozen
class OneCycle(Schedule):
    """Up along a cosine from ``peak / divisor`` to ``peak``, then down to ``peak / divisor / final_divisor``.

    The rise takes ``warmup`` of the ``steps`` steps (Smith & Topin 2018, arXiv:1708.07120, in the two-phase form
    that PyTorch's ``OneCycleLR`` has by default).

    >>> [round(OneCycle(peak=1.0, steps=11)(t), 3) for t in (1, 3, 11)]
    [0.04, 0.96, 0.0]
    """

    name: ClassVar[str] = "one_cycle"
    peak: float = _number()
    steps: int = _steps()
    warmup: float = _share(0.3)
    divisor: float = _positive(25.0)
    final_divisor: float = _positive(1e4)

    def __call__(self, t: int) -> float:
        start = self.peak / self.divisor
        top = self.warmup * self.steps - 1
        now = min(t - 1, self.steps - 1)
        if now <= top:
            return _cosine_between(start, self.peak, now / top if top > 0 else 1.0)
        down = self.steps - 1 - top
        return _cosine_between(self.peak, start / self.final_divisor, (now - top) / down if down > 0 else 1.0)


def schedule_from_config(config: Mapping[str, Any]) -> Schedule:
    """Read a schedule back from the plain dict that :meth:`Schedule.config` gives."""
    arguments = dict(config)
    name = arguments.pop("schedule", None)
    if name not in SCHEDULES:
        raise ConfigError(
            f"there is no schedule {name!r}: a schedule is written as {{'schedule': NAME, ...}} with one of "
            f"{', '.join(SCHEDULES)}.{did_you_mean(str(name), SCHEDULES)}"
        )
    try:
        return SCHEDULES[name](**arguments)
    except TypeError as error:
        fields = ", ".join(field.name for field in attrs.fields(SCHEDULES[name]))
        raise ConfigError(f"the schedule {name!r} takes {fields}: {error}") from error
