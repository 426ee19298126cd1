"""The backend passes the checks that every backend passes, as far as an emulation can tell."""

from __future__ import annotations

import pytest

from optreg.testing.catalog import checks
from optreg.testing.running import Run
from optreg.testing.subjects import BackendSubject, HookSubject, OptimizerSubject

# The emulation has one thread.
CHECKS = [check for check in checks("backend") if check.name != "check_backend_threads"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_checks_of_backends_pass_on_a_device(emulation, check):
    result = Run(BackendSubject("cupy"), {}, "1").of(check)
    assert result.outcome == "passed", result.text


@pytest.mark.parametrize(
    "subject",
    [OptimizerSubject("adamw"), OptimizerSubject("lars"), HookSubject("gradient_clipping", {"threshold": 0.5})],
    ids=lambda subject: subject.name,
)
def test_optimizers_and_hooks_are_compared_on_the_device_as_well(emulation, subject):
    run = Run(subject, {}, "1")
    (check,) = [check for check in run.checks if check.name in ("check_backends", "check_hook_backends")]
    result = run.of(check)
    assert result.outcome == "passed", result.text
    assert "cupy" in result.text.partition(" as numpy")[0]
    assert emulation.launches
