"""What becomes of checks: results, reasons, and failures that are expected."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import optreg
from optreg.hyperparameters import fraction, positive
from optreg.testing import CheckResult, check_hook, check_namespace, check_optimizer, check_target, optimizer_suite
from optreg.testing.results import none_was_run, summary

from . import broken_optimizers


@pytest.fixture(autouse=True)
def nothing_stays_registered():
    with optreg.temporary():
        yield


def result_of(results: list[CheckResult], check: str) -> CheckResult:
    (found,) = [result for result in results if result.check == check]
    return found


def test_each_check_has_a_result_with_a_text():
    results = check_optimizer("sgd")
    assert {result.outcome for result in results} <= {"passed", "skipped"}
    assert result_of(results, "check_step_cost").text == (
        "reads 2 and writes 1 array of the parameter's size, one pass"
    )
    assert summary([each for each in results if each.outcome == "passed"]).endswith(" checks run")
    assert str(results[0]) == "sgd check_declaration_is_cheap: passed"


def test_a_failure_says_what_happened_why_it_matters_and_what_to_do():
    optreg.register("my/x", broken_optimizers.LargestOfNone)
    result = result_of(check_optimizer("my/x"), "check_zero_size")
    assert result.outcome == "failed"
    assert "fails on a parameter without elements: ValueError: zero-size array" in result.text
    assert "models have such ones" in result.text
    assert isinstance(result.error, AssertionError)


def test_an_expected_failure_is_none_and_tells_its_reason():
    optreg.register("my/x", broken_optimizers.LargestOfNone)
    results = check_optimizer("my/x", expected_failures={"check_zero_size": "it takes a maximum"})
    result = result_of(results, "check_zero_size")
    assert (result.outcome, result.text, result.error) == ("expected failure", "it takes a maximum", None)
    assert summary(results).endswith(" checks run; 3 skipped; 1 failure expected")


def test_an_expected_failure_that_passes_is_a_failure():
    result = result_of(check_optimizer("sgd", expected_failures={"check_float16": "no idea"}), "check_float16")
    assert result.outcome == "failed"
    assert result.text == ("it passes, but is an expected failure (no idea); take it out of expected_failures")


@pytest.mark.parametrize("call", [check_optimizer, optimizer_suite])
def test_an_expected_failure_must_be_a_check_and_have_a_reason(call):
    with pytest.raises(ValueError, match="no check 'check_flaot16' in level 1; did you mean 'check_float16'"):
        call("sgd", expected_failures={"check_flaot16": "half"})
    with pytest.raises(ValueError, match="give the reason why check_float16 fails"):
        call("sgd", expected_failures={"check_float16": " "})


def test_a_name_that_is_not_there_is_the_callers_mistake():
    with pytest.raises(optreg.errors.UnknownNameError, match="Did you mean 'adam'"):
        check_optimizer("adamv")
    with pytest.raises(optreg.errors.UnknownNameError, match="nothing is offered in the namespace 'acme'"):
        check_namespace("acme")


def test_a_run_of_none_has_shown_nothing():
    skipped = CheckResult("optimizer", "my/x", "check_threads", "skipped", "no threads", 0.0)
    assert none_was_run([skipped])
    assert none_was_run([])
    assert summary([skipped]) == "no check was run; 1 skipped"


@optreg.temporary()
def test_hyperparameters_that_must_be_given_are_given_or_guessed():
    class Strict(optreg.GradientMethod):
        """lr and factor must be given."""

        def __init__(self, lr, factor):
            for value in (lr, factor):
                if not callable(value) and not (isinstance(value, float) and 0 < value <= 1):
                    raise ValueError(f"{value!r} is not in (0, 1]")
            self.lr, self.factor = lr, factor

        def rule(self, param, grad):
            param -= self.lr * self.factor * grad

    optreg.register("my/strict", Strict)
    assert not [each for each in check_optimizer("my/strict") if each.outcome == "failed"]

    class Stricter(Strict):
        """mode must be given, and a guess will not do."""

        def __init__(self, lr, mode):
            if mode != "fast":
                raise ValueError(f"mode is {mode!r}")
            self.lr, self.factor, self.mode = lr, 1.0, mode

    optreg.register("my/stricter", Stricter)
    results = check_optimizer("my/stricter")
    told = result_of(results, "check_target_resolves").text
    assert told == (
        "my/stricter cannot be made: mode is 0.1; say with which values, as in "
        "optimizer_suite('my/stricter', hyperparameters={...})"
    )
    assert result_of(results, "check_threads").text == "my/stricter cannot be used; see check_target_resolves"
    assert [each.check for each in results if each.outcome == "failed"] == ["check_target_resolves"]
    results = check_optimizer("my/stricter", hyperparameters={"lr": 0.1, "mode": "fast"})
    assert [each.check for each in results if each.outcome == "failed"] == ["check_hyperparameters_are_checked"]


def test_learning_rates_that_a_class_refuses_are_not_needed():
    @attrs.define(eq=False)
    class Bounded(optreg.GradientMethod):
        """Wants a much smaller rate than it has."""

        lr: float = fraction(0.9)

        def rule(self, param, grad):
            param -= 100 * self.lr * grad

    optreg.register("my/bounded", Bounded)
    told = result_of(check_optimizer("my/bounded"), "check_minimizes_a_quadratic")
    assert told.outcome == "passed"
    assert told.text.startswith("lr=0.009: after ")


def test_further_learning_rates_grow_and_shrink_with_the_first():
    @attrs.define(eq=False)
    class OfVectors(optreg.GradientMethod):
        """Has a rate for vectors, which is much too small."""

        lr: float = positive(0.1)
        vector_lr: float = positive(1e-3)

        def rule(self, param, grad):
            param -= self.vector_lr * grad

    optreg.register("my/of_vectors", OfVectors)
    told = result_of(check_optimizer("my/of_vectors"), "check_minimizes_a_quadratic")
    assert told.outcome == "passed"
    assert told.text.startswith("lr=1, vector_lr=0.01: after ")


class Noisy(optreg.GradientMethod):
    """Noise of its own, from a seed."""

    elementwise = False

    def __init__(self, lr: float = 0.1, seed: int | None = None):
        if not callable(lr) and (not isinstance(lr, float) or not 0 < lr < 1000):
            raise ValueError(lr)
        self.lr, self.seed = lr, seed
        self.generator = np.random.default_rng(seed)

    def rule(self, param, grad):
        param -= self.lr * (grad + 1e-3 * self.generator.normal(size=grad.shape))


def test_an_optimizer_that_draws_random_numbers_from_a_seed_passes():
    optreg.register("my/noisy", Noisy)
    results = check_optimizer("my/noisy")
    assert not [str(each) for each in results if each.outcome == "failed"]
    assert result_of(results, "check_setup_begins_anew").text == "it has a random generator, which goes on"


def test_an_optimizer_of_whole_tensors_passes_and_its_bits_are_not_promised():
    class Orthogonal(optreg.GradientMethod):
        """A step of length one along the gradient."""

        elementwise = False

        def __init__(self, lr: float = 0.1):
            if not callable(lr) and (not isinstance(lr, float) or not 0 < lr < 1000):
                raise ValueError(lr)
            self.lr = lr

        def rule(self, param, grad):
            norm = np.linalg.norm(grad)
            if norm > 0:
                param -= self.lr * grad / norm

    optreg.register("my/orthogonal", Orthogonal)
    results = check_optimizer("my/orthogonal")
    assert not [str(each) for each in results if each.outcome == "failed"]
    backends = result_of(results, "check_backends")
    assert backends.outcome == "skipped" or "not an elementwise rule" in backends.text
    assert result_of(results, "check_step_cost").outcome == "skipped"


def test_an_optimizer_that_changes_gradients_and_says_so_passes():
    class Scales(optreg.GradientMethod):
        """Leaves the step in the gradient."""

        changes_gradients = True

        def __init__(self, lr: float = 0.1):
            if not callable(lr) and (not isinstance(lr, float) or not 0 < lr < 1000):
                raise ValueError(lr)
            self.lr = lr

        def rule(self, param, grad):
            grad *= self.lr
            param -= grad

    optreg.register("my/scales", Scales)
    results = check_optimizer("my/scales")
    assert not [str(each) for each in results if each.outcome == "failed"]
    assert result_of(results, "check_step_cost").text.startswith("reads 2 and writes 2 arrays")


def test_a_hook_that_is_a_function_can_be_checked():
    def halve(optimizer):
        """Halve every gradient."""
        for param in optimizer.target.params():
            param.grad *= 0.5

    optreg.register("my/halve", halve)
    assert not [str(each) for each in check_hook("my/halve") if each.outcome == "failed"]


def test_a_target_without_an_example_is_only_looked_at():
    spec = optreg.TargetSpec("x", "testing.broken_targets:right", ("testing.broken_targets.Model",), "A model.")
    optreg.register(spec, namespace="my")
    results = check_target("my/x")
    assert result_of(results, "check_target_updates").text == (
        "no object to adapt: say how to make one, as in target_suite('my/x', example=function)"
    )
    assert {each.outcome for each in results} == {"passed", "skipped"}
