"""Where and with what something was measured."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from optreg.bench.conditions import processors
from optreg.bench.devices import CUDA
from optreg.offers import version as own_version

LIBRARIES = (
    "cupy-cuda12x",
    "cupy-cuda13x",
    "numpy",
    "numba",
    "llvmlite",
    "torch",
    "jax",
    "jaxlib",
    "optax",
    "pytorch_optimizer",
)


def facts(device: str) -> dict[str, Any]:
    """The machine and the versions, for a record."""
    gpu = {"gpu": _gpu_name()} if device == CUDA else {}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **gpu,
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "cores of this process": processors(),
        "last cache": last_cache(),
        "system": platform.platform(),
        "versions": {"optreg": own_version(), "python": platform.python_version(), **_versions()},
    }


def _gpu_name() -> str:
    runtime = import_module("cupy").cuda.runtime
    return str(runtime.getDeviceProperties(runtime.getDevice())["name"].decode())


def cpu_name() -> str:
    """What the processor calls itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def last_cache() -> str | None:
    """The size of the last level of cache, as "32768K", where the system says it."""
    caches = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    return caches[-1].read_text(encoding="ascii").strip() if caches else None


def in_a_line(machine: dict[str, Any]) -> str:
    """The facts that a table needs below it."""
    versions = machine["versions"]
    names = ("numpy", "cupy-cuda12x", "cupy-cuda13x", "numba", "torch", "optax", "jax")
    used = [f"{name} {versions[name]}" for name in names if name in versions]
    where = f"{machine['gpu']}, " if "gpu" in machine else ""
    where += f"{machine['cpu']}, {machine['cores of this process']} cores"
    return f"{where}; optreg {versions['optreg']}, {', '.join(used)}"


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
