"""Backends execute rules on arrays. Which one does is decided by name, for the process or for a while.

``OPTREG_BACKEND`` names it for the process, :func:`use_backend` for a ``with`` block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from optreg import registry
from optreg.arrays import imported_cupy
from optreg.backends.native import numba_is_installed
from optreg.backends.work import Backend

_chosen: ContextVar[Backend | None] = ContextVar("optreg_backend", default=None)


_instances: dict[type[Any], Backend] = {}


def _named(name: str) -> Backend:
    cls = registry.backend(name)
    if cls not in _instances:
        _instances[cls] = cls()
    return _instances[cls]


@cache
def host_backend() -> Backend:
    """The fastest backend installed for arrays on the host."""
    return _named("numba" if numba_is_installed() else "numpy")


@cache
def _of_environment() -> Backend | None:
    name = os.environ.get("OPTREG_BACKEND")
    return _named(name) if name else None


def current_backend() -> Backend:
    """The backend of the innermost :func:`use_backend`, or of ``OPTREG_BACKEND``, or the fastest installed.

    Which that is may depend on the array. A process that has imported CuPy may have arrays on a device; the backend for
    those leaves arrays on the host to :func:`host_backend`.
    """
    return _chosen.get() or _of_environment() or (_named("cupy") if imported_cupy() else host_backend())


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Run the rules of every optimizer with another backend inside a ``with`` block.

    Args:
        name: a built-in backend's name, or ``namespace/name`` of an installed package's.

    Raises:
        UnknownNameError: no such backend; nothing was changed.
    """
    token = _chosen.set(_named(name))
    try:
        yield
    finally:
        _chosen.reset(token)
