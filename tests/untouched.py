"""What an optimizer and its parameters are at a moment, bit for bit, to see that an error has changed nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def bits(value: Any) -> Any:
    """A value in a form that is equal only for equal bits and the same object."""
    if isinstance(value, np.ndarray):
        return id(value), value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, dict):
        return {key: bits(each) for key, each in value.items()}
    return value


def everything(optimizer: Any) -> dict[str, Any]:
    """All that a step depends on."""
    seen = {name: bits(value) for name, value in vars(optimizer).items() if name in ("t", "epoch")}
    seen["hooks"] = list(optimizer._hooks.items())
    seen["options"] = optimizer.options
    if hasattr(optimizer, "target"):
        seen["target"] = id(optimizer.target)
        seen["states"] = bits(optimizer._states)
        seen["parameters"] = {
            name: (bits(parameter.data), bits(parameter.grad)) for name, parameter in optimizer.target.namedparams()
        }
    return seen


@contextmanager
def untouched(optimizer: Any) -> Iterator[None]:
    """Check that nothing is changed inside a ``with`` block."""
    before = everything(optimizer)
    yield
    assert everything(optimizer) == before
