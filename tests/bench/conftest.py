"""Kernels of these tests are kept in a directory of their own."""

from __future__ import annotations

import pytest

from optreg.backends.kernel_cache import found_directory


@pytest.fixture(scope="package", autouse=True)
def own_kernels(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTREG_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        found_directory.cache_clear()
        yield
    found_directory.cache_clear()
