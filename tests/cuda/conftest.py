"""An emulated CuPy for the tests of what runs on devices."""

from __future__ import annotations

import sys

import pytest

import optreg
from optreg.backends.device_kernels import kernel

from .emulated_cupy import Emulation
from .host import COMPILER


@pytest.fixture
def emulation(monkeypatch):
    if COMPILER is None:
        pytest.skip("needs g++")
    emulation = Emulation()
    monkeypatch.setitem(sys.modules, "cupy", emulation.module())
    kernel.cache_clear()
    with optreg.temporary():
        yield emulation
    kernel.cache_clear()
