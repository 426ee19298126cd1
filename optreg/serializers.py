"""Save and load an optimizer: ``t``, ``epoch``, states by parameter path, hyperparameters, hooks, random generators.

The parameters themselves are the user's to save. What a file holds, key by key: ``t``, ``epoch``, ``l1/W/m`` as in
files of Chainer, ``__hooks__/NAME/l1/W/average`` for the states of hooks, and ``__optreg__``, a JSON text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from optreg.checkpoint_files import read, write
from optreg.checkpoints import METADATA, contents_of
from optreg.dictionaries import DictionaryDeserializer, DictionarySerializer
from optreg.encoding import decoded
from optreg.errors import CheckpointError, MissingKeyError
from optreg.matching import Match, described, match_metadata
from optreg.matching_states import match_counts, match_states

__all__ = ["DictionaryDeserializer", "DictionarySerializer", "load", "save"]

SHOWN = 20
"""The number of differences that an error lists."""


def save(path: str | os.PathLike[str], optimizer: Any) -> None:
    """Save an optimizer, so that a run that loads it goes on bit for bit.

    Functions (a schedule that is a lambda, say) cannot be saved, and are only named in the file. Random generators
    are saved where the optimizer or a hook holds them in an attribute of its own; what else a class holds is saved
    if it has ``get_extra_state()`` and ``set_extra_state(state)``.

    Args:
        path: ``.safetensors`` (needs the extra of that name) or anything else for ``.npz``; written atomically. A
            symbolic link is followed; a file that is replaced keeps its permissions.
        optimizer: after ``setup()``.

    Raises:
        NotSetUpError: before ``setup()``.
        CheckpointError: a state that cannot be saved without pickle.
        OSError: the file cannot be written. In any case, a file that was there before is untouched.
    """
    write(path, contents_of(optimizer))


def load(path: str | os.PathLike[str], optimizer: Any) -> None:
    """Load what :func:`save` or Chainer wrote; states are filled in place.

    Hyperparameters, options, hooks' arguments and random generators become those of the file; functions stay those
    of the optimizer. States of parameters that are not initialized yet are kept until they are.

    Args:
        path: the file.
        optimizer: of the same kind, with the same hooks, after ``setup()`` with the same parameters.

    Raises:
        NotSetUpError: before ``setup()``.
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, or does not fit; the message lists the differences. The optimizer is
            exactly as it was.
        MissingKeyError: (a CheckpointError and a KeyError) the file lacks values.
    """
    optimizer._require_target()
    contents = read(path)
    with _new_states_forgotten_if_it_fails(optimizer):
        optimizer.prepare()
        found = _match(optimizer, contents)
        if found.differences:
            more = len(found.differences) - SHOWN
            listed = [*found.differences[:SHOWN], *([f"and {more} more differences"] if more > 0 else [])]
            cls = MissingKeyError if found.missing else CheckpointError
            raise cls(f"{path} does not fit this optimizer: {'; '.join(listed)}; nothing was loaded")
        try:
            found.commit()
        except Exception as error:
            raise CheckpointError(f"{path} was refused: {described(error)}; everything is as it was") from error


@contextmanager
def _new_states_forgotten_if_it_fails(optimizer: Any) -> Iterator[None]:
    hook_states = dict(optimizer._hook_states)
    kept = [(states, dict(states), dict(states.waiting)) for states in (optimizer._states, *hook_states.values())]
    try:
        yield
    except BaseException:
        optimizer._hook_states = hook_states
        for states, by_path, waiting in kept:
            states.clear()
            states.update(by_path)
            states.waiting = waiting
        raise


def _match(optimizer: Any, contents: Mapping[str, np.ndarray[Any, Any]]) -> Match:
    found = Match()
    entries: dict[str, Any] = dict(contents)
    text = entries.pop(METADATA, None)
    if text is not None:
        try:
            metadata = json.loads(text.tobytes())
            match_metadata(found, optimizer, metadata)
            if not found.differences:
                entries |= {name: decoded(code) for name, code in metadata["values"].items()}
        except Exception as error:  # JSON of any shape
            found.differ(f"its description is damaged ({described(error)})")
    if not found.differences:
        match_counts(found, optimizer, entries)
        match_states(found, optimizer, entries, exact=text is not None)
    return found
