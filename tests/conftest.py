"""What holds for all tests."""

import os

import pytest
from hypothesis import HealthCheck, settings

from optreg.backends.kernel_cache import found_directory

# A busy machine is slow, which is no error. Under tox the same examples come each time; elsewhere new ones are tried.
settings.register_profile(
    "optreg",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("optreg")


@pytest.fixture(scope="session", autouse=True)
def kernels_of_this_run(tmp_path_factory):
    """A directory of kernels that is empty at first; all processes of pytest-xdist share it, to compile each once."""
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kernels"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTREG_CACHE_DIR", str(directory))
        found_directory.cache_clear()
        yield
    found_directory.cache_clear()
