"""Who takes part: optimizers and hyperparameters, as the user wrote them: ``adam:lr=0.01,beta1=0.8``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import attrs

from optreg.errors import ConfigError, OptregError, UnknownNameError
from optreg.offers import BUILTIN
from optreg.registry import create, names
from optreg.signatures import values_of


@attrs.frozen
class Contestant:
    """An optimizer's name, the hyperparameters that were given, and what tables and plots call it."""

    label: str
    name: str
    hyperparameters: dict[str, Any]

    def usual_lr(self) -> float | None:
        """The learning rate it would run with: None where it has none, or a schedule."""
        lr = values_of(create(self.name, **self.hyperparameters)).get("lr")
        return float(lr) if isinstance(lr, (int, float)) and lr > 0 else None

    def with_lr(self, lr: float | None) -> dict[str, Any]:
        """The hyperparameters under another learning rate; None leaves them as they are."""
        return self.hyperparameters if lr is None else {**self.hyperparameters, "lr": lr}


@attrs.frozen
class LeftOut:
    """An optimizer that cannot take part, and why."""

    name: str
    reason: str


def everyone(packages: bool) -> tuple[tuple[Contestant, ...], tuple[LeftOut, ...]]:
    """Every built-in optimizer with its own hyperparameters, and those of packages if so wanted; who cannot, and why.

    An optimizer that cannot be made (a hyperparameter has no default, a requirement is not installed, …) is left out.
    """
    found: list[Contestant] = []
    left_out: list[LeftOut] = []
    for name in names("*" if packages else f"{BUILTIN}/*"):
        try:
            create(name)
        except (OptregError, TypeError, ValueError) as error:
            left_out.append(LeftOut(name, str(error)))
        else:
            found.append(Contestant(name, name, {}))
    return tuple(found), tuple(left_out)


def contestants(texts: Iterable[str], overrides: Iterable[str] = ()) -> tuple[Contestant, ...]:
    """Read ``NAME[:HYPERPARAMETER=VALUE,...]``; a NAME may be a pattern such as ``ada*``.

    Each is created once, so that a wrong name or value is an error before anything runs. ``overrides`` are
    ``NAME=LR``: learning rates by the contestant's name or label.
    """
    found: dict[str, Contestant] = {}
    for text in texts:
        pattern, colon, assignments = text.partition(":")
        hyperparameters = read_assignments(text, assignments) if colon else {}
        for name in _matching(pattern):
            label = name + colon + assignments
            if label in found:
                raise ConfigError(f"{label!r} is given twice; give each optimizer once, or other hyperparameters")
            found[label] = Contestant(label, name, hyperparameters)
    for override in overrides:
        label, lr = _override(override)
        chosen = [key for key, each in found.items() if label in (each.label, each.name)]
        if not chosen:
            raise UnknownNameError(f"--lr {override}: {label!r} is not compared here; compared are: {', '.join(found)}")
        for key in chosen:
            found[key] = attrs.evolve(found[key], hyperparameters=found[key].with_lr(lr))
    for each in found.values():
        create(each.name, **each.hyperparameters)
    return tuple(found.values())


def _matching(pattern: str) -> list[str]:
    if not re.search(r"[*?\[]", pattern):
        return [pattern]
    matching = list(names(pattern))
    if not matching:
        raise UnknownNameError(f"no optimizer matches {pattern!r}; `optreg list` shows which there are")
    return matching


def read_assignments(text: str, assignments: str) -> dict[str, Any]:
    """Read ``lr=0.01,beta1=0.8``; ``text`` is the whole of it, for messages."""
    values: dict[str, Any] = {}
    for assignment in assignments.split(","):
        name, equals, value = assignment.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise ConfigError(f"{text!r} is not NAME:HYPERPARAMETER=VALUE,... (for example adam:lr=0.01,beta1=0.8)")
        if name.strip() in values:
            raise ConfigError(f"{text!r} gives {name.strip()!r} twice; give it once")
        values[name.strip()] = _value(value.strip())
    return values


def _value(text: str) -> Any:
    """A number, true, false or null as JSON has them; any other text as it is."""
    try:
        return json.loads(text.lower())
    except json.JSONDecodeError:
        try:
            return float(text)
        except ValueError:
            return text


def _override(override: str) -> tuple[str, float]:
    label, equals, value = override.rpartition("=")
    try:
        if not (label and equals):
            raise ValueError
        return label, float(value)
    except ValueError:
        raise ConfigError(f"--lr {override} is not NAME=NUMBER (for example --lr adam=0.01)") from None
