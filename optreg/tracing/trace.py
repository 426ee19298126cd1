"""Trace a rule: run it once on symbols."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import numpy as np

from optreg.errors import UntraceableRuleError
from optreg.rule import flags_of
from optreg.tracing.nodes import Input, Load, Rule
from optreg.tracing.stand_in import check_unchanged, fingerprints, stand_in_for
from optreg.tracing.symbols import Recording, Symbol

Inputs = tuple[Input | None, ...]
"""``param``, ``grad`` and the slots in the order of the rule's arguments; None for one that is not in use."""


@attrs.frozen(eq=False)
class Traced:
    """What is known of a rule, for as long as its branches on scalars are the same.

    Attributes:
        rule: what it does, element by element; None if it cannot be traced.
        error: why not.
    """

    rule: Rule | None
    error: UntraceableRuleError | None
    _guards: tuple[tuple[str, bool], ...]
    _truths: Callable[..., tuple[bool, ...]]

    def holds(self, owner: Any) -> bool:
        """Whether the rule would take the same branches now."""
        return not self._guards or self._truths(owner) == tuple(truth for _, truth in self._guards)


_TRACED: WeakKeyDictionary[type, dict[Any, list[Traced]]] = WeakKeyDictionary()


def traced(owner: Any, inputs: Inputs) -> Traced:
    """What the rule of an optimizer or hook does with its present hyperparameters and ``t``, traced where it is new."""
    of_class = _TRACED.setdefault(type(owner), {})
    known = of_class.setdefault((type(owner).rule, flags_of(owner), inputs), [])
    for each in known:
        if each.holds(owner):
            return each
    found = _trace_twice(owner, inputs)
    known.append(found)
    return found


def trace(owner: Any, inputs: Inputs) -> Rule:
    """As :func:`traced`, for those that need a rule.

    Raises:
        UntraceableRuleError: the rule does something that cannot be compiled; the message names the line.
    """
    found = traced(owner, inputs)
    if found.rule is None:
        raise found.error or UntraceableRuleError(f"the rule of {type(owner).__name__} cannot be compiled")
    return found.rule


def _trace_twice(owner: Any, inputs: Inputs) -> Traced:
    """A rule that draws random numbers, or counts somewhere, is another one the second time."""
    recording, error = Recording(), None
    rule: Rule | None = None
    try:
        rule = _run(owner, inputs, recording)
        again = _run(owner, inputs, Recording())
        if (again.scalars, again.guards) != (rule.scalars, rule.guards):
            rule, error = (
                None,
                UntraceableRuleError(
                    f"the rule of {type(owner).__name__} gives other numbers each time it runs; "
                    f"random numbers and counters cannot be compiled"
                ),
            )
    except UntraceableRuleError as found:
        rule, error = None, found
    guards = tuple(recording.journal.guards.items())
    return Traced(rule, error, guards, _function(f"bool({source})" for source, _ in guards))


def _function(sources: Any) -> Callable[..., tuple[bool, ...]]:
    text = "".join(f"{source}, " for source in sources)
    function = eval(f"lambda self, np: ({text})" if text else "lambda self, np: ()")
    return lambda owner: function(owner, np)


def _run(owner: Any, inputs: Inputs, recording: Recording) -> Rule:
    used = [each for each in inputs if each is not None]
    loads = [Load(position, each.dtype, each.single) for position, each in enumerate(used)]
    symbols = {each.name: Symbol(recording, load) for each, load in zip(used, loads, strict=True)}
    stand_in = stand_in_for(owner, recording.journal)
    before = fingerprints(stand_in)
    try:
        with np.errstate(all="ignore"):
            type(owner).rule(stand_in, *(None if each is None else symbols[each.name] for each in inputs))
    except Exception as error:
        raise UntraceableRuleError(_explained(owner, error)) from error
    check_unchanged(owner, before, fingerprints(stand_in))
    stores = [
        (position, symbols[each.name].value)
        for position, (each, load) in enumerate(zip(used, loads, strict=True))
        if symbols[each.name].value is not load
    ]
    return Rule(tuple(used), tuple(recording.scalars), tuple(recording.journal.guards.items()), tuple(stores))


_HERE = Path(__file__).parent


def _explained(owner: Any, error: Exception) -> str:
    """The error with the last line of the author's text that led to it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != _HERE]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""
    return f"the rule of {type(owner).__name__} cannot be compiled: {error}{where}"
