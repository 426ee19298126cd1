"""Kernels of these tests are compiled at once."""

from __future__ import annotations

import pytest

from optreg.backends.native import numba_is_installed

collect_ignore_glob = [] if numba_is_installed() else ["test_*.py"]


@pytest.fixture(scope="package", autouse=True)
def compiled_at_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTREG_COMPILE", "now")
        yield
