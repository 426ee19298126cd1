"""Every check fails what it is there for: a check that cannot fail is worthless."""

from __future__ import annotations

import click
import pytest

import optreg
from optreg.backends.native import numba_is_installed
from optreg.testing.catalog import KINDS, checks
from optreg.testing.running import Run
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

from . import broken_backends, broken_hooks, broken_optimizers, broken_targets, broken_tasks

SLOW = {"check_minimizes_a_quadratic", "check_minimizes_rosenbrock", "check_learns_a_logistic_regression"}
NEEDS_A_PACKAGE = {"check_declaration_is_cheap"}
"""Shown with an installed one, in test_packages.py."""


@pytest.fixture(autouse=True)
def nothing_stays_registered():
    with optreg.temporary():
        yield


def failures(subject: Subject, meant: str = "") -> dict[str, str]:
    """The checks that fail, with what they say; the slow ones are run where they are meant."""
    run = Run(subject, {}, "1")
    results = [run.of(check) for check in run.checks if check.name not in SLOW or check.name == meant]
    return {result.check: result.text for result in results if result.outcome == "failed"}


def assert_fails(found: dict[str, str], meant: str, others: str = "") -> None:
    assert meant in found
    assert found.keys() - {meant} == set(others.split()) - SLOW, found
    assert "; " in found[meant], "it says what to do"


@pytest.mark.parametrize("cls", broken_optimizers.RIGHT)
def test_the_optimizers_that_the_broken_ones_derive_from_are_right(cls):
    optreg.register("my/x", cls, summary="Right.")
    assert failures(OptimizerSubject("my/x")) == {}


@pytest.mark.parametrize("meant", broken_optimizers.BROKEN)
def test_a_check_of_optimizers_fails_the_one_that_is_broken(meant):
    cls, others = broken_optimizers.BROKEN[meant]
    if meant == "check_backends" and not numba_is_installed():
        pytest.skip("there is no backend to compare with")
    optreg.register("my/x", cls, summary="Broken.")
    assert_fails(failures(OptimizerSubject("my/x"), meant), meant, others)


@pytest.mark.parametrize("meant", broken_hooks.BROKEN)
def test_a_check_of_hooks_fails_the_one_that_is_broken(meant):
    cls, others = broken_hooks.BROKEN[meant]
    optreg.register("my/x", cls, summary="Broken.")
    assert_fails(failures(HookSubject("my/x")), meant, others)


def test_the_hook_that_the_broken_ones_derive_from_is_right():
    optreg.register("my/x", broken_hooks.Right)
    assert failures(HookSubject("my/x")) == {}


def backend(cls: type) -> BackendSubject:
    optreg.register(optreg.BackendSpec("x", f"{cls.__module__}:{cls.__name__}", "A backend."), namespace="my")
    return BackendSubject("my/x")


@pytest.mark.parametrize("meant", broken_backends.BROKEN)
def test_a_check_of_backends_fails_the_one_that_is_broken(meant):
    assert_fails(failures(backend(broken_backends.BROKEN[meant])), meant)


def test_the_backend_that_the_broken_ones_derive_from_is_right():
    assert failures(backend(broken_backends.Right)) == {}


def target(function: str, types: tuple[str, ...] = (broken_targets.REAL,)) -> TargetSubject:
    spec = optreg.TargetSpec("x", f"{broken_targets.__name__}:{function}", types, "A model.")
    optreg.register(spec, namespace="my")
    return TargetSubject("my/x", broken_targets.Model)


@pytest.mark.parametrize("meant", broken_targets.BROKEN)
def test_a_check_of_targets_fails_the_one_that_is_broken(meant):
    function, types, others = broken_targets.BROKEN[meant]
    assert_fails(failures(target(function, types)), meant, others)


def test_the_adapter_that_the_broken_ones_resemble_is_right():
    assert failures(target("right")) == {}


def task(cls: type) -> TaskSubject:
    optreg.register(optreg.TaskSpec("x", f"{cls.__module__}:{cls.__name__}", "A task."), namespace="my")
    return TaskSubject("my/x")


@pytest.mark.parametrize("meant", broken_tasks.BROKEN)
def test_a_check_of_tasks_fails_the_one_that_is_broken(meant):
    assert_fails(failures(task(broken_tasks.BROKEN[meant])), meant)


def test_the_task_that_the_broken_ones_derive_from_is_right():
    assert failures(task(broken_tasks.Right)) == {}


SETS = {
    "check_hook_set_resolves": ([("no_such_hook", {})], (), "check_hook_set_runs"),
    "check_hook_set_runs": ([("lasso", {"rate": 0.1}), ("lasso", {"rate": 0.2})], (), ""),
}


@pytest.mark.parametrize("meant", SETS)
def test_a_check_of_hook_sets_fails_the_one_that_is_broken(meant):
    hooks, extends, others = SETS[meant]
    optreg.register(optreg.HookSetSpec("x", hooks, "A set.", extends), namespace="my")
    assert_fails(failures(HookSetSubject("my/x")), meant, others)


@click.command()
def silent():  # no docstring, on purpose
    pass


def test_a_command_that_does_not_explain_itself_fails_the_check_of_that():
    optreg.register(optreg.CommandSpec("x", f"{__name__}:silent", "Nothing."), namespace="my")
    assert_fails(failures(CommandSubject("my/x")), "check_command_help")


def test_a_declaration_that_leads_nowhere_fails_the_check_of_that():
    optreg.register(optreg.OptimizerSpec("x", "not_there:Sophia", "Missing."), namespace="my")
    optreg.register(optreg.OptimizerSpec("y", "collections:OrderedDict", "No optimizer."), namespace="my")
    for name, told in {"x": "No module named 'not_there'", "y": "a class that derives from optreg.Optimizer"}.items():
        found = failures(OptimizerSubject(f"my/{name}"))
        assert found.keys() == {"check_target_resolves"}
        assert told in found["check_target_resolves"]


def test_named_defaults_that_the_optimizer_cannot_have_fail_the_check_of_the_target():
    target = f"{broken_optimizers.__name__}:Momentum"
    for name, values, told in (("x", {"lr": -1.0}, "lr must be a number > 0"), ("y", {"beta": 0.9}, "'beta'")):
        defaults = {"theirs": optreg.NamedDefaults(values)}
        optreg.register(optreg.OptimizerSpec(name, target, "Momentum.", defaults=defaults), namespace="my")
        assert told in failures(OptimizerSubject(f"my/{name}"))["check_target_resolves"]


def test_an_exit_in_the_middle_of_a_check_is_a_failure_like_any_other():
    class Exits(optreg.GradientMethod):
        """Gives up."""

        def update_one(self, param, state):
            raise SystemExit("goodbye")

    optreg.register("my/x", Exits)
    assert failures(OptimizerSubject("my/x"))["check_deterministic"] == "SystemExit: goodbye"


def test_a_summary_that_is_missing_or_long_fails_the_check_of_the_description():
    target = f"{broken_optimizers.__name__}:Momentum"
    for name, summary in {"silent": "", "talkative": "word " * 40}.items():
        optreg.register(optreg.OptimizerSpec(name, target, summary), namespace="my")
        assert "summary" in failures(OptimizerSubject(f"my/{name}"))["check_description"]


def test_every_check_has_something_that_fails_it():
    tables = {
        "optimizer": broken_optimizers.BROKEN,
        "hook": broken_hooks.BROKEN,
        "hook set": SETS,
        "backend": broken_backends.BROKEN,
        "target": broken_targets.BROKEN,
        "task": broken_tasks.BROKEN,
        "command": {},
    }
    elsewhere = {"check_command_help", "check_target_resolves", "check_description", *NEEDS_A_PACKAGE}
    for kind in KINDS:
        assert {check.name for check in checks(kind)} - tables[kind].keys() <= elsewhere
