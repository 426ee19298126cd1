"""``optreg kernel`` prints what is compiled."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import optreg
from optreg.cli.application import application

THIRD_PARTY = """
    import attrs
    import numpy as np
    import optreg
    from optreg.hyperparameters import positive

    @attrs.define(eq=False)
    class Rooted(optreg.GradientMethod):
        lr: float = positive()

        def rule(self, param, grad, m):
            m += np.abs(grad)
            param -= self.lr * np.sqrt(m)

    @attrs.define(eq=False)
    class Shrink(optreg.Hook):
        timing = "post"
        rate: float = positive(0.1)

        def rule(self, param, grad, calls):
            param *= self.rate
            calls += 1

    @optreg.hookimpl
    def optreg_optimizers():
        return [optreg.OptimizerSpec("rooted", "rooted:Rooted", "Roots.")]

    @optreg.hookimpl
    def optreg_hooks():
        return [optreg.HookSpec("shrink", "rooted:Shrink", "Shrinks.")]
"""


def run(*arguments):
    return CliRunner().invoke(application, ["kernel", *arguments], prog_name="optreg")


@pytest.mark.parametrize("backend", ["numba", "cuda"])
def test_the_kernel_of_a_built_in_is_printed_with_what_its_numbers_stand_for(backend):
    result = run("adamw", "--backend", backend)
    assert result.exit_code == 0, result.output
    comment = "#" if backend == "numba" else "//"
    assert result.stdout.startswith(f"{comment} Step 2 of owners[0] is AdamW\n")
    assert f"{comment} scalars[0] is owners[0].beta1\n" in result.stdout
    assert f"{comment} array 2 is 0.m (float32, changed)\n" in result.stdout


def test_numbas_text_is_python():
    compile(run("nadam", "--hook", "weight_decay").stdout, "kernel.py", "exec")


def test_cudas_text_is_one_kernel_whatever_hooks_are_on():
    result = run("adam", "--backend", "cuda", "--hook", "weight_decay", "--hook", "gradient_hard_clipping")
    assert result.stdout.count("__global__") == 1
    assert (
        "// Step 2 of owners[0] is WeightDecay, owners[1] is GradientHardClipping, owners[2] is Adam" in result.stdout
    )
    assert "// nvrtc --std=c++17 --fmad=false" in result.stdout


def test_the_first_step_may_be_another_kernel():
    first, later = run("adopt", "--step", "1").stdout, run("adopt").stdout
    assert "# as long as (owners[0].t == 1) is True" in first
    assert "# as long as (owners[0].t == 1) is False" in later
    assert "sqrt" not in first


def test_half_precision_is_stored_but_not_computed_in():
    assert "to_half(" in run("sgd", "--backend", "cuda", "--dtype", "float16").stdout
    text = run("sgd", "--dtype", "float16").stdout
    assert "# array 0 is param (float16, changed)" in text
    assert "= float16_of_float32(" in text


@pytest.mark.parametrize("backend", ["numba", "cuda"])
def test_master_weights_are_an_array_more(backend):
    text = run("adamw", "--dtype", "float16", "--master-weights", "--backend", backend).stdout
    assert "array 0 is param (float16, changed)" in text
    assert "array 4 is master (float32, changed)" in text
    assert run("adamw", "--master-weights").stdout == run("adamw").stdout


@pytest.mark.parametrize("backend", ["numba", "cuda"])
def test_what_is_measured_is_a_kernel_before_that_of_the_step_with_the_hooks_before_the_update(backend):
    text = run("prodigy", "--hook", "weight_decay", "--hook", "cautious", "--backend", backend).stdout
    measured, step = text.split("Step 2 of ")
    assert "What is measured before step 2 of owners[0] is WeightDecay, owners[1] is Prodigy\n" in measured
    assert "1.along (float64, one number, changed)" in measured
    assert step.startswith("owners[0] is Prodigy, owners[1] is Cautious\n")
    assert "param (float32, changed)" in step
    assert "param (float32, changed)" not in measured


def test_the_rule_is_that_of_a_shape():
    assert "array 2 is 0.v (float32, changed)" in run("adafactor", "--shape", "12").stdout
    result = run("adafactor", "--shape", "4x3")
    assert result.exit_code == 1
    assert "the rule of Adafactor needs whole tensors" in result.stderr
    assert "with another --shape, another rule is printed" in result.stderr
    for wrong in ("4by3", "-1", "4x", ""):
        assert f"{wrong!r} is no shape such as 4x3" in run("adafactor", f"--shape={wrong}").stderr


def test_a_third_partys_optimizer_and_hook_are_printed(site):
    site.install("rooted-optim", "1.0", {"rooted": "rooted"}, {"rooted": THIRD_PARTY})
    result = run("rooted/rooted", "--hook", "rooted/shrink", "--dtype", "float64")
    assert result.exit_code == 0, result.output
    assert "# Step 2 of owners[0] is Rooted, owners[1] is Shrink" in result.stdout
    assert "1.calls (float64, one number, changed)" in result.stdout or "1.calls (float64, changed)" in result.stdout


def test_what_is_not_compiled_says_why():
    unknown = run("adamx")
    assert unknown.exit_code == 1
    assert "Did you mean" in unknown.stderr
    noise = run("adam", "--hook", "gradient_noise")
    assert noise.exit_code == 1
    assert "the hook gradient_noise is no rule" in noise.stderr


def test_a_rule_that_cannot_be_compiled_names_its_line():
    class Odd(optreg.GradientMethod):
        def rule(self, param, grad):
            param -= np.sin(grad)

    with optreg.temporary():
        optreg.register("my/odd", Odd)
        result = run("my/odd")
    assert result.exit_code == 1
    assert "sin() is not among the functions" in result.stderr
    assert "param -= np.sin(grad)" in result.stderr
