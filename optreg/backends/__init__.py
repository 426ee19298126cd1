"""Backends execute rules on arrays. Which one does is decided by name, for the process or for a while.

``OPTREG_BACKEND`` names it for the process, :func:`use_backend` for a ``with`` block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec

from optreg import registry
from optreg.backends.work import Backend

_chosen: ContextVar[Backend | None] = ContextVar("optreg_backend", default=None)


def _instance(name: str) -> Backend:
    backend: Backend = registry.backend(name)()
    return backend


@cache
def _default(name: str) -> Backend:
    return _instance(name)


def current_backend() -> Backend:
    """The backend of the innermost :func:`use_backend`, or of ``OPTREG_BACKEND``, or the fastest installed."""
    return _chosen.get() or _default(os.environ.get("OPTREG_BACKEND") or _fastest())


@cache
def _fastest() -> str:
    return "numba" if find_spec("numba") else "numpy"


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Run the rules of every optimizer with another backend inside a ``with`` block.

    Args:
        name: a built-in backend's name, or ``namespace/name`` of an installed package's.

    Raises:
        UnknownNameError: no such backend; nothing was changed.
    """
    token = _chosen.set(_instance(name))
    try:
        yield
    finally:
        _chosen.reset(token)
