"""Compiled kernels on disk, in a directory that only its user can write, and the compiler that fills it.

``OPTREG_CACHE_DIR`` names the directory; by default it is the user's cache directory. What lies there is run as machine
code, so a directory that others can write to is not used.
"""

from __future__ import annotations

import atexit
import hashlib
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

from optreg.backends.native import Kernel, load, processor

FORMAT = 1
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


@attrs.define
class Compilation:
    """A kernel that is being made, or waited for.

    Attributes:
        source: its text.
        arguments: the number of its arguments.
        kernel: when it is there.
        failure: why it will not be.
    """

    source: str
    arguments: int
    kernel: Kernel | None = None
    failure: str | None = None
    _process: subprocess.Popen[bytes] | None = None
    _pid: int = 0
    _since: float = 0.0

    @property
    def path(self) -> Path:
        """Where the object lies, or will lie."""
        key = f"{FORMAT} {processor()} {self.source}"
        return directory() / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.kernel"

    def advance(self, start: bool = True) -> Kernel | None:
        """The kernel, if it is there by now; starts the compiler, if it may, where nobody has. Never waits."""
        if self.kernel is not None or self.failure is not None:
            return self.kernel
        if self.path.exists():
            self._load()
        elif self._since == 0:
            if start:
                self._start()
        elif self._pid != os.getpid():
            # A forked child cannot ask for its parent's compiler; the object appears, or the child makes its own.
            if time.monotonic() - self._since > PATIENCE:
                self._start()
        elif self._process is not None and self._process.poll() is not None and not self.path.exists():
            self._fail()
        return self.kernel

    def wait(self) -> Kernel | None:
        """The kernel, waited for."""
        while self.advance() is None and self.failure is None:
            time.sleep(0.01)
        return self.kernel

    def _load(self) -> None:
        try:
            digest, name, machine_code = self.path.read_bytes().split(b"\0", 2)
            if hashlib.sha256(machine_code).hexdigest().encode() != digest:
                raise ValueError("its checksum is wrong")
            self.kernel = load(name.decode(), machine_code, self.arguments)
        except (ValueError, RuntimeError, OSError) as error:
            self.path.unlink(missing_ok=True)  # damaged: made again
            if self._since:
                self.failure = f"the compiled kernel cannot be loaded: {error}"
            else:
                self._start()

    def _start(self) -> None:
        self._since, self._pid = time.monotonic(), os.getpid()
        text = self.path.with_suffix(f".{os.getpid()}.txt")
        text.write_text(self.source, encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "optreg.backends.kernel_compiler", str(text), str(self.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        _RUNNING.append(self._process)

    def _fail(self) -> None:
        assert self._process is not None
        _, errors = self._process.communicate()
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        self.failure = f"the compiler failed: {last[0]}"


_RUNNING: list[subprocess.Popen[bytes]] = []


@atexit.register
def _end_compilers() -> None:
    """A program does not wait for kernels that it will not use any more."""
    for process in _RUNNING:
        if process.poll() is None:
            process.kill()
            process.communicate()
