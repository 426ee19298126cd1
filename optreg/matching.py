"""How what a checkpoint says of an optimizer, beside its arrays, fits the optimizer that is to load it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import attrs

from optreg.checkpoints import FORMAT, descriptions, name_of
from optreg.errors import CheckpointError, MissingKeyError, OptregError
from optreg.options import Options
from optreg.snapshots import Step, read_back, restored_generators, restored_values
from optreg.targets import uninitialized_names

SHOWN = 20
"""The number of differences that an error lists."""


@attrs.define
class Match:
    """What keeps a checkpoint from being loaded, or else what is to be done to load it.

    Attributes:
        source: what the checkpoint is called in errors.
        differences: what keeps it from being loaded, a phrase each.
        missing: whether values are missing from it.
        steps: what is to be done to load it, if there are no differences.
        begun: what undoes the steps that were taken.
    """

    source: str
    differences: list[str] = attrs.Factory(list)
    missing: bool = False
    steps: list[Step] = attrs.Factory(list)
    begun: list[Callable[[], None]] = attrs.Factory(list)

    def differ(self, phrase: str, *, missing: bool = False) -> None:
        """Note a difference."""
        self.differences.append(phrase)
        self.missing |= missing

    def add(self, what: str, make: Callable[[Any, Any], Step], owner: Any, saved: Any) -> None:
        """Add the step that ``make(owner, saved)`` returns, or the difference that it raises."""
        try:
            self.steps.append(make(owner, saved))
        except Exception as error:  # what is damaged makes validators and generators raise anything
            self.differ(f"{what}: {described(error)}")

    def set(self, owner: Any, attribute: str, value: Any) -> None:
        """Add the step that sets an attribute."""
        old = getattr(owner, attribute)
        self.steps.append((partial(setattr, owner, attribute, value), partial(setattr, owner, attribute, old)))

    def commit(self) -> None:
        """Take the steps so far.

        Raises:
            CheckpointError: there are differences, or a step failed.
        """
        if self.differences:
            more = len(self.differences) - SHOWN
            listed = [*self.differences[:SHOWN], *([f"and {more} more differences"] if more > 0 else [])]
            cls = MissingKeyError if self.missing else CheckpointError
            raise cls(f"{self.source} does not fit this optimizer: {'; '.join(listed)}; nothing was loaded")
        try:
            for step, undo in self.steps:
                self.begun.append(undo)
                step()
        except Exception as error:
            raise CheckpointError(f"{self.source} was refused: {described(error)}; everything is as it was") from error
        self.steps = []

    def undo(self) -> None:
        """Make everything as it was."""
        for undo in reversed(self.begun):
            with suppress(Exception):  # one that cannot be undone must not keep the others from it
                undo()


def described(error: Exception) -> str:
    """The error in words; one that is not ours is named, for its message alone may say nothing."""
    return str(error) if isinstance(error, OptregError) else f"{type(error).__name__}: {error}"


def match_metadata(found: Match, optimizer: Any, metadata: Mapping[str, Any]) -> None:
    """Match the optimizer and its hooks, their hyperparameters, and the parameters."""
    if metadata["format"] != FORMAT:
        found.differ(
            f"it is of format {metadata['format']} (optreg {metadata.get('version')}), and this optreg reads {FORMAT}"
        )
        return
    _match_parameters(found, optimizer, metadata)
    if metadata["optimizer"] != name_of(optimizer):
        found.differ(f"it is of {metadata['optimizer']}, and this is {name_of(optimizer)}")
        return
    ours = [f"{name} ({name_of(hook)})" for name, hook in optimizer._hooks.items()]
    theirs = [f"{each['name']} ({each['hook']})" for each in metadata["hooks"]]
    if ours != theirs:
        found.differ(f"its hooks are {_listed(theirs)}, and here they are {_listed(ours)}")
        return
    for what, owner, saved in _owners(optimizer, metadata):
        found.add(what, restored_values, owner, saved)
    found.add("options", _restored_options, optimizer, metadata["options"])


def match_generators(found: Match, optimizer: Any, metadata: Mapping[str, Any]) -> None:
    """Match the random generators and extra states of the optimizer and its hooks."""
    for what, owner, saved in _owners(optimizer, metadata):
        found.add(what, restored_generators, owner, saved)


def _owners(optimizer: Any, metadata: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    yield "the optimizer", optimizer, metadata
    for (name, hook), saved in zip(optimizer._hooks.items(), metadata["hooks"], strict=True):
        yield f"hook {name}", hook, saved


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


def _restored_options(optimizer: Any, saved: Mapping[str, Mapping[str, Any]]) -> Step:
    present, old = optimizer.options, optimizer._options
    new = Options(
        optimizer,
        {
            pattern: {
                name: read_back(name, code, present.get(pattern, {}).get(name)) for name, code in overrides.items()
            }
            for pattern, overrides in saved.items()
        },
    )
    optimizer._check_options(new, optimizer.target)
    return partial(setattr, optimizer, "_options", new), partial(setattr, optimizer, "_options", old)
