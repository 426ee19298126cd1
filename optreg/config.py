"""An optimizer written down as plain data: its name, hyperparameters, hooks and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optreg import registry
from optreg.errors import ConfigError
from optreg.hook import name_of_hook
from optreg.hyperparameters import signature, values_of
from optreg.schedules import Schedule


def config_of(optimizer: Any) -> dict[str, Any]:
    """The optimizer as plain data that ``optreg.create`` reads back; see ``Optimizer.config``."""
    config = {"name": _registered_name(optimizer, "optimizer"), **_plain_values(optimizer)}
    if optimizer._hooks:
        config["hooks"] = [_hook_config(name, hook) for name, hook in optimizer._hooks.items()]
    if optimizer.options:
        config["options"] = {
            pattern: {name: plain(value, f"options[{pattern!r}][{name!r}]") for name, value in overrides.items()}
            for pattern, overrides in optimizer.options.items()
        }
    return config


def _hook_config(name: str, hook: Any) -> dict[str, Any]:
    registered = _registered_name(hook, f"hook {name!r}")
    config = {"name": registered, **_plain_values(hook)}
    # A hook that was added by its registered name is known to the optimizer by that name.
    return config if name == registered else {**config, "as": name}


def _registered_name(thing: Any, what: str) -> str:
    cls = type(thing)
    name = registry.name_of(cls)
    if name is None:
        described = name_of_hook(thing) if what != "optimizer" else cls.__qualname__
        raise ConfigError(
            f"the {what} ({described}) has no registered name to be written down by; "
            f"give it one with optreg.register('namespace/name', ...)"
        )
    return name


def _plain_values(owner: Any) -> dict[str, Any]:
    fields = signature(type(owner)).fields
    return {
        name: plain(value, f"{type(owner).__name__}.{name}")
        for name, value in values_of(owner).items()
        if not (callable(value) and value is fields[name].default)  # a default that is a function goes without saying
    }


def plain(value: Any, what: str) -> Any:
    """The value as what JSON can hold.

    Raises:
        ConfigError: it cannot be, and ``what`` names it.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Schedule):
        return value.config()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(each, what) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, what) for each in value]
    advice = "use one of optreg.schedules, which can be written down" if callable(value) else "use plain data"
    raise ConfigError(f"{what} is {value!r}, which cannot be written down as plain data; {advice}")
