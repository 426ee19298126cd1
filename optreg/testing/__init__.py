"""The conformance kit: the checks that every optimizer, hook, backend and target passes, optreg's own and yours.

In a test file of a package, for pytest::

    from optreg.testing import optimizer_suite

    TestLion = optimizer_suite("acme/lion")

Without pytest: ``check_optimizer("acme/lion")`` returns a :class:`CheckResult` for each check, and
``optreg check acme`` prints them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optreg.testing.results import CheckResult
from optreg.testing.running import check_backend, check_hook, check_namespace, check_optimizer, check_target

if TYPE_CHECKING:
    from optreg.testing.suites import backend_suite, hook_suite, optimizer_suite, target_suite

__all__ = [
    "CheckResult",
    "backend_suite",
    "check_backend",
    "check_hook",
    "check_namespace",
    "check_optimizer",
    "check_target",
    "hook_suite",
    "optimizer_suite",
    "target_suite",
]


def __getattr__(name: str) -> Any:
    if name.endswith("_suite") and name in __all__:  # these need pytest, the others do not
        from optreg.testing import suites

        return getattr(suites, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
