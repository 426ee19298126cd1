"""The threads of NumPy's BLAS, which are its own: one to each of ours, where threadpoolctl is there to say so."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any


class Blas:
    """The linear algebra library that NumPy has loaded."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a forked process, whoever holds the lock or waits for the end of a limit is gone."""
        self._lock = threading.Lock()
        self._users = 0
        self._limit: Any = None

    @cached_property
    def _libraries(self) -> Any:
        try:
            from threadpoolctl import ThreadpoolController
        except ImportError:
            return None
        found = ThreadpoolController().select(user_api="blas")
        return found if found.lib_controllers else None

    @property
    def can_be_limited(self) -> bool:
        """Whether :meth:`one_thread_each` changes anything."""
        return self._libraries is not None

    @contextmanager
    def one_thread_each(self) -> Iterator[None]:
        """Let the library use no threads of its own for a while, so that several of ours may call it at once.

        The number is one of the process: who ends last puts it back.
        """
        if not self.can_be_limited:
            yield
            return
        with self._lock:
            if not self._users:
                self._limit = self._libraries.limit(limits=1)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._limit.restore_original_limits()


BLAS = Blas()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BLAS.forget)
