"""The process that compiles, as the process that trains sees it: started on need, asked by lines, ended at exit."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


class CompilerProcess:
    """Compiles one text after another; a process of one's own, so that nothing waits for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._of_parents: list[object] = []
        self._asked: list[Path] = []

    def forget(self) -> None:
        """In a forked child: its parent's compiler is not the child's to ask, nor to end."""
        self._of_parents.append(self._process)  # (that nobody takes for a child that was forgotten)
        self._process = None
        self._asked = []

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def number(self) -> int:
        """The number of the process, or 0."""
        return 0 if self._process is None else self._process.pid

    def request(self, source: str, target: Path) -> None:
        """Have a text compiled to the object ``target``; a word about a failure will appear beside it.

        Raises:
            OSError: there can be no such process, or the text cannot be written beside ``target``.
        """
        text = target.with_suffix(f".{os.getpid()}.txt")
        line = json.dumps([str(text), str(target)]) + "\n"
        self._asked.append(text)  # before it is there: an interrupt may come at any time
        text.write_text(source, encoding="utf-8")
        if self._process is None or not self.running:
            self._let_go()
            self._process = _started()
        try:
            _send(self._process, line)
        except BrokenPipeError:  # it has ended, idle, at this very moment
            self._let_go()
            self._process = _started()
            with suppress(BrokenPipeError):  # one that ends at once will not be found running
                _send(self._process, line)

    def _let_go(self) -> None:
        """Close the pipe to a process that has ended."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def end(self) -> None:
        """A program does not wait for kernels that it will not use any more."""
        number = self.number
        if self._process is not None:
            self._process.kill()
        self._let_go()
        for text in self._asked:
            for file in (text, *text.parent.glob(f"*.{number}.part")):
                with suppress(OSError):  # it is gone, or so is its directory
                    file.unlink()
        self._asked = []


def _started() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "optreg.backends.kernel_compiler"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # a Ctrl-C in the terminal is for the program, which decides
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def _send(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def exists(number: int) -> bool:
    """Whether there is a process of that number, of whatever parent."""
    if os.name != "posix":
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


COMPILER = CompilerProcess()
atexit.register(COMPILER.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=COMPILER.forget)
