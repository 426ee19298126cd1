"""Serializers of Chainer's kind that write to and read from a flat dictionary, with names such as ``l1/W/m``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optreg.arrays import is_array, moved_beside, to_host
from optreg.errors import CheckpointError, MissingKeyError


class DictionarySerializer:
    """Writes values into a dictionary, as NumPy arrays.

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
        return type(self)(self.target, f"{self.path}{key.strip('/')}/")

    def __call__(self, key: str, value: Any) -> Any:
        name = self.path + key.lstrip("/")
        self.target[name] = self._kept(name, value)
        return value

    def _kept(self, name: str, value: Any) -> Any:
        array = to_host(value) if is_array(value) else np.asarray(value)
        if array.dtype.hasobject:
            raise CheckpointError(
                f"{name} is {value!r}, which cannot be saved without pickle; keep arrays and numbers in states"
            )
        return array

    def save(self, value: Any) -> None:
        """Write an object that has ``serialize(serializer)``."""
        value.serialize(self)


class DictionaryCollector(DictionarySerializer):
    """Collects the values themselves."""

    def _kept(self, name: str, value: Any) -> Any:  # noqa: ARG002 (as the base has it)
        return value


class DictionaryDeserializer:
    """Reads values from a dictionary: arrays are copied into the array they replace, numbers get its type.

    >>> deserializer = DictionaryDeserializer({"l1/W/m": np.array(0.5)})
    >>> deserializer["/l1/W"]("m", 0.0)
    0.5
    """

    def __init__(self, source: Mapping[str, Any], path: str = "") -> None:
        self.source = source
        self.path = path

    def __getitem__(self, key: str) -> DictionaryDeserializer:
        return DictionaryDeserializer(self.source, f"{self.path}{key.strip('/')}/")

    def __call__(self, key: str, value: Any) -> Any:
        name = self.path + key.lstrip("/")
        if name not in self.source:
            raise MissingKeyError(f"{name} is missing")
        found = self.source[name]
        if is_array(value) and is_array(found):
            value[...] = moved_beside(found, value)
            return value
        return type(value)(found) if is_array(found) and found.ndim == 0 and value is not None else found

    def load(self, value: Any) -> None:
        """Read an object that has ``serialize(serializer)``."""
        value.serialize(self)
