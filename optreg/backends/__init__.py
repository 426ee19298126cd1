"""Backends execute rules on arrays. Which one does is decided by name, for the process or for a while.

``OPTREG_BACKEND`` names it for the process, :func:`use_backend` for a ``with`` block.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Protocol

import attrs

from optreg import registry
from optreg.arrays import Array


@attrs.frozen
class BoundRule:
    """A rule, ready to be called on arrays.

    Attributes:
        owner: the optimizer or hook, whose hyperparameters hold the values of the step while the rule runs.
        function: called as ``function(param, grad, *slots)``.
        elementwise: it may be run on the tensor in blocks.
        changes_gradients: what it does to ``grad`` is meant to be seen.
        overwrites_gradient: it uses ``grad`` as scratch memory, so it must be given a copy.
    """

    owner: Any
    function: Callable[..., None]
    elementwise: bool
    changes_gradients: bool
    overwrites_gradient: bool


@attrs.frozen
class Tensor:
    """One parameter's arrays: the slots are given rule by rule, in the order of each rule's arguments."""

    name: str
    data: Array
    grad: Array
    slots: Sequence[Sequence[Array | None]]


class Backend(Protocol):
    """What a package offers through a ``BackendSpec``: a class without arguments of this shape."""

    name: str

    def run(self, rules: Sequence[BoundRule], tensors: Sequence[Tensor]) -> None:
        """Run the rules in order on every tensor, in place."""


_chosen: ContextVar[Backend | None] = ContextVar("optreg_backend", default=None)


def _instance(name: str) -> Backend:
    backend: Backend = registry.backend(name)()
    return backend


@cache
def _default(name: str) -> Backend:
    return _instance(name)


def current_backend() -> Backend:
    """The backend of the innermost :func:`use_backend`, or of ``OPTREG_BACKEND``, or NumPy's."""
    return _chosen.get() or _default(os.environ.get("OPTREG_BACKEND", "numpy"))


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
