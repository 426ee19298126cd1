"""Run checks: on one subject, or on all that a namespace offers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import attrs
import numpy as np

import optreg
from optreg.testing import internals
from optreg.testing.catalog import LATEST, Check, checks
from optreg.testing.results import CheckFailedError, CheckResult, CheckSkipped, Outcome
from optreg.testing.subjects import (
    BackendSubject,
    CommandSubject,
    HookSetSubject,
    HookSubject,
    OptimizerSubject,
    Subject,
    TargetSubject,
    TaskSubject,
)

Expected = Mapping[str, str]
"""Reasons why checks fail, by the checks' names."""


RESOLVES = "check_target_resolves"
_FIRST = ("check_declaration_is_cheap", RESOLVES)

_Found = tuple[Outcome, str, BaseException | None]


@attrs.define(eq=False, slots=False)
class Run:
    """The checks of one subject, and which of them are expected to fail.

    Raises:
        ValueError: an expected failure names no check of this kind and level, or has no reason.
    """

    subject: Subject
    expected: Expected
    level: str
    checks: tuple[Check, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.checks = tuple(checks(self.subject.kind, self.level))
        known = [check.name for check in self.checks]
        for name, reason in self.expected.items():
            if name not in known:
                close = get_close_matches(name, known, n=1, cutoff=0.5)
                meant = f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known)}"
                raise ValueError(
                    f"expected_failures of {self.subject.name}: the {self.subject.kind}s have no check {name!r} "
                    f"in level {self.level}{meant}"
                )
            if not isinstance(reason, str) or not reason.strip():
                raise ValueError(f"expected_failures of {self.subject.name}: give the reason why {name} fails, as text")

    def of(self, check: Check) -> CheckResult:
        """Run one check; of what cannot be used at all, only the one that says why."""
        begin = time.perf_counter()
        if check.name not in _FIRST and self._is_unusable:
            found: _Found = ("skipped", f"{self.subject.name} cannot be used; see {RESOLVES}", None)
        else:
            found = self._found(check)
        return self._as_expected(check, *found, time.perf_counter() - begin)

    @cached_property
    def _is_unusable(self) -> bool:
        return any(self._found(check)[0] == "failed" for check in self.checks if check.name == RESOLVES)

    def _found(self, check: Check) -> _Found:
        try:
            # The author's test run may turn warnings into errors, or NumPy's, and the command does neither.
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return "passed", check.function(self.subject) or "", None
        except CheckSkipped as reason:
            return "skipped", str(reason), None
        except CheckFailedError as error:
            return "failed", str(error), error
        except (Exception, SystemExit) as error:  # of the author's code, or of optreg's in its hands
            return "failed", f"{type(error).__name__}: {error}", error

    def _as_expected(
        self, check: Check, outcome: Outcome, text: str, error: BaseException | None, seconds: float
    ) -> CheckResult:
        reason = self.expected.get(check.name)
        if reason is not None and outcome == "passed":
            outcome = "failed"
            text = f"it passes, but is an expected failure ({reason}); take it out of expected_failures"
        elif reason is not None and outcome == "failed":
            outcome, text, error = "expected failure", reason, None
        return CheckResult(self.subject.kind, self.subject.name, check.name, outcome, text, seconds, error)

    def __iter__(self) -> Iterator[CheckResult]:
        return map(self.of, self.checks)


def check_optimizer(
    name: str,
    *,
    hyperparameters: Mapping[str, Any] | None = None,
    expected_failures: Expected | None = None,
    level: str = LATEST,
) -> list[CheckResult]:
    """Run every check of an optimizer.

    Args:
        name: such as ``"acme/lion"``.
        hyperparameters: to make it with, where its defaults will not do.
        expected_failures: reasons why checks fail, by the checks' names.
        level: of the checks; a level never grows.

    Raises:
        UnknownNameError: there is no such optimizer.
        ValueError: an expected failure that is no check, or without a reason; an unknown level.

    >>> results = check_optimizer("sgd")
    >>> {result.outcome for result in results} <= {"passed", "skipped"}
    True
    """
    return _results(OptimizerSubject(name, hyperparameters or {}), expected_failures, level)


def check_hook(
    name: str,
    *,
    arguments: Mapping[str, Any] | None = None,
    expected_failures: Expected | None = None,
    level: str = LATEST,
) -> list[CheckResult]:
    """Run every check of a hook, made with ``arguments``; see :func:`check_optimizer`."""
    return _results(HookSubject(name, arguments or {}), expected_failures, level)


def check_backend(name: str, *, expected_failures: Expected | None = None, level: str = LATEST) -> list[CheckResult]:
    """Run every check of a backend; see :func:`check_optimizer`."""
    return _results(BackendSubject(name), expected_failures, level)


def check_target(
    name: str,
    *,
    example: Callable[[], Any] | None = None,
    expected_failures: Expected | None = None,
    level: str = LATEST,
) -> list[CheckResult]:
    """Run every check of a target adapter.

    Args:
        name: such as ``"acme/module"``.
        example: makes a new object that the adapter is for, with the same numbers each time; without it, only the
            declaration is checked.
        expected_failures: as of :func:`check_optimizer`.
        level: as of :func:`check_optimizer`.
    """
    return _results(TargetSubject(name, example), expected_failures, level)


def check_namespace(
    namespace: str,
    *,
    arguments: Mapping[str, Mapping[str, Any]] | None = None,
    examples: Mapping[str, Callable[[], Any]] | None = None,
    expected_failures: Mapping[str, Expected] | None = None,
    level: str = LATEST,
) -> list[CheckResult]:
    """Run every check of everything that a namespace offers: optimizers, hooks, hook sets, backends, targets, tasks,
    commands.

    Args:
        namespace: such as ``"acme"``; ``"optreg"`` for the built-ins.
        arguments: what optimizers and hooks are made with, by their names.
        examples: functions that make an object for a target adapter, by the adapters' names.
        expected_failures: reasons why checks fail, by name and check.
        level: of the checks.

    Raises:
        PluginError: a package that claims the namespace is broken.
        UnknownNameError: nothing is offered in this namespace.
        ValueError: a name that is not offered, or an expected failure that is no check.
    """
    runs = runs_of(namespace, arguments or {}, examples or {}, expected_failures or {}, level)
    return [result for run in runs for result in run]


def runs_of(
    namespace: str,
    arguments: Mapping[str, Mapping[str, Any]] | None = None,
    examples: Mapping[str, Callable[[], Any]] | None = None,
    expected_failures: Mapping[str, Expected] | None = None,
    level: str = LATEST,
) -> list[Run]:
    """The runs of :func:`check_namespace`, none of which has begun."""
    _refuse_broken(namespace)
    found = internals.declared_in(namespace)
    if not found:
        raise optreg.errors.UnknownNameError(
            f"nothing is offered in the namespace {namespace!r}, so there is nothing to check; "
            f"`optreg plugins` shows the namespaces there are"
        )
    for given in (arguments, examples, expected_failures):
        for name in given or {}:
            if name not in [each.name for each in found]:
                raise ValueError(f"the namespace {namespace!r} offers no {name!r}; check the names you give")
    return [_run_of(each, arguments or {}, examples or {}, expected_failures or {}, level) for each in found]


def _refuse_broken(namespace: str) -> None:
    problems = internals.problems_of(namespace)
    if problems:
        raise optreg.errors.PluginError(
            f"the namespace {namespace!r} cannot be checked: {'; '.join(problems)}; see `optreg doctor`"
        )


def runs_of_name(name: str, arguments: Mapping[str, Any], level: str = LATEST) -> list[Run]:
    """The runs of everything that has a name, usually one thing; of a namespace where nothing has that name."""
    kinds = internals.kinds_of(name)
    if kinds:
        return [_run_of(internals.declared(kind, name), {name: arguments}, {}, {}, level) for kind in kinds]
    _refuse_broken(name.partition("/")[0])
    if not internals.declared_in(name):
        raise optreg.errors.UnknownNameError(
            f"nothing is called {name!r}, neither a name nor a namespace.{internals.did_you_mean_anything(name)}"
        )
    if arguments:
        raise ValueError(f"{name!r} is a namespace, which takes no hyperparameters; check a name of it with them")
    return runs_of(name, level=level)


def _run_of(
    declared: internals.Declared,
    arguments: Mapping[str, Mapping[str, Any]],
    examples: Mapping[str, Callable[[], Any]],
    expected: Mapping[str, Expected],
    level: str,
) -> Run:
    name = declared.name
    subjects: dict[str, Callable[[], Subject]] = {
        "optimizer": lambda: OptimizerSubject(name, arguments.get(name, {})),
        "hook": lambda: HookSubject(name, arguments.get(name, {})),
        "hook set": lambda: HookSetSubject(name),
        "backend": lambda: BackendSubject(name),
        "target": lambda: TargetSubject(name, examples.get(name)),
        "task": lambda: TaskSubject(name),
        "command": lambda: CommandSubject(name),
    }
    return Run(subjects[declared.kind](), expected.get(name, {}), level)


def _results(subject: Subject, expected: Expected | None, level: str) -> list[CheckResult]:
    run = Run(subject, expected or {}, level)
    _ = subject.declared  # an unknown name is the caller's mistake, and no failed check
    return list(run)
