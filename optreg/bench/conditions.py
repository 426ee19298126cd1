"""The same conditions for all: as many threads, and kernels that are waited for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optreg.errors import ConfigError


def threads_of(threads: int) -> dict[str, str]:
    """The environment in which optreg, and PyTorch when it is imported, take so many threads."""
    return {"OPTREG_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int) -> None:
    """Raise a ConfigError unless there are as many processors."""
    if not 1 <= threads <= processors():
        raise ConfigError(f"threads must be from 1 to {processors()}, the processors here, but it is {threads}")


@contextmanager
def conditions(threads: int) -> Iterator[None]:
    """Have backends compile at once and use so many threads, on as many processors.

    XLA has no setting for its threads; it takes as many as the process has processors when it is first used, so where
    the system can do that, the process is kept to ``threads`` processors.
    """
    settings = {**threads_of(threads), "OPTREG_COMPILE": "now"}
    before = {name: os.environ.get(name) for name in settings}
    mask = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    torch = sys.modules.get("torch")
    torch_threads = torch.get_num_threads() if torch is not None else 0
    os.environ.update(settings)
    if mask is not None and threads < len(mask):
        os.sched_setaffinity(0, sorted(mask)[:threads])
    try:
        yield
    finally:
        if mask is not None:
            os.sched_setaffinity(0, mask)
        if torch is not None and torch.get_num_threads() != torch_threads:
            torch.set_num_threads(torch_threads)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def free_memory() -> int:
    """Bytes that this process could still use, as far as the system says."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            stat = Path("/sys/fs/cgroup/memory.stat").read_text(encoding="ascii").split()
            used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
            found.append(int(limit) - used + int(stat[stat.index("inactive_file") + 1]))
    except (OSError, ValueError):
        pass
    if not found:
        found.append(_physical_memory())
    return max(min(found), 0)


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30
