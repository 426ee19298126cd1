"""The checks that there are, by kind and level. Everything that runs checks takes them from :func:`checks`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, TypeAlias

import attrs

LEVELS = ("1",)
"""A level is a set of checks that never grows: new checks come with a new level."""

LATEST = LEVELS[-1]

KINDS = ("optimizer", "hook", "hook set", "backend", "target", "task", "command")

_THEMES = (
    "declarations",
    "hyperparameters",
    "updates",
    "arrays",
    "gradients",
    "descent",
    "repeating",
    "failures",
    "checkpoints",
    "with_hooks",
    "on_backends",
    "cost",
    "hooks",
    "hook_sets",
    "backends",
    "targets",
    "tasks",
    "commands",
)

Function: TypeAlias = Callable[[Any], str | None]
"""Takes a subject; raises through ``fail()`` or ``skip()``, or returns what it has measured."""


@attrs.frozen
class Check:
    """One check.

    Attributes:
        function: its name is the check's, its docstring a sentence that says what is held.
        kinds: of subjects that it is made for.
        level: the first that has it.
    """

    function: Function
    kinds: tuple[str, ...]
    level: str

    @property
    def name(self) -> str:
        """Such as ``check_float16``."""
        return self.function.__name__

    @property
    def sentence(self) -> str:
        """What is held, the first line of the docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


_CHECKS: list[Check] = []


def check(*kinds: str, level: str) -> Callable[[Function], Function]:
    """Put a function into the catalog, as a check of subjects of these kinds, from a level on."""

    def put(function: Function) -> Function:
        _CHECKS.append(Check(function, kinds, level))
        return function

    return put


def checks(kind: str, level: str = LATEST) -> Iterator[Check]:
    """The checks of a kind of subject in their order, those of a level and of the levels before it.

    Raises:
        ValueError: there is no such level.
    """
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r} of checks; there are: {', '.join(map(repr, LEVELS))}")
    for theme in _THEMES:
        import_module(f"optreg.testing.checks.{theme}")
    included = LEVELS[: LEVELS.index(level) + 1]
    return (each for each in _CHECKS if kind in each.kinds and each.level in included)
