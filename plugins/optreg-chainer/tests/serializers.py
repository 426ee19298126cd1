"""Serializers with the interface of Chainer's, on a flat dictionary with the keys of its npz files."""

from __future__ import annotations

from typing import Any

import numpy as np


class Serializer:
    """Writes values."""

    def __init__(self, target: dict[str, Any], path: str = "") -> None:
        self.target, self.path = target, path

    def __getitem__(self, key: str) -> Serializer:
        return Serializer(self.target, self.path + key.strip("/") + "/")

    def __call__(self, key: str, value: Any) -> Any:
        self.target[self.path + key.lstrip("/")] = np.array(value)
        return value


class Deserializer:
    """Reads values, into the arrays that it is given."""

    def __init__(self, source: Any, path: str = "") -> None:
        self.source, self.path = source, path

    def __getitem__(self, key: str) -> Deserializer:
        return Deserializer(self.source, self.path + key.strip("/") + "/")

    def __call__(self, key: str, value: Any) -> Any:
        found = self.source[self.path + key.lstrip("/")]
        if value is None:
            return found
        if isinstance(value, np.ndarray):
            np.copyto(value, found)
            return value
        return type(value)(np.asarray(found))


def written(optimizer: Any) -> dict[str, Any]:
    """What Chainer would have put into the optimizer's file."""
    values: dict[str, Any] = {}
    optimizer.serialize(Serializer(values))
    return values
