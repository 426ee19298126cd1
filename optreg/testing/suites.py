"""The checks as classes of tests for pytest, whatever its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optreg.testing.catalog import LATEST, Check
from optreg.testing.results import CheckFailedError, CheckResult, none_was_run, summary
from optreg.testing.running import Expected, Run
from optreg.testing.subjects import BackendSubject, HookSubject, OptimizerSubject, Subject, TargetSubject

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the suites of optreg.testing are tests for pytest, which is not installed: pip install 'optreg[testing]'; "
        "without it, check_optimizer() and the command `optreg check` run the same checks",
        name="pytest",
    ) from error


def optimizer_suite(
    name: str,
    *,
    hyperparameters: Mapping[str, Any] | None = None,
    expected_failures: Expected | None = None,
    level: str = LATEST,
) -> type:
    """A class of tests, one for each check of an optimizer: ``TestLion = optimizer_suite("acme/lion")``.

    The arguments are those of :func:`optreg.testing.check_optimizer`.
    """
    return _suite(OptimizerSubject(name, hyperparameters or {}), expected_failures, level)


def hook_suite(
    name: str,
    *,
    arguments: Mapping[str, Any] | None = None,
    expected_failures: Expected | None = None,
    level: str = LATEST,
) -> type:
    """A class of tests, one for each check of a hook; the arguments are those of :func:`optreg.testing.check_hook`."""
    return _suite(HookSubject(name, arguments or {}), expected_failures, level)


def backend_suite(name: str, *, expected_failures: Expected | None = None, level: str = LATEST) -> type:
    """A class of tests, one for each check of a backend."""
    return _suite(BackendSubject(name), expected_failures, level)


def target_suite(
    name: str,
    *,
    example: Callable[[], Any] | None = None,
    expected_failures: Expected | None = None,
    level: str = LATEST,
) -> type:
    """A class of tests, one for each check of a target adapter; see :func:`optreg.testing.check_target`."""
    return _suite(TargetSubject(name, example), expected_failures, level)


def _suite(subject: Subject, expected: Expected | None, level: str) -> type:
    run = Run(subject, expected or {}, level)
    tests = {f"test_{check.name}": _test(run, check) for check in run.checks}
    # __test__ has pytest collect them under any python_classes and python_functions.
    return type(f"{type(subject).__name__.removesuffix('Subject')}Suite", (), {"__test__": True, **tests})


def _test(run: Run, check: Check) -> Callable[..., None]:
    def test(self: object, request: pytest.FixtureRequest) -> None:  # noqa: ARG001 (pytest's signature)
        result = run.of(check)
        _Report.of(request.config).add(result)
        if result.outcome == "skipped":
            pytest.skip(result.text)
        if result.outcome == "expected failure":
            pytest.xfail(result.text)
        if result.outcome == "failed":
            if result.error is None or isinstance(result.error, CheckFailedError):
                pytest.fail(f"{result.name}: {result.text}", pytrace=False)
            raise result.error  # with the author's lines

    test.__name__ = test.__qualname__ = f"test_{check.name}"
    test.__doc__ = check.sentence
    test.__test__ = True  # type: ignore[attr-defined]
    return test


_COSTS = ("check_step_cost", "check_hook_cost")


class _Report:
    """What was run, printed when pytest ends. Under pytest-xdist, the processes that run tests cannot print."""

    _KEY = pytest.StashKey["_Report"]()

    def __init__(self) -> None:
        self._results: dict[tuple[str, str], list[CheckResult]] = {}

    @classmethod
    def of(cls, config: pytest.Config) -> _Report:
        """The report of a run of pytest, which begins with its first check."""
        if cls._KEY not in config.stash:
            config.stash[cls._KEY] = cls()
            config.pluginmanager.register(config.stash[cls._KEY])
        return config.stash[cls._KEY]

    def add(self, result: CheckResult) -> None:
        """Note a result."""
        self._results.setdefault((result.kind, result.name), []).append(result)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A run in which a suite has run nothing has failed."""
        if exitstatus == 0 and any(map(none_was_run, self._results.values())):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say of each subject what was run, skipped, and failed as expected, with reasons, and what a step costs.

        ``pytest -v`` shows whatever was measured.
        """
        verbose = terminalreporter.config.get_verbosity() > 0
        terminalreporter.section("optreg checks")
        for (kind, name), results in self._results.items():
            terminalreporter.line(f"{kind} {name}: {summary(results)}")
            for result in results:
                measured = result.text and (verbose or result.check in _COSTS)
                if result.outcome in ("skipped", "expected failure") or (result.outcome == "passed" and measured):
                    terminalreporter.line(f"  {result.check}: {result.outcome}: {result.text}")
