"""The libraries of the extra ``cli``, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from optreg.errors import OptregError


class MissingExtraError(OptregError, ImportError):
    """A library of an optional extra is not installed."""


def needed(module: str) -> Any:
    """Import a module of the extra ``cli``, or say how to install it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"`optreg compare` needs {(error.name or module).partition('.')[0]}, which is not installed; "
            f'install it with: pip install "optreg[cli]"'
        ) from error
