"""The built-ins pass the checks that everybody's pass."""

from __future__ import annotations

import pytest

import optreg
from optreg.testing import hook_suite, optimizer_suite
from optreg.testing.catalog import KINDS
from optreg.testing.running import runs_of

# Not expected to fail: what the built-ins fail is a bug.
for _name in optreg.names("*"):
    if "/" not in _name:
        globals()[f"Test_{_name}"] = optimizer_suite(_name, level="1")

ARGUMENTS = {
    "weight_decay": {"rate": 0.1},
    "lasso": {"rate": 0.01},
    "gradient_clipping": {"threshold": 0.5},
    "gradient_hard_clipping": {"lower_bound": -0.2, "upper_bound": 0.3},
    "adaptive_gradient_clipping": {"threshold": 0.1},
    "gradient_centralization": {},
    "gradient_noise": {"eta": 0.01},
    "skip_nonfinite": {},
    "gradient_accumulation": {"steps": 2},
    "sam": {},
    "asam": {},
    "exponential_moving_average": {"decay": 0.9},
    "stochastic_weight_average": {"start": 2},
    "lookahead": {"k": 2},
    "cautious": {},
}

for _name in optreg.hook_names("*"):
    if "/" not in _name:
        globals()[f"Test_{_name}"] = hook_suite(_name, arguments=ARGUMENTS[_name], level="1")


OTHERS = [run for run in runs_of("optreg") if run.subject.kind not in ("optimizer", "hook")]


@pytest.mark.parametrize("run", OTHERS, ids=lambda run: run.subject.name)
def test_backends_and_tasks_pass_as_when_the_namespace_is_checked(run):
    failed = [str(result) for result in run if result.outcome == "failed"]
    assert not failed


def test_nothing_that_is_built_in_is_left_out():
    kinds = {run.subject.kind for run in OTHERS}
    assert set(KINDS) - kinds == {"optimizer", "hook", "hook set", "target"}, "check the new kind as well"
    assert len([name for name in globals() if name.startswith("Test_")]) >= 38
