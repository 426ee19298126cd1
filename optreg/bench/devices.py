"""Where the arrays are that steps are measured on: beside the processor, or on a GPU."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from optreg.bench.conditions import free_memory
from optreg.errors import ConfigError, did_you_mean

CPU, CUDA = "cpu", "cuda"


class Device(Protocol):
    """Arrays of optreg on a device."""

    def copy(self, array: Any) -> Any:
        """A new array there, like one beside the processor."""

    def fetch(self, array: Any) -> Any:
        """A copy beside the processor."""

    def wait(self) -> None:
        """Wait until everything that was begun is done."""

    def free(self) -> int:
        """Bytes that are not in use."""


class Host:
    """NumPy's arrays."""

    def copy(self, array: Any) -> Any:
        return array.copy()

    def fetch(self, array: Any) -> Any:
        return array.copy()

    def wait(self) -> None:
        """Nothing runs on behind the caller's back."""

    def free(self) -> int:
        return free_memory()


class Cuda:
    """CuPy's arrays."""

    def __init__(self) -> None:
        self.cupy = import_module("cupy")

    def copy(self, array: Any) -> Any:
        return self.cupy.array(array)

    def fetch(self, array: Any) -> Any:
        return np.array(self.cupy.asnumpy(array))

    def wait(self) -> None:
        self.cupy.cuda.Device().synchronize()

    def free(self) -> int:
        return int(self.cupy.cuda.Device().mem_info[0])


@cache
def device_named(name: str) -> Device:
    """The device of that name."""
    return Cuda() if name == CUDA else Host()


def check_device(name: str) -> None:
    """Raise a ConfigError unless steps can be measured there."""
    if name not in (CPU, CUDA):
        raise ConfigError(f"device must be cpu or cuda, but it is {name!r}.{did_you_mean(name, (CPU, CUDA))}")
    if name == CUDA:
        if find_spec("cupy") is None:
            raise ConfigError("--device cuda needs CuPy: pip install 'optreg[cuda12]', or 'optreg[cuda13]'")
        if not _count_gpus():
            raise ConfigError("--device cuda needs a GPU, and CuPy finds none")


def _count_gpus() -> int:
    cupy = import_module("cupy")
    try:
        return int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError:
        return 0
