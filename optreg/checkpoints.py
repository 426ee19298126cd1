"""What a checkpoint says of an optimizer, and how it fits the optimizer that is to load it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import attrs
import numpy as np

from optreg import registry
from optreg.errors import OptregError
from optreg.hook import prepare_hook_states
from optreg.options import Options
from optreg.snapshots import read_back, restoration, snapshot, written
from optreg.states import States, fill, misfits
from optreg.targets import named_parameters, uninitialized_names

FORMAT = 1
HOOKS = "__hooks__"
"""The first part of the names under which the states of hooks are kept."""

Arrays = Mapping[str, "np.ndarray[Any, Any]"]
ByPath = dict[str, dict[str, "np.ndarray[Any, Any]"]]


def metadata_of(optimizer: Any) -> dict[str, Any]:
    """Everything that a checkpoint holds of an optimizer beside ``t``, ``epoch`` and the states."""
    return {
        "format": FORMAT,
        "version": _version(),
        "optimizer": _name(optimizer),
        **snapshot(optimizer),
        "options": {
            pattern: {name: written(value) for name, value in overrides.items()}
            for pattern, overrides in optimizer.options.items()
        },
        "hooks": [{"name": name, "hook": _name(hook), **snapshot(hook)} for name, hook in optimizer._hooks.items()],
        "parameters": _parameters(optimizer),
    }


def _version() -> str:
    try:
        return version("optreg")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"


def _name(thing: Any) -> str:
    """The registered name of an optimizer or hook, or where its class or function is defined."""
    registered = registry.name_of(type(thing))
    definition = thing if hasattr(thing, "__qualname__") else type(thing)
    return registered or f"{definition.__module__}:{definition.__qualname__}"


def _parameters(optimizer: Any) -> dict[str, str]:
    return {
        name: f"{tuple(parameter.data.shape)} {parameter.data.dtype}"
        for name, parameter in named_parameters(optimizer.target)
    }


@attrs.define
class Match:
    """How a checkpoint fits an optimizer.

    Attributes:
        differences: what keeps it from being loaded, a phrase each.
        missing: whether values are missing from it.
        steps: what is to be done to load it, if there are no differences.
        undo: what gives back the present values of what could fail half-way.
    """

    differences: list[str] = attrs.Factory(list)
    missing: bool = False
    steps: list[Callable[[], None]] = attrs.Factory(list)
    undo: list[Callable[[], None]] = attrs.Factory(list)

    def check(self, what: str, prepare: Callable[[], Callable[[], None]]) -> None:
        """Add a step that ``prepare`` makes, or the difference that it raises."""
        try:
            self.steps.append(prepare())
        except (OptregError, KeyError, TypeError, ValueError, AttributeError) as error:
            self.differences.append(f"{what}: {error}")

    def commit(self) -> None:
        """Load. If a hook or optimizer refuses its own extra state, everything is as before."""
        try:
            for step in self.steps:
                step()
        except BaseException:
            for step in self.undo:
                step()
            raise


def match(optimizer: Any, arrays: Arrays, metadata: Mapping[str, Any] | None) -> Match:
    """Compare a checkpoint with an optimizer that is set up.

    Args:
        optimizer: which is not changed.
        arrays: by the names that ``optreg.save`` or Chainer gave them.
        metadata: what :func:`metadata_of` gave, or None for a file of Chainer's.
    """
    found = Match()
    if metadata is not None:
        _match_metadata(found, optimizer, metadata)
        if found.differences:
            return found
    for key in ("t", "epoch"):
        if key not in arrays:
            found.differences.append(f"{key} is missing")
            found.missing = True
    hook_states = prepare_hook_states(optimizer)
    own, of_hooks = _by_path(arrays, hook_states)
    _match_states(found, optimizer, "", optimizer._states, own)
    for name, states in hook_states.items():
        if metadata is not None or of_hooks[name]:
            _match_states(found, optimizer, f"hook {name}: ", states, of_hooks[name])

    def count() -> None:
        optimizer.t, optimizer.epoch = int(arrays["t"]), int(arrays["epoch"])

    found.steps.append(count)
    return found


def _match_metadata(found: Match, optimizer: Any, metadata: Mapping[str, Any]) -> None:
    if metadata.get("format") != FORMAT:
        found.differences.append(
            f"it is of format {metadata.get('format')}, written by optreg {metadata.get('version')}, "
            f"and this optreg reads format {FORMAT}"
        )
        return
    if metadata["optimizer"] != _name(optimizer):
        found.differences.append(f"it is of {metadata['optimizer']}, and this is {_name(optimizer)}")
        return
    hooks = list(optimizer._hooks.items())
    theirs = [(each["name"], each["hook"]) for each in metadata["hooks"]]
    if theirs != [(name, _name(hook)) for name, hook in hooks]:
        found.differences.append(
            f"its hooks are {_listed(name for name, _ in theirs)} ({_listed(hook for _, hook in theirs)}), "
            f"and here they are {_listed(name for name, _ in hooks)} ({_listed(_name(hook) for _, hook in hooks)})"
        )
        return
    _match_parameters(found, optimizer, metadata["parameters"])
    for what, owner, saved in [
        ("the optimizer", optimizer, metadata),
        *((f"hook {name}", hook, saved) for (name, hook), saved in zip(hooks, metadata["hooks"], strict=True)),
    ]:
        found.undo.append(restoration(owner, snapshot(owner)))
        found.check(what, partial(restoration, owner, saved))
    found.check("options", partial(_options, optimizer, metadata["options"]))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _match_parameters(found: Match, optimizer: Any, theirs: Mapping[str, str]) -> None:
    ours = _parameters(optimizer)
    coming = uninitialized_names(optimizer.target)
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            found.differences.append(f"the parameter {name} is missing from the file")
            found.missing = True
        elif name not in ours:
            if coming is not None and name not in coming:
                found.differences.append(f"the parameter {name} of the file is unexpected")
        elif ours[name] != theirs[name]:
            found.differences.append(f"the parameter {name} is {theirs[name]} in the file and {ours[name]} here")


def _options(optimizer: Any, saved: Mapping[str, Mapping[str, Any]]) -> Callable[[], None]:
    present = optimizer.options
    options = Options(
        optimizer,
        {
            pattern: {
                name: read_back(optimizer, name, value, present.get(pattern, {}).get(name))
                for name, value in overrides.items()
            }
            for pattern, overrides in saved.items()
        },
    )

    def set_options() -> None:
        optimizer._options = options

    return set_options


def _by_path(arrays: Arrays, hooks: Mapping[str, Any]) -> tuple[ByPath, dict[str, ByPath]]:
    """The arrays of states as path → key → array: the optimizer's own, and those of each hook."""
    own: ByPath = {}
    of_hooks: dict[str, ByPath] = {name: {} for name in hooks}
    for full, array in arrays.items():
        if full in ("t", "epoch"):
            continue
        hook = max((name for name in hooks if full.startswith(f"{HOOKS}/{name}/")), key=len, default=None)
        name = full if hook is None else full.removeprefix(f"{HOOKS}/{hook}/")
        path, _, key = name.rpartition("/")
        (own if hook is None else of_hooks[hook]).setdefault(f"/{path}", {})[key] = array
    return own, of_hooks


def _match_states(found: Match, optimizer: Any, what: str, states: States, theirs: ByPath) -> None:
    coming = uninitialized_names(optimizer.target)
    for path, state in states.items():
        values = theirs.get(path, {})
        found.missing |= not state.keys() <= values.keys()
        found.differences.extend(f"{what}{path}: {misfit}" for misfit in misfits(state, values))
        found.steps.append(partial(fill, state, values))
    for path in theirs.keys() - states.keys():
        if coming is not None and path not in coming:
            found.differences.append(f"{what}{path} is unexpected")
    waiting = {path: values for path, values in theirs.items() if path not in states}

    def wait() -> None:
        states.waiting = waiting

    found.steps.append(wait)
