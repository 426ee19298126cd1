"""Measurements that need a process of their own: ``python -m optreg.bench.child WHAT``, which prints JSON.

``WHAT`` is JSON as well: ``measure`` ("memory" or "first step"), the name of a contender, and the job.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import attrs

from optreg.bench.cases import Case, Numbers, Variant
from optreg.bench.contender import Contender, Job
from optreg.bench.lineup import contender

STEPS = 3


def memory(started: Contender, numbers: Numbers) -> dict[str, int | None]:
    """The most memory that a step takes besides parameters, gradients and states, in bytes.

    Returns:
        ``resident``: of the process, where the system can say it; ``traced``: of what NumPy and Python allocated.
    """
    resident, traced = [], []
    with started.at_work():
        for _ in range(STEPS):
            started.renew_gradients(numbers.gradients)
            started.step()
        for _ in range(STEPS):
            started.renew_gradients(numbers.gradients)
            _give_back()
            before = _forget_peak()
            started.step()
            resident.append(None if before is None else max(_status("VmHWM") - before, 0))
        started.renew_gradients(numbers.gradients)
        tracemalloc.start()
        started.step()
        traced.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    found = [each for each in resident if each is not None]
    return {"resident": max(found) if found else None, "traced": max(traced)}


def _give_back() -> None:
    """Return freed memory to the system, so that a step that needs it is seen to take it."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _forget_peak() -> int | None:
    """Let the process's peak begin anew, and return the bytes that are resident now; None where that cannot be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _status("VmRSS")
    except OSError:
        return None


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"the system does not say {name}")


def first_step(started: Contender, numbers: Numbers) -> dict[str, float]:
    """The seconds of the first step, with all that is imported, traced or compiled for it."""
    started.renew_gradients(numbers.gradients)
    begin = time.perf_counter()
    started.step()
    return {"seconds": time.perf_counter() - begin}


def ask(what: str, name: str, case: Case, job: Job) -> str:
    """The argument for a child."""
    return json.dumps({"measure": what, "contender": name, "case": attrs.asdict(case), "job": attrs.asdict(job)})


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Measure what was asked for."""
    case = Case(question["case"]["name"], tuple(map(tuple, question["case"]["shapes"])))
    job = Job(**{**question["job"], "variant": Variant(**question["job"]["variant"])})
    started, numbers = contender(question["contender"], job), Numbers.of(case, job.dtype)
    started.start(numbers.values)
    return (memory if question["measure"] == "memory" else first_step)(started, numbers)


if __name__ == "__main__":
    print(json.dumps(answer(json.loads(sys.argv[1]))))
