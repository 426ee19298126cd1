"""Kernels of these tests are compiled at once, into a directory of their own."""

from __future__ import annotations

import pytest

from optreg.backends.kernel_cache import found_directory
from optreg.backends.native import numba_is_installed

collect_ignore_glob = [] if numba_is_installed() else ["test_*.py"]


@pytest.fixture(scope="package", autouse=True)
def compiled_at_once(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTREG_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        patch.setenv("OPTREG_COMPILE", "now")
        found_directory.cache_clear()
        yield
    found_directory.cache_clear()
