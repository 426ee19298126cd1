"""Threads of our own that share the chunks of a step; a compiled kernel lets go of the interpreter while it runs."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

Task = Callable[[], Any]


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
            Exception: the first that a task raised, after all have ended.
        """
        waiting = deque(tasks)
        helpers = min(threads, len(waiting)) - 1
        done: SimpleQueue[BaseException | None] = SimpleQueue()

        def help_out() -> None:
            done.put(_drain(waiting))

        self._start(helpers)
        for _ in range(helpers):
            self._queue.put(help_out)
        errors = [_drain(waiting), *(done.get() for _ in range(helpers))]
        for error in errors:
            if error is not None:
                raise error

    def _start(self, count: int) -> None:
        with self._lock:
            while self._started < count:
                self._started += 1
                name = f"optreg-{self._started}"
                threading.Thread(target=_work, args=(self._queue,), name=name, daemon=True).start()


def _work(queue: SimpleQueue[Task]) -> None:
    while True:
        queue.get()()


def _drain(waiting: deque[Task]) -> BaseException | None:
    try:
        while waiting:
            try:
                task = waiting.popleft()
            except IndexError:  # another thread took the last
                break
            task()
    except BaseException as error:
        waiting.clear()
        return error
    return None


WORKERS = Workers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WORKERS.forget)
