"""Threads of our own that share the chunks of a step; a compiled kernel lets go of the interpreter while it runs."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, TypeAlias

Task: TypeAlias = Callable[[], Any]


def thread_count() -> int:
    """``OPTREG_NUM_THREADS``, or the number of processors that this process may use."""
    asked = os.environ.get("OPTREG_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Threads that wait for tasks; made on first need, and again in a process that was forked."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: a forked process has the lists of its parent's threads, but not the threads."""
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Task] = SimpleQueue()
        self._started = 0

    def run(self, tasks: Sequence[Task], threads: int) -> None:
        """Run the tasks on up to ``threads`` threads, the calling one among them, and wait for the last.

        Raises:
            BaseException: the first that a task raised, or an interrupt, after all that had begun have ended.
        """
        _Round(tasks).run(self._queue, self._available(min(threads, len(tasks)) - 1))

    def _available(self, wanted: int) -> int:
        """How many of the threads that are wanted there are, started where they are missing."""
        with self._lock:
            try:
                while self._started < wanted:
                    name = f"optreg-{self._started + 1}"
                    threading.Thread(target=_work, args=(self._queue,), name=name, daemon=True).start()
                    self._started += 1
            except RuntimeError:  # the system has no more, or the interpreter is about to end: fewer will do
                pass
            return min(wanted, self._started)


def _work(queue: SimpleQueue[Task]) -> None:
    while True:
        queue.get()()


class _Round:
    """Tasks that some threads do together."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._waiting = deque(tasks)
        self._errors: list[BaseException] = []
        # Lists, because appending to one cannot be interrupted half-way.
        self._begun: list[None] = []
        self._ended: list[None] = []
        self._signal: SimpleQueue[None] = SimpleQueue()

    def run(self, helpers: SimpleQueue[Task], count: int) -> None:
        calls = iter(range(count))
        while True:
            try:
                for _ in calls:
                    helpers.put(self._help_out)
                self._drain()
                while len(self._ended) < len(self._begun):
                    self._signal.get()
                break
            except BaseException as error:
                # An interrupt. The arrays must outlive the threads that work on them, so these are waited for.
                self._waiting.clear()
                self._errors.insert(0, error)
        if self._errors:
            raise self._errors[0]

    def _help_out(self) -> None:
        self._begun.append(None)
        self._drain()
        self._ended.append(None)
        self._signal.put(None)

    def _drain(self) -> None:
        try:
            while True:
                try:
                    task = self._waiting.popleft()
                except IndexError:
                    return
                task()
        except BaseException as error:
            self._waiting.clear()
            self._errors.append(error)


WORKERS = Workers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WORKERS.forget)
