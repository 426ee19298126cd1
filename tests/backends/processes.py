"""Programs that run in processes of their own, with a cache of kernels of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

PREAMBLE = """
import os, sys, time, threading, warnings
import numpy as np
import optreg

def optimizer(size=5, name="sgd", **hyperparameters):
    return optreg.create(name, **hyperparameters).setup({"w": np.linspace(-1, 1, size)})

def steps(optimizer, count):
    for _ in range(count):
        optimizer.target["w"].grad = optimizer.target["w"].data * 0.5 + 0.1
        optimizer.update()

def compiled(optimizer):
    return optimizer._repeats is not None and optimizer._repeats.fit()

def right(optimizer, size=5, name="sgd", **hyperparameters):
    with optreg.use_backend("numpy"):
        expected = optreg.create(name, **hyperparameters).setup({"w": np.linspace(-1, 1, size)})
        steps(expected, optimizer.t)
    return expected.target["w"].data.tobytes() == optimizer.target["w"].data.tobytes()

def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
"""


def start(
    program: str, cache: Path | None, *options: str, first: str = "", **environment: str
) -> subprocess.Popen[str]:
    """Start a program, which comes after the preamble and what is to be ``first``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OPTREG_", "XDG_"))}
    mine = {} if cache is None else {"OPTREG_CACHE_DIR": str(cache)}
    return subprocess.Popen(
        [sys.executable, *options, "-c", first + PREAMBLE + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, **mine, "OPTREG_BACKEND": "numba", "OPTREG_COMPILE": "now", **environment},
    )


def run(program: str, cache: Path | None, *options: str, first: str = "", **environment: str) -> tuple[str, str]:
    """Run a program to its end, which must be a good one; what it has printed, and what it has said on stderr."""
    process = start(program, cache, *options, first=first, **environment)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip(), err


def leftovers(cache: Path) -> list[str]:
    """What lies in a cache beside kernels."""
    return [file.name for file in cache.iterdir() if file.suffix != ".kernel"]
