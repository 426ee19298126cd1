"""Configurations: what ``create()`` is given, a name, a mapping, JSON or TOML text, as the parts of an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from optreg.errors import ConfigError


@attrs.frozen
class NamedHook:
    """A hook by its registered name, with its arguments, and the name that the optimizer is to know it by."""

    name: str
    arguments: Mapping[str, Any]
    known_as: str


HookEntry: TypeAlias = NamedHook | Callable[[Any], Any]


@attrs.frozen
class Recipe:
    """The parts of an optimizer, as written down."""

    name: str
    hyperparameters: dict[str, Any]
    hooks: tuple[HookEntry, ...]
    options: Mapping[str, Mapping[str, Any]] | None
    defaults: Any


def read(
    written: Any,
    hyperparameters: Mapping[str, Any],
    hooks: Any,
    options: Mapping[str, Mapping[str, Any]] | None,
    defaults: Any,
) -> Recipe:
    """Put together what is written and the arguments of the call, which override it.

    Raises:
        ConfigError: it can't be read.
    """
    config = _mapping(written)
    name = config.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(
            f"a configuration needs the optimizer's name, as in {{'name': 'adamw'}}; its name is {name!r}"
        )
    written_hooks, written_options = config.pop("hooks", ()), config.pop("options", None)
    # The default () is no hooks given; [] is none wanted.
    chosen_hooks = written_hooks if isinstance(hooks, tuple) and not hooks else hooks
    chosen_options = written_options if options is None else options
    if chosen_options is not None and not isinstance(chosen_options, Mapping):
        raise ConfigError(
            f"options must be hyperparameters by path pattern, as in {{'*/b': {{'weight_decay': 0.0}}}}, "
            f"but they are {chosen_options!r}"
        )
    written_defaults = config.pop("defaults", None)
    chosen_defaults = written_defaults if defaults is None else defaults
    chosen_hyperparameters = {**config, **hyperparameters}
    return Recipe(name, chosen_hyperparameters, tuple(hook_entries(chosen_hooks)), chosen_options, chosen_defaults)


def _mapping(written: Any) -> dict[str, Any]:
    if isinstance(written, Mapping):
        config = dict(written)
    elif not isinstance(written, str):
        raise ConfigError(
            f"create() takes a name such as 'adamw', a mapping, or JSON or TOML text, not {type(written).__name__}"
        )
    elif written.lstrip().startswith("{"):
        config = _parsed(written, "JSON")
    elif "=" in written:
        config = _parsed(written, "TOML")
    else:
        return {"name": written}
    odd = [key for key in config if not isinstance(key, str)]
    if odd:
        raise ConfigError(f"the keys of a configuration must be texts, but one is {odd[0]!r}")
    return config


def _parsed(text: str, language: str) -> dict[str, Any]:
    try:
        if language == "JSON":
            import json

            config: dict[str, Any] = json.loads(text)
        else:
            import tomllib

            config = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"the configuration is not {language}: {error}") from error
    return config


def hook_entries(hooks: Any) -> Iterator[HookEntry]:
    """Hooks, each written as a name, ``(name, {arguments})``, ``{"name": name, **arguments}``, or the hook itself.

    Raises:
        ConfigError: an entry that is none of these.
    """
    if isinstance(hooks, (str, Mapping)) or not isinstance(hooks, Iterable):
        raise ConfigError(f"hooks must be a list, as in hooks=[('weight_decay', {{'rate': 1e-4}})], not {hooks!r}")
    for entry in hooks:
        yield _hook_entry(entry)


def _hook_entry(entry: Any) -> HookEntry:
    match entry:
        case str(name):
            return NamedHook(name, {}, name)
        case {"name": str(name)}:
            arguments = {key: value for key, value in entry.items() if key not in ("name", "as")}
            return NamedHook(name, arguments, entry.get("as", name))
        case [str(name), Mapping() as arguments]:
            return NamedHook(name, dict(arguments), name)
    if callable(entry):
        hook: Callable[[Any], Any] = entry
        return hook
    raise ConfigError(
        "a hook is written as 'weight_decay', ('weight_decay', {'rate': 1e-4}), "
        f"{{'name': 'weight_decay', 'rate': 1e-4}} or a hook object, not {entry!r}"
    )
