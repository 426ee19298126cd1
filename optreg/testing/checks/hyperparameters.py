"""Hyperparameters: checked when they are given, explained, written down, and read anew at each step."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import optreg
from optreg.testing import internals
from optreg.testing.catalog import check
from optreg.testing.problems import Problem, contents_of, differing, names_in
from optreg.testing.results import fail, skip
from optreg.testing.subjects import HookSubject, Made, OptimizerSubject

COMMON = frozenset(
    "lr momentum beta beta1 beta2 beta3 alpha rho eps epsilon weight_decay nesterov seed threshold rate".split()  # noqa: SIM905
)
"""Hyperparameters that mean the same everywhere, so that no class has to explain them."""


def _maker(subject: Made) -> Callable[..., Any]:
    return subject.create if isinstance(subject, OptimizerSubject) else subject.make  # type: ignore[attr-defined]


@check("optimizer", "hook", level="1")
def check_unknown_hyperparameters(subject: Made) -> None:
    """A hyperparameter that does not exist is an error, because it may be a misspelling of one that does."""
    try:
        _maker(subject)(no_such_hyperparameter=0.5)
    except (TypeError, ValueError):
        return
    fail(
        f"{subject.name} takes no_such_hyperparameter=0.5 without a word, so somebody who misspells a hyperparameter "
        f"trains with another value than they think; name the arguments of __init__ instead of taking **kwargs"
    )


@check("optimizer", "hook", level="1")
def check_hyperparameters_are_checked(subject: Made) -> None:
    """A number that cannot be right (NaN, or a text) is refused when it is given."""
    make = _maker(subject)
    make()
    tried = 0
    for each, values in _numbers(subject):
        for value in values:
            tried += 1
            try:
                make(**{each: value})
            except (TypeError, ValueError):
                continue
            fail(
                f"{subject.name} takes {each}={value!r} without a word, and fails, or spoils the parameters, only "
                f"during training; declare it as a field, such as {each}: float = optreg.hyperparameters.positive(), "
                f"or raise a ValueError in __init__"
            )
    if not tried:
        skip("it has no hyperparameters that are numbers")


def _numbers(subject: Made) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The hyperparameters that are numbers, with values that none of them can take."""
    cls = subject.implementation()
    if not isinstance(cls, type):
        return
    given = subject.arguments()
    for each in internals.hyperparameters_of(cls)[0]:
        present = given.get(each.name, each.default)
        if isinstance(present, (int, float)) and not isinstance(present, bool) and each.name != "seed":
            yield each.name, (math.nan, "a text")


@check("optimizer", "hook", level="1")
def check_hyperparameters_are_documented(subject: Made) -> None:
    """Every hyperparameter is explained: in its field, in the docstring, or because it is a common one."""
    cls = subject.implementation()
    known = internals.hyperparameters_of(cls)[0] if isinstance(cls, type) else []
    if not known:
        skip("it has no hyperparameters")
    docs = "\n".join(str(text) for text in (cls.__doc__, cls.__init__.__doc__))
    silent = [each.name for each in known if not (each.doc or each.name in COMMON or _is_named(each.name, docs))]
    if silent:
        fail(
            f"nobody says what {' and '.join(silent)} of {subject.name} {'is' if len(silent) == 1 else 'are'}; "
            f'give the field a doc, as in positive(0.1, doc="…"), or explain it in the docstring of {cls.__name__}'
        )


def _always(value: float, t: int) -> float:  # noqa: ARG001 (a schedule takes it)
    return value


def _is_named(name: str, docs: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", docs) is not None


@check("optimizer", level="1")
def check_config_round_trip(subject: OptimizerSubject) -> None:
    """The configuration is plain data, and makes an optimizer that does the same."""
    config = subject.create().config()
    copied = optreg.create(json.loads(json.dumps(config)))
    if copied.config() != config:
        fail(
            f"{subject.name} is created from its config() with another config(): {copied.config()} is not {config}; "
            f"keep every argument of __init__ unchanged in an attribute of its name"
        )
    first, second = Problem(), Problem()
    expected = contents_of(first.run(subject.on(first), range(3)))
    found = contents_of(second.run(copied.setup(second.arrays), range(3)))
    if differing(expected, found):
        fail(
            f"{subject.name} created from its config() does something else: {names_in(differing(expected, found))} "
            f"differ after 3 steps, so a run cannot be repeated from what was written down; have everything that "
            f"decides what it does be an argument of __init__"
        )


@check("hook", level="1")
def check_hook_config_round_trip(subject: HookSubject) -> None:
    """The configuration of an optimizer holds the hook as plain data, and makes one that does the same."""
    first, second = Problem(), Problem()
    optimizer = subject.on(first)
    config = optimizer.config()
    copied = optreg.create(json.loads(json.dumps(config)))
    if copied.config() != config:
        fail(
            f"the hook {subject.name} is created from its config() with another one: {copied.config()['hooks']} is "
            f"not {config['hooks']}; keep every argument of __init__ unchanged in an attribute of its name"
        )
    expected = contents_of(first.run(optimizer, range(3)))
    found = contents_of(second.run(copied.setup(second.arrays), range(3)))
    if differing(expected, found):
        fail(
            f"the hook {subject.name} from config() does something else: {names_in(differing(expected, found))} "
            f"differ after 3 steps; have everything that decides what it does be an argument of __init__"
        )


@check("optimizer", level="1")
def check_schedules(subject: OptimizerSubject) -> None:
    """A schedule that always gives the same number is like that number: the rule reads hyperparameters at each step."""
    optimizer = subject.create()
    if subject.own_update:
        skip("its update() is its own, and so is what it makes of schedules")
    known = internals.hyperparameters_of(type(optimizer))[0]
    values = {each.name: getattr(optimizer, each.attribute, None) for each in known if each.is_schedule(abs)}
    numbers = {name: value for name, value in values.items() if type(value) is float}
    if not numbers:
        skip("it has no hyperparameters that are numbers")
    expected = subject.run(range(3))
    for name, value in numbers.items():
        try:
            found = subject.run(range(3), None, **{name: partial(_always, value)})
        except Exception as error:
            fail(
                f"{subject.name} cannot take a schedule for {name}, a function of t that gives {value}: "
                f"{type(error).__name__}: {error}; take numbers in __init__ as they come, and compute with self.{name} "
                f"in the rule, where it is a number"
            )
        if differing(expected, found):
            fail(
                f"{subject.name} with a schedule for {name} that always gives {value} is not as with the number "
                f"{value}: {names_in(differing(expected, found))} differ; compute with self.{name} in the rule, at "
                f"each step, rather than in __init__"
            )
