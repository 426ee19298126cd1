"""A level is a promise: who passes it today passes it after every update of optreg."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import optreg.testing.checks
from optreg.testing import check_optimizer
from optreg.testing.catalog import KINDS, LEVELS, checks

LEVEL_1 = {
    "optimizer": """
        check_declaration_is_cheap check_target_resolves check_description
        check_unknown_hyperparameters check_hyperparameters_are_checked check_hyperparameters_are_documented
        check_config_round_trip check_schedules
        check_step_count check_setup_begins_anew
        check_updates_in_place check_states_in_place check_float32 check_float16 check_zero_size
        check_zero_dimensional check_strided check_shared check_late_parameters
        check_gradients_are_kept check_none_gradients
        check_minimizes_a_quadratic check_minimizes_rosenbrock check_learns_a_logistic_regression
        check_deterministic check_instances_are_apart check_threads check_tensors_in_parallel
        check_failing_loss check_failing_hook check_exception_in_the_middle
        check_resuming check_serializers
        check_builtin_hooks check_hooks_are_called check_skipped_steps
        check_backends check_step_cost
    """,
    "hook": """
        check_declaration_is_cheap check_target_resolves check_description
        check_unknown_hyperparameters check_hyperparameters_are_checked check_hyperparameters_are_documented
        check_hook_config_round_trip check_hook_resuming check_hook_backends check_hook_cost
        check_hook_runs check_hook_changes_in_place check_hook_keeps_to_its_time check_hook_none_gradients
        check_hook_deterministic check_hook_instances_are_apart check_hook_late_parameters
    """,
    "hook set": "check_declaration_is_cheap check_description check_hook_set_resolves check_hook_set_runs",
    "backend": """
        check_declaration_is_cheap check_target_resolves check_description
        check_backend_name check_backend_elementwise check_backend_whole_tensors check_backend_float16
        check_backend_complex check_backend_strided check_backend_hooks check_backend_groups
        check_backend_changes_between_steps check_backend_gradients check_backend_threads
    """,
    "target": """
        check_declaration_is_cheap check_target_resolves check_description
        check_target_types check_target_parameters check_target_updates check_target_gradients_by_name
        check_target_resuming
    """,
    "command": "check_declaration_is_cheap check_target_resolves check_description check_command_help",
    "task": """
        check_declaration_is_cheap check_target_resolves check_description
        check_task_is_complete check_task_is_repeatable check_task_gradients check_task_can_be_solved
    """,
}
"""Never to be changed: a new check begins a new level."""


@pytest.mark.parametrize("kind", KINDS)
def test_level_1_is_frozen(kind):
    assert [check.name for check in checks(kind, "1")] == LEVEL_1[kind].split()


def test_every_check_is_a_sentence_with_a_name_of_its_own():
    assert LEVELS == ("1",)
    for kind in KINDS:
        names = [check.name for check in checks(kind)]
        assert len(names) == len(set(names))
        for check in checks(kind):
            assert check.sentence.endswith("."), check.name
            assert check.name.startswith("check_")


def test_every_failure_says_what_to_do():
    for theme in Path(optreg.testing.checks.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(theme.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "fail":
                assert "; " in ast.unparse(node) or "str(error)" in ast.unparse(node), f"{theme.name}:{node.lineno}"


def test_an_unknown_level_is_an_error():
    with pytest.raises(ValueError, match="there is no level '0' of checks; there are: '1'"):
        check_optimizer("sgd", level="0")
