"""Kernels of these tests are compiled at once."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from optreg.backends.native import numba_is_installed

collect_ignore_glob = [] if numba_is_installed() else ["test_*.py"]


@pytest.fixture(scope="package", autouse=True)
def compiled_at_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTREG_COMPILE", "now")
        yield


@pytest.fixture
def compiler_script(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """What makes a program of one line of the shell, to stand in the place of the interpreter that compiles."""
    if sys.platform == "win32":
        pytest.skip("scripts are no programs there")

    def make(line: str) -> str:
        script = tmp_path_factory.mktemp("bin") / "python"
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o700)
        return str(script)

    return make
