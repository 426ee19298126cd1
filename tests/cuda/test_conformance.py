"""The backend passes the checks that every backend passes, as far as an emulation can tell."""

from __future__ import annotations

import pytest

import optreg
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
    [
        OptimizerSubject("adamw"),
        OptimizerSubject("lars"),
        OptimizerSubject("prodigy"),
        HookSubject("gradient_clipping", {"threshold": 0.5}),
        HookSubject("cautious", {}),
    ],
    ids=lambda subject: subject.name,
)
def test_optimizers_and_hooks_are_compared_on_the_device_as_well(emulation, subject):
    run = Run(subject, {}, "1")
    (check,) = [check for check in run.checks if check.name in ("check_backends", "check_hook_backends")]
    result = run.of(check)
    assert result.outcome == "passed", result.text
    assert "cupy" in result.text.partition(" as numpy")[0]
    assert emulation.launches


class Twins(optreg.GradientMethod):
    """The formula stands twice, as in Chainer 1, and not alike."""

    lr = 0.1

    def update_one_cpu(self, param, state):
        param.data -= self.lr * param.grad

    def update_one_gpu(self, param, state):
        param.data -= self.lr * param.grad * 1.001


def test_what_is_another_formula_on_a_device_is_found(emulation):
    optreg.register("my/twins", Twins)
    run = Run(OptimizerSubject("my/twins"), {}, "1")
    (result,) = [run.of(check) for check in run.checks if check.name == "check_backends"]
    assert result.outcome == "failed"
    assert "my/twins gives other numbers with the backend cupy than with NumPy" in result.text
