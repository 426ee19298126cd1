"""Compiled kernels on disk, in a directory that only its user can write, and the compiler that fills it.

``OPTREG_CACHE_DIR`` names the directory; by default it is the user's cache directory. What lies there is run as machine
code, so a directory that others can write to is not used.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from functools import cache
from pathlib import Path

import attrs

from optreg.backends.kernel_compiler import failure_of
from optreg.backends.native import Kernel, load, processor

FORMAT = 2
PATIENCE = 120.0
"""Seconds after which a compiler that another process started is not waited for any more."""


def _preferred_directory() -> Path:
    named = os.environ.get("OPTREG_CACHE_DIR")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "optreg" / "kernels"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optreg" / "kernels"


@cache
def directory() -> Path:
    """Where kernels are kept: the cache directory, or one for this process if that cannot be used."""
    preferred = _preferred_directory()
    try:
        preferred.mkdir(parents=True, exist_ok=True, mode=0o700)
        why_not = _why_not_private(preferred)
        if why_not is None:
            with tempfile.TemporaryFile(dir=preferred):
                return preferred
    except OSError as error:
        why_not = str(error)
    own = Path(tempfile.mkdtemp(prefix="optreg-kernels-"))
    atexit.register(_remove, own, os.getpid())
    warnings.warn(
        f"compiled kernels cannot be kept in {preferred} ({why_not}), so they last for this process only; "
        f"set OPTREG_CACHE_DIR to a directory that only you can write to",
        RuntimeWarning,
        stacklevel=2,
    )
    return own


def _why_not_private(path: Path) -> str | None:
    if os.name != "posix":
        return None
    status = path.stat()
    if status.st_uid != os.geteuid():
        return "it belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write to it"
    return None


def _remove(path: Path, process: int) -> None:
    if os.getpid() == process:
        for file in path.glob("*"):
            file.unlink(missing_ok=True)
        path.rmdir()


class _Compiler:
    """The process that compiles, started on need."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def forget(self) -> None:
        """In a forked child: its parent's compiler is not the child's to ask."""
        self._process = None

    def request(self, text: Path, target: Path) -> None:
        """Have a text compiled; the object, or a word about the failure, will appear in the directory."""
        line = json.dumps([str(text), str(target)]) + "\n"
        if self._process is None or not self.running:
            self.end()  # which closes the pipe to one that has ended
            self._process = self._started()
        try:
            self._send(self._process, line)
        except BrokenPipeError:  # it has ended, idle, at this very moment
            self.end()
            self._process = self._started()
            self._send(self._process, line)

    @staticmethod
    def _started() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "optreg.backends.kernel_compiler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    @staticmethod
    def _send(process: subprocess.Popen[str], line: str) -> None:
        assert process.stdin is not None
        process.stdin.write(line)
        process.stdin.flush()

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """A program does not wait for kernels that it will not use any more."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


_COMPILER = _Compiler()
atexit.register(_COMPILER.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_COMPILER.forget)


@attrs.define(eq=False)
class Compilation:
    """A kernel that is being made, or waited for.

    Attributes:
        source: its text.
        brief: other threads of Python are not let in while the kernel runs.
        kernel: when it is there.
        failure: why it will not be.
        seconds: how long NumPy has worked in its place.
    """

    source: str
    brief: bool = False
    kernel: Kernel | None = None
    failure: str | None = None
    seconds: float = 0.0
    _pid: int = 0
    _asked: int = 0
    _since: float = 0.0

    @property
    def path(self) -> Path:
        """Where the object lies, or will lie."""
        key = f"{FORMAT} {processor()} {self.source}"
        return directory() / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.kernel"

    def advance(self, start: bool = True) -> Kernel | None:
        """The kernel, if it is there by now; asks the compiler, if it may, where nobody has. Never waits."""
        if self.kernel is not None or self.failure is not None:
            return self.kernel
        path = self.path
        if path.exists():
            self._load(path)
        elif failure_of(path).exists() and self._asked:
            self.failure = f"the compiler failed: {failure_of(path).read_text(encoding='utf-8')}"
            failure_of(path).unlink(missing_ok=True)
        elif start and self._may_ask():
            self._ask(path)
        return self.kernel

    def _may_ask(self) -> bool:
        if not self._asked:
            return True
        if self._pid != os.getpid():
            # A forked child waits for what its parent has asked for, and then asks itself.
            return time.monotonic() - self._since > PATIENCE
        if not _COMPILER.running and not self.path.exists():
            if self._asked > 1:
                self.failure = "the compiler ended without a word"
            return self.failure is None  # it may have ended, idle, just as it was asked
        return False

    def wait(self) -> Kernel | None:
        """The kernel, waited for."""
        while self.advance() is None and self.failure is None:
            time.sleep(0.002)
        return self.kernel

    def _load(self, path: Path) -> None:
        try:
            digest, name, machine_code = path.read_bytes().split(b"\0", 2)
            if hashlib.sha256(machine_code).hexdigest().encode() != digest:
                raise ValueError("its checksum is wrong")
            self.kernel = load(name.decode(), machine_code, self.brief)
        except (ValueError, RuntimeError, OSError) as error:
            path.unlink(missing_ok=True)  # damaged: made again
            if self._asked:
                self.failure = f"the compiled kernel cannot be loaded: {error}"
            else:
                self._ask(path)

    def _ask(self, path: Path) -> None:
        self._since, self._pid, self._asked = time.monotonic(), os.getpid(), self._asked + 1
        failure_of(path).unlink(missing_ok=True)
        text = path.with_suffix(f".{os.getpid()}.txt")
        text.write_text(self.source, encoding="utf-8")
        _COMPILER.request(text, path)
