"""Save and load an optimizer: ``t``, ``epoch``, states by parameter path, hyperparameters, hooks, random generators.

The parameters themselves are the user's to save. What a file holds, key by key: ``t``, ``epoch``, ``l1/W/m`` as in
files of Chainer, ``__hooks__/NAME/l1/W/average`` for the states of hooks, and ``__optreg__``, a JSON text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optreg.checkpoint_files import read, write
from optreg.checkpoints import METADATA, contents_of
from optreg.dictionaries import DictionaryDeserializer, DictionarySerializer
from optreg.encoding import decoded
from optreg.evaluation import refuse_while_evaluating
from optreg.matching import Match, described, match_generators, match_metadata
from optreg.matching_states import match_counts, match_states

__all__ = ["DictionaryDeserializer", "DictionarySerializer", "load", "save"]


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
    refuse_while_evaluating(optimizer, "save()")
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
    refuse_while_evaluating(optimizer, "load()")
    entries: dict[str, Any] = read(path)
    text = entries.pop(METADATA, None)
    with _all_or_nothing(optimizer, str(path)) as found:
        optimizer.prepare()
        metadata = {} if text is None else _match_text(found, optimizer, text.tobytes(), entries)
        match_counts(found, optimizer, entries)
        found.commit()
        # Now the optimizer has the hyperparameters of the file, which say what states there are.
        if text is not None:
            match_generators(found, optimizer, metadata)
        match_states(found, optimizer, entries, exact=text is not None)
        found.commit()


@contextmanager
def _all_or_nothing(optimizer: Any, source: str) -> Iterator[Match]:
    found = Match(source)
    hook_states = dict(optimizer._hook_states)
    made = [(states, dict(states), dict(states.waiting)) for states in (optimizer._states, *hook_states.values())]
    try:
        yield found
    except BaseException:
        found.undo()
        optimizer._hook_states = hook_states
        for states, by_path, waiting in made:
            states.clear()
            states.update(by_path)
            states.waiting = waiting
        raise


def _match_text(found: Match, optimizer: Any, text: bytes, entries: dict[str, Any]) -> dict[str, Any]:
    """Match the metadata, which are returned, and add the entries that they hold."""
    try:
        metadata: dict[str, Any] = json.loads(text)
        match_metadata(found, optimizer, metadata)
        if not found.differences:  # another format may have other parts
            entries.update((name, decoded(code)) for name, code in metadata["values"].items())
    except Exception as error:  # JSON of any shape
        found.differ(f"its description is damaged ({described(error)})")
        return {}
    return metadata
