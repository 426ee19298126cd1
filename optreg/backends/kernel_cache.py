"""Compiled kernels on disk, in a directory that only its user can write, made on need by the compiler.

``OPTREG_CACHE_DIR`` names the directory; by default it is the user's cache directory. What lies there is run as machine
code, so a directory that others can write to is not used.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import threading
import time
import warnings
from functools import cache
from pathlib import Path

import attrs

from optreg.backends.compiler_process import COMPILER, exists
from optreg.backends.kernel_compiler import checksum, failure_of
from optreg.backends.native import Kernel, load, processor

FORMAT = 3
PATIENCE = 120.0
"""Seconds after which a compiler that another process started is not waited for any more."""


def _preferred_directory() -> Path:
    named = os.environ.get("OPTREG_CACHE_DIR")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "optreg" / "kernels"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optreg" / "kernels"


def directory() -> Path:
    """Where kernels are kept: the cache directory, or, with a warning, one for this process if that cannot be used."""
    path, complaint = found_directory()
    if complaint is not None and complaint not in _TOLD:
        _TOLD.add(complaint)
        warnings.warn(complaint, RuntimeWarning, stacklevel=2)
    return path


_TOLD: set[str] = set()


@cache
def found_directory() -> tuple[Path, str | None]:
    """The directory, and what is to be said about it."""
    preferred: Path | str = "the cache directory"
    try:
        preferred = _preferred_directory().absolute()
        preferred.mkdir(parents=True, exist_ok=True, mode=0o700)
        why_not = _why_not_private(preferred.stat())
        if why_not is None:
            with tempfile.TemporaryFile(dir=preferred):
                return preferred, None
    except (OSError, RuntimeError) as error:  # (RuntimeError: there is no home)
        why_not = str(error)
    own = Path(tempfile.mkdtemp(prefix="optreg-kernels-"))
    atexit.register(_remove, own, os.getpid())
    return own, (
        f"compiled kernels cannot be kept in {preferred} ({why_not}), so they last for this process only; "
        f"set OPTREG_CACHE_DIR to a directory that only you can write to"
    )


def _why_not_private(status: os.stat_result) -> str | None:
    if os.name != "posix":
        return None
    if status.st_uid != os.geteuid():
        return "it belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write to it"
    return None


def _remove(path: Path, process: int) -> None:
    if os.getpid() == process:
        COMPILER.end()
        shutil.rmtree(path, ignore_errors=True)


class _Turn:
    """One thread at a time looks after kernels; the others go on without."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked child: the thread that had the turn is not there."""
        self.lock = threading.Lock()


_TURN = _Turn()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_TURN.forget)


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
    _process: int = 0
    _compiler: int = 0
    _asked: int = 0
    _since: float = 0.0

    @property
    def path(self) -> Path:
        """Where the object lies, or will lie."""
        key = f"{FORMAT} {processor()} {self.source}"
        return directory() / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.kernel"

    def advance(self, start: bool = True) -> Kernel | None:
        """The kernel, if it is there by now; asks the compiler, if it may, where nobody has. Never waits."""
        turn = _TURN.lock
        if self.kernel is None and self.failure is None and turn.acquire(blocking=False):
            try:
                self._look(start)
            except (OSError, RuntimeError, ValueError, ImportError) as error:
                self.failure = f"rules cannot be compiled: {error}"
            finally:
                turn.release()
        return self.kernel

    def wait(self) -> Kernel | None:
        """The kernel, waited for."""
        while self.advance() is None and self.failure is None:
            time.sleep(0.002)
        return self.kernel

    def _look(self, start: bool) -> None:
        path = self.path
        if path.exists():
            self._load(path)
        elif failure_of(path).exists() and self._asked:
            self.failure = f"the compiler failed: {failure_of(path).read_text(encoding='utf-8')}"
            failure_of(path).unlink(missing_ok=True)
        if start and self.kernel is None and self.failure is None and self._may_ask():
            self._ask(path)

    def _load(self, path: Path) -> None:
        try:
            if _why_not_private(path.stat()):
                raise ValueError("others may have written it")
            digest, name, machine_code = path.read_bytes().split(b"\0", 2)
            if digest != checksum(path, name, machine_code):
                raise ValueError("its checksum is wrong")
            self.kernel = load(name.decode(), machine_code, self.brief)
        except (ValueError, RuntimeError, OSError) as error:
            if self._asked:
                raise
            try:
                path.unlink()  # damaged: made again
            except OSError:
                raise OSError(f"the kernel in {path} is damaged ({error}) and cannot be removed") from error

    def _may_ask(self) -> bool:
        if not self._asked:
            return True
        if self._process != os.getpid():
            # A forked child waits for what its parent has asked for, and then asks itself.
            return not exists(self._compiler) or time.monotonic() - self._since > PATIENCE
        if COMPILER.running or self.path.exists():
            return False
        if self._asked > 1:
            self.failure = "the compiler ended without a word"
        return self.failure is None  # it may have ended, idle, just as it was asked

    def _ask(self, path: Path) -> None:
        self._since, self._process, self._asked = time.monotonic(), os.getpid(), self._asked + 1
        failure_of(path).unlink(missing_ok=True)
        COMPILER.request(self.source, path)
        self._compiler = COMPILER.number
