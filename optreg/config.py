"""An optimizer written down as plain data: its name, hyperparameters, hooks and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optreg import registry
from optreg.encoding import config_of_schedule
from optreg.errors import ConfigError
from optreg.hook import name_of_hook
from optreg.schedules import Schedule
from optreg.signatures import signature, values_of


def config_of(optimizer: Any) -> dict[str, Any]:
    """The optimizer as plain data that ``optreg.create`` reads back; see ``Optimizer.config``."""
    config = _config(optimizer, "the optimizer", type(optimizer).__name__, ("name", "hooks", "options", "defaults"))
    if optimizer._hooks:
        config["hooks"] = [_hook_config(name, hook) for name, hook in optimizer._hooks.items()]
    if optimizer.options:
        config["options"] = plain(optimizer.options, "options")
    return config


def _hook_config(name: str, hook: Any) -> dict[str, Any]:
    config = _config(hook, f"the hook {name!r}", name_of_hook(hook), ("name", "as"))
    # A hook that was added by its registered name is known to the optimizer by that name.
    return config if name == config["name"] else {**config, "as": name}


def _config(thing: Any, what: str, described: str, reserved: tuple[str, ...]) -> dict[str, Any]:
    name = registered_name(thing)
    if name is None:
        raise ConfigError(
            f"{what} ({described}) has no registered name to be written down by; "
            f"give it one with optreg.register('namespace/name', ...)"
        )
    values = _plain_values(thing)
    for word in reserved:
        if word in values:
            raise ConfigError(
                f"{what} ({name}) has an argument {word!r}, which means something else in a configuration; rename it"
            )
    return {"name": name, **values}


def registered_name(thing: Any) -> str | None:
    """The name by which the registry makes an optimizer or hook like this one; None if it knows none."""
    # The class first: no package has declared an instance, so all of them would be asked for it in vain.
    return registry.name_of(type(thing)) or registry.name_of(thing)


def _plain_values(owner: Any) -> dict[str, Any]:
    values = values_of(owner)
    written = {}
    for name, each in signature(type(owner)).fields.items():
        if name not in values:
            raise ConfigError(
                f"{type(owner).__name__} does not keep its argument {name!r} in an attribute of that name, "
                f"so what it was cannot be written down"
            )
        goes_without_saying = values[name] is each.default and (callable(each.default) or each.is_common)
        if not goes_without_saying:
            written[name] = plain(values[name], f"{type(owner).__name__}.{name}")
    return written


def plain(value: Any, what: str) -> Any:
    """The value as what JSON can hold.

    Raises:
        ConfigError: it cannot be, and ``what`` names it.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: plain(each, f"{what}[{key!r}]") for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, what) for each in value]
    config = config_of_schedule(value) if isinstance(value, Schedule) else None
    if config is not None:
        return config
    advice = "use one of optreg.schedules, which can be written down" if callable(value) else "use plain data"
    raise ConfigError(f"{what} is {value!r}, which cannot be written down as plain data; {advice}")
