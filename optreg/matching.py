"""How what a checkpoint says of an optimizer, beside its arrays, fits the optimizer that is to load it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import attrs

from optreg.checkpoints import FORMAT, descriptions, name_of
from optreg.errors import OptregError
from optreg.options import Options
from optreg.snapshots import read_back, restoration
from optreg.targets import uninitialized_names

Step = Callable[[], None]


@attrs.define
class Match:
    """What keeps a checkpoint from being loaded, or else what is to be done to load it.

    Attributes:
        differences: what keeps it from being loaded, a phrase each.
        missing: whether values are missing from it.
        steps: what is to be done to load it, if there are no differences, each with what undoes it.
    """

    differences: list[str] = attrs.Factory(list)
    missing: bool = False
    steps: list[tuple[Step, Step]] = attrs.Factory(list)

    def differ(self, phrase: str, *, missing: bool = False) -> None:
        """Note a difference."""
        self.differences.append(phrase)
        self.missing |= missing

    def set(self, owner: Any, attribute: str, value: Any) -> None:
        """Add the step that sets an attribute."""
        old = getattr(owner, attribute)
        self.steps.append((partial(setattr, owner, attribute, value), partial(setattr, owner, attribute, old)))

    def commit(self) -> None:
        """Take the steps; if one fails, those before it are undone."""
        begun = []
        try:
            for step, undo in self.steps:
                begun.append(undo)
                step()
        except BaseException:
            for undo in reversed(begun):
                with suppress(Exception):  # one that cannot be undone must not keep the others from it
                    undo()
            raise


def described(error: Exception) -> str:
    """The error in words; one that is not ours is named, for its message alone may say nothing."""
    return str(error) if isinstance(error, OptregError) else f"{type(error).__name__}: {error}"


def match_metadata(found: Match, optimizer: Any, metadata: Mapping[str, Any]) -> None:
    """Match the optimizer and its hooks, their hyperparameters, generators and extra states, and the parameters."""
    if metadata["format"] != FORMAT:
        found.differ(
            f"it is of format {metadata['format']} (optreg {metadata.get('version')}), and this optreg reads {FORMAT}"
        )
        return
    if metadata["optimizer"] != name_of(optimizer):
        found.differ(f"it is of {metadata['optimizer']}, and this is {name_of(optimizer)}")
        return
    hooks = list(optimizer._hooks.items())
    ours = [f"{name} ({name_of(hook)})" for name, hook in hooks]
    theirs = [f"{each['name']} ({each['hook']})" for each in metadata["hooks"]]
    if ours != theirs:
        found.differ(f"its hooks are {_listed(theirs)}, and here they are {_listed(ours)}")
        return
    _match_parameters(found, optimizer, metadata)
    owners = [("the optimizer", optimizer), *((f"hook {name}", hook) for name, hook in hooks)]
    for (what, owner), saved in zip(owners, [metadata, *metadata["hooks"]], strict=True):
        try:
            found.steps.append(restoration(owner, saved))
        except Exception as error:  # what is damaged makes validators and generators raise anything
            found.differ(f"{what}: {described(error)}")
    try:
        found.set(optimizer, "_options", _options(optimizer, metadata["options"]))
    except OptregError as error:
        found.differ(f"options: {error}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _match_parameters(found: Match, optimizer: Any, metadata: Mapping[str, Any]) -> None:
    ours, theirs = descriptions(optimizer), metadata["parameters"]
    our_coming, their_coming = uninitialized_names(optimizer.target), metadata["uninitialized"]
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            if their_coming is not None and name not in their_coming:
                found.differ(f"the parameter {name} is missing from the file", missing=True)
        elif name not in ours:
            if our_coming is not None and name not in our_coming:
                found.differ(f"the parameter {name} of the file is unexpected")
        elif ours[name] != theirs[name]:
            found.differ(f"the parameter {name} is {theirs[name]} in the file and {ours[name]} here")


def _options(optimizer: Any, saved: Mapping[str, Mapping[str, Any]]) -> Options:
    present = optimizer.options
    options = Options(
        optimizer,
        {
            pattern: {
                name: read_back(name, code, present.get(pattern, {}).get(name)) for name, code in overrides.items()
            }
            for pattern, overrides in saved.items()
        },
    )
    optimizer._check_options(options, optimizer.target)
    return options
