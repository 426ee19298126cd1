"""What a checkpoint holds of an optimizer: arrays by name, and a JSON text."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from optreg.arrays import is_array
from optreg.config import registered_name
from optreg.dictionaries import DictionaryCollector, DictionarySerializer
from optreg.encoding import encoded
from optreg.hook import prepare_hook_states
from optreg.snapshots import snapshot, written
from optreg.targets import named_parameters, uninitialized_names

FORMAT = 1
METADATA = "__optreg__"
"""The name of the array that is a JSON text in UTF-8: all that is not an array."""
HOOKS = "__hooks__"
"""The first part of the names under which the states of hooks are kept."""


def contents_of(optimizer: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Everything that a checkpoint holds of an optimizer: arrays by name, one of them the :data:`METADATA`.

    Raises:
        NotSetUpError: before ``setup()``.
        CheckpointError: a value that cannot be saved without pickle.
    """
    optimizer.prepare()
    entries = entries_of(optimizer)
    metadata = {
        "format": FORMAT,
        "version": _version(),
        "optimizer": name_of(optimizer),
        **snapshot(optimizer),
        "options": {
            pattern: {name: written(value) for name, value in overrides.items()}
            for pattern, overrides in optimizer.options.items()
        },
        "hooks": [{"name": name, "hook": name_of(hook), **snapshot(hook)} for name, hook in optimizer._hooks.items()],
        "parameters": descriptions(optimizer),
        "uninitialized": uninitialized_names(optimizer.target),
        "values": {name: encoded(value, name) for name, value in entries.items() if not is_array(value)},
    }
    arrays = DictionarySerializer({METADATA: np.frombuffer(json.dumps(metadata).encode(), np.uint8)})
    for name, value in entries.items():
        # Numbers are arrays as well, for those who read the file without optreg.
        is_number = isinstance(value, (int, float, complex, np.number, np.bool_))
        if is_array(value) or (is_number and not np.asarray(value).dtype.hasobject):
            arrays(name, value)
    return arrays.target


def entries_of(optimizer: Any) -> dict[str, Any]:
    """Counts and states by the names that they have in a file, as they are; not those of parameters since removed."""
    collector = DictionaryCollector()
    collector.save(optimizer)
    everything = {"": optimizer._states}
    for name, states in prepare_hook_states(optimizer).items():
        everything[f"{HOOKS}/{name}/"] = states
        states.serialize(collector[f"{HOOKS}/{name}"])
    coming = uninitialized_names(optimizer.target)
    if coming is not None:
        there = {*coming, *(name for name, _ in named_parameters(optimizer.target))}
        for prefix, states in everything.items():
            for path in states.keys() - there:
                for key in states[path]:
                    collector.target.pop(f"{prefix}{path.strip('/')}/{key}", None)
    return collector.target


def _version() -> str:
    try:
        return version("optreg")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"


def name_of(thing: Any) -> str:
    """The registered name of an optimizer or hook, or where its class or function is defined."""
    definition = thing if hasattr(thing, "__qualname__") else type(thing)
    return registered_name(thing) or f"{definition.__module__}:{definition.__qualname__}"


def descriptions(optimizer: Any) -> dict[str, str]:
    """The shape and dtype of every parameter, in words."""
    return {
        name: f"{tuple(parameter.data.shape)} {parameter.data.dtype}"
        for name, parameter in named_parameters(optimizer.target)
    }
