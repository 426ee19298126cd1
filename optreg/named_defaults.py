"""Named defaults: the hyperparameters that a library, or a paper, has for a method, under the names they have here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from optreg.errors import PluginError, UnknownNameError, did_you_mean


def _check_values(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        wanted = "hyperparameters by name, as in {'lr': 1e-3}"
        raise PluginError(f"NamedDefaults: {attribute.name} must be {wanted}, but it is {value!r}")


def _check_text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or "\n" in value:
        raise PluginError(f"NamedDefaults: {attribute.name} must be one line of text, but it is {value!r}")


@attrs.frozen
class NamedDefaults:
    """What a library or a paper has for the hyperparameters of a method.

    Args:
        values: hyperparameters by the names that they have here. One that is missing has to be given: there it has
            no default either.
        source: where they stand, the call with the library's version, or the text, in one line.
        differs: what is not the same there as here, in one line; empty where the formulas are the same.
    """

    values: Mapping[str, Any] = attrs.field(validator=_check_values, hash=False)
    source: str = attrs.field(default="", validator=_check_text)
    differs: str = attrs.field(default="", validator=_check_text)


def chosen(owner: str, named: Mapping[str, NamedDefaults], name: object) -> Mapping[str, Any]:
    """The values that ``name`` stands for.

    Args:
        owner: the optimizer's name, for the message.
        named: its named defaults.
        name: as the user gave it.

    Raises:
        UnknownNameError: there are none of that name; the message lists those that there are.
    """
    if isinstance(name, str) and name in named:
        return named[name].values
    there_are = f"it has {', '.join(map(repr, named))}" if named else "it has only its own, which need no name"
    raise UnknownNameError(f"{owner} has no defaults {name!r}; {there_are}.{did_you_mean(str(name), named)}")
