"""Save and load an optimizer: ``t``, ``epoch``, states by parameter path, hyperparameters, hooks, random generators.

The parameters themselves are the user's to save. What a file holds, key by key: ``t``, ``epoch``, ``l1/W/m`` as in
files of Chainer, ``__hooks__/NAME/l1/W/average`` for the states of hooks, and ``__optreg__``, a JSON text.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from optreg.arrays import is_array, to_host
from optreg.checkpoint_files import read, write
from optreg.checkpoints import HOOKS, match, metadata_of
from optreg.errors import CheckpointError, MissingKeyError
from optreg.hook import prepare_hook_states


class DictionarySerializer:
    """Writes values into a flat dictionary, under the names that Chainer gives them.

    >>> serializer = DictionarySerializer()
    >>> serializer["/l1/W"]("m", 0.5)
    0.5
    >>> serializer.target
    {'l1/W/m': array(0.5)}
    """

    def __init__(self, target: dict[str, Any] | None = None, path: str = "") -> None:
        self.target: dict[str, Any] = {} if target is None else target
        self.path = path

    def __getitem__(self, key: str) -> DictionarySerializer:
        return DictionarySerializer(self.target, f"{self.path}{key.strip('/')}/")

    def __call__(self, key: str, value: Any) -> Any:
        array = to_host(value) if is_array(value) else np.asarray(value)
        if array.dtype.hasobject:
            raise CheckpointError(
                f"{self.path}{key} is {value!r}, which cannot be saved without pickle; "
                f"keep arrays and numbers in states"
            )
        self.target[self.path + key] = array
        return value

    def save(self, value: Any) -> None:
        """Write an object that has ``serialize(serializer)``."""
        value.serialize(self)


def save(path: str | os.PathLike[str], optimizer: Any) -> None:
    """Save an optimizer, so that a run that loads it goes on bit for bit.

    Args:
        path: ``.safetensors`` (needs the extra of that name) or anything else for ``.npz``; written atomically.
        optimizer: after ``setup()``.

    Raises:
        NotSetUpError: before ``setup()``.
        CheckpointError: a state that cannot be saved without pickle. A file that was there before is untouched.
    """
    serializer = DictionarySerializer()
    optimizer.prepare()
    serializer.save(optimizer)
    for name, states in prepare_hook_states(optimizer).items():
        states.serialize(serializer[f"{HOOKS}/{name}"])
    write(path, serializer.target, metadata_of(optimizer))


def load(path: str | os.PathLike[str], optimizer: Any) -> None:
    """Load what :func:`save` or Chainer wrote; states are filled in place.

    Hyperparameters, options, hooks' arguments and random generators become those of the file; functions (a schedule
    that is a lambda, say) cannot be saved and stay those of the optimizer. States of parameters that are not
    initialized yet are kept until they are.

    Args:
        path: the file.
        optimizer: of the same kind, with the same hooks, after ``setup()`` with the same parameters.

    Raises:
        NotSetUpError: before ``setup()``.
        CheckpointError: the file is damaged, or does not fit; the message lists the differences. The optimizer is
            exactly as it was.
        MissingKeyError: (a CheckpointError and a KeyError) the file lacks values.
    """
    optimizer.prepare()
    arrays, metadata = read(path)
    found = match(optimizer, arrays, metadata)
    if found.differences:
        error = MissingKeyError if found.missing else CheckpointError
        raise error(f"{path} does not fit this optimizer: {'; '.join(found.differences)}; nothing was loaded")
    found.commit()
