"""The threads of NumPy's BLAS, which are its own: one to each of ours, where threadpoolctl is there to say so."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np


class Blas:
    """The linear algebra libraries that are loaded."""

    def __init__(self) -> None:
        self._numbers_before: Sequence[int] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew in a forked process, where those who held the lock, or a limit, are gone.

        If there was a limit, it is lifted when the next user leaves.
        """
        self._lock = threading.Lock()
        self._users: list[object] = []

    @cached_property
    def _libraries(self) -> Sequence[Any]:
        """Those whose threads can be limited; none if that of NumPy may not be among them."""
        name = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
        try:
            from threadpoolctl import ThreadpoolController
        except ImportError:
            return ()
        libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        # Accelerate cannot be limited, and OpenMP counts its threads for each of ours.
        ours = all(each.num_threads and getattr(each, "threading_layer", "") != "openmp" for each in libraries)
        return libraries if ours and "accelerate" not in name.lower() else ()

    @property
    def can_be_limited(self) -> bool:
        """Whether :meth:`one_thread_each` changes anything."""
        return bool(self._libraries)

    @contextmanager
    def one_thread_each(self) -> Iterator[None]:
        """Let the libraries use no threads of their own for a while, so that several of ours may call them at once.

        The numbers are those of the process: who is the last to leave, on whatever thread, puts them back.
        """
        user = object()
        try:
            with self._lock:
                if self._numbers_before is None:
                    self._numbers_before = [each.num_threads for each in self._libraries]
                self._users.append(user)
                self._set([1] * len(self._libraries))
            yield
        finally:
            with self._lock:
                if user in self._users:
                    self._users.remove(user)
                if not self._users and self._numbers_before is not None:
                    self._set(self._numbers_before)
                    self._numbers_before = None

    def _set(self, numbers: Sequence[int]) -> None:
        for library, number in zip(self._libraries, numbers, strict=True):
            _disown(library)
            library.set_num_threads(number)
            _disown(library)


def _disown(library: Any) -> None:
    """Let any thread set the threads of OpenBLAS: since threadpoolctl 3.8, only the first that has done so can."""
    disown = getattr(library, "clear_controlling_thread", None)
    if disown is not None:
        disown(force=True)


BLAS = Blas()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BLAS.forget)
