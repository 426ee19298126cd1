"""What holds for all tests."""

import os

from hypothesis import settings

# A busy machine is slow, which is no error. In CI the same examples come each time; elsewhere new ones are tried.
settings.register_profile("optreg", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("optreg")
