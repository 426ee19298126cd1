"""Trace a rule: run it once on symbols."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import numpy as np

from optreg.errors import OptregError, UntraceableRuleError
from optreg.rule import OwnedRule, flags_of
from optreg.tracing.functions import FUNCTIONS
from optreg.tracing.nodes import Input, Load, Rule
from optreg.tracing.stand_in import StandIn
from optreg.tracing.symbols import Recording, Symbol

Inputs = tuple[Input | None, ...]
"""``param``, ``grad`` and the slots in the order of the rule's arguments; None for one that is not in use."""


@attrs.frozen(eq=False)
class Traced:
    """What is known of a rule, for as long as its branches on scalars are the same.

    Attributes:
        rule: what it does, element by element; None if it cannot be traced.
        error: why not.
        holds: whether the rule would take the same branches now, with numbers of the same types, given its owner.
        fleeting: it takes scalars for plain numbers (``math.sqrt(self.lr)``), so it has to be traced at each step.
    """

    rule: Rule | None
    error: UntraceableRuleError | None
    holds: Callable[[Any], bool]
    fleeting: bool = False


_TRACED: WeakKeyDictionary[type, dict[Any, list[Traced]]] = WeakKeyDictionary()


def traced(rule: OwnedRule, inputs: Inputs) -> Traced:
    """What a rule does with the present hyperparameters and ``t`` of its owner, traced where it is new."""
    of_class = _TRACED.setdefault(type(rule.owner), {})
    known = of_class.setdefault((rule.function, flags_of(rule.owner), inputs), [])
    for each in known:
        if each.holds(rule.owner):
            return each
    found = _trace_twice(rule, inputs)
    known.append(found)
    return found


def trace(rule: OwnedRule, inputs: Inputs) -> Rule:
    """As :func:`traced`, for those that need a rule: one that is right for this step, at least.

    Raises:
        UntraceableRuleError: the rule does something that cannot be compiled; the message names the line.
    """
    found = traced(rule, inputs)
    if found.fleeting:
        return _run(rule, inputs, Recording(FUNCTIONS))
    if found.rule is None:
        raise found.error or UntraceableRuleError(f"the {rule} cannot be compiled")
    return found.rule


def condition(guards: Sequence[tuple[str, bool]]) -> str:
    """Guards as a Python expression: asked in order, up to the first that fails, as the rule would come no further."""
    return " and ".join(source if truth else f"not {source}" for source, truth in guards) or "True"


def guard(guards: Sequence[tuple[str, bool]], name: str = "self") -> Callable[[Any], bool]:
    """A function that tells whether guards hold, given what they call ``name``; one that is an error does not hold."""
    function = eval(f"lambda {name}, np: bool({condition(guards)})")

    def holds(owner: Any) -> bool:
        try:
            return bool(function(owner, np))
        except Exception:  # the rule itself will say what is wrong, when it runs
            return False

    return holds


def types_of(scalars: Sequence[str], name: str = "self") -> Callable[[Any], tuple[type, ...] | None]:
    """A function that gives the types of scalars, on which dtypes may depend; None if they cannot be evaluated."""
    function = eval(f"lambda {name}, np: tuple(map(type, ({''.join(f'{source}, ' for source in scalars)})))")

    def types(owner: Any) -> tuple[type, ...] | None:
        try:
            found: tuple[type, ...] = function(owner, np)
        except Exception:  # the rule itself will say what is wrong, when it runs
            return None
        return found

    return types


def _trace_twice(owned: OwnedRule, inputs: Inputs) -> Traced:
    """A rule that draws random numbers, or counts somewhere, is another one the second time."""
    recording = Recording(FUNCTIONS)
    rule: Rule | None = None
    error: UntraceableRuleError | None = None
    try:
        rule = _run(owned, inputs, recording)
        again = _run(owned, inputs, Recording(FUNCTIONS))
        if (again.scalars, again.guards) != (rule.scalars, rule.guards):
            rule = None
            error = UntraceableRuleError(
                f"the {owned} gives other numbers each time it runs; random numbers and counters cannot be compiled"
            )
        fleeting = rule is not None and recording.journal.fleeting
    except UntraceableRuleError as found:
        rule, error, fleeting = None, found, False
    same_branches = guard(tuple(recording.journal.guards.items()))
    types = types_of(tuple(recording.scalars))
    known = types(owned.owner)
    return Traced(
        rule=None if fleeting else rule,
        error=error,
        holds=lambda owner: same_branches(owner) and types(owner) in (known, None),
        fleeting=fleeting,
    )


def _run(rule: OwnedRule, inputs: Inputs, recording: Recording) -> Rule:
    used = [each for each in inputs if each is not None]
    loads = [Load(position, each.dtype, each.single) for position, each in enumerate(used)]
    symbols = {each.name: Symbol(recording, load, each.single) for each, load in zip(used, loads, strict=True)}
    try:
        with np.errstate(all="ignore"):
            stand_in: Any = StandIn(rule.owner, recording.journal)
            arrays: list[Any] = [None if each is None else symbols[each.name] for each in inputs]
            returned: object = rule.function(stand_in, *arrays)
    except Exception as error:
        raise UntraceableRuleError(_explained(rule, error)) from error
    stores = [
        (position, symbols[each.name].value)
        for position, (each, load) in enumerate(zip(used, loads, strict=True))
        if symbols[each.name].value is not load
    ]
    if returned is not None and not stores:
        raise OptregError(
            f"the {rule} returns a value and changes none of its arrays, so it would do "
            f"nothing; a rule changes its arrays in place, as in param -= self.lr * grad, and returns nothing"
        )
    return Rule(tuple(used), tuple(recording.scalars), tuple(recording.journal.guards.items()), tuple(stores))


_NOT_THE_AUTHORS = Path(__file__).parent, Path(np.__file__).parent
"""Where lines stand that the author of a rule did not write."""


def _explained(rule: OwnedRule, error: Exception) -> str:
    """The error with the last line of the author's text that led to it."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(Path(frame.filename).is_relative_to(directory) for directory in _NOT_THE_AUTHORS)
    ]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""
    what = str(error) if isinstance(error, UntraceableRuleError) else f"{type(error).__name__}: {error}"
    return f"the {rule} cannot be compiled: {what}{where}"
