"""When kernels are compiled: never while a step waits, and only once NumPy has worked as long as compiling takes."""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import numpy as np
import pytest

import optreg
from backends.steps import assert_same, everything, repeats, step
from optreg import GradientMethod
from optreg.backends import numba
from optreg.backends.compiler_process import COMPILER
from optreg.backends.kernel_cache import found_directory


def _new_method() -> type[GradientMethod]:
    """A class with a rule that nobody has compiled."""
    signs = np.random.default_rng().random(30) < 0.5

    class Method(GradientMethod):
        def rule(self, param: Any, grad: Any, slot: Any) -> None:
            slot += 0.5 * (grad - slot)
            for sign in signs:
                slot += 0.125 * param if sign else -grad
            param -= 0.01 * slot

    return Method


@pytest.fixture
def nothing_compiled(tmp_path, monkeypatch):
    """An empty cache; the compiler is not waited for."""
    monkeypatch.setenv("OPTREG_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("OPTREG_COMPILE", "")
    found_directory.cache_clear()
    yield tmp_path
    found_directory.cache_clear()


def _run(method: type[GradientMethod], steps: int, until: Any = None) -> Any:
    optimizer = method().setup({"w": np.linspace(-1, 1, 50)})
    rng = np.random.default_rng(0)
    for _ in range(steps):
        step(optimizer, rng)
        if until is not None and until(optimizer):
            break
    return optimizer


def _expected(method: type[GradientMethod], steps: int) -> Any:
    with optreg.use_backend("numpy"):
        return everything(_run(method, steps))


def test_the_change_from_numpy_to_a_kernel_leaves_no_trace(nothing_compiled, monkeypatch):
    monkeypatch.setattr(numba, "WORTH_COMPILING", 0.0)
    method = _new_method()

    def compiled(optimizer: Any) -> bool:
        time.sleep(0.005)
        return repeats(optimizer) and optimizer.t > at_first.t + 4

    with optreg.use_backend("numba"):
        at_first = _run(method, 1)
        assert not repeats(at_first), "the first step has waited for the compiler"
        optimizer = _run(method, 10_000, until=compiled)
    assert repeats(optimizer)
    assert_same(_expected(method, optimizer.t), everything(optimizer))


def test_a_short_program_asks_for_no_kernel(nothing_compiled, monkeypatch):
    monkeypatch.setattr(numba, "WORTH_COMPILING", 60.0)  # a busy machine is slow, which is no error
    method = _new_method()
    with optreg.use_backend("numba"):
        optimizer = _run(method, 20)
    assert list(nothing_compiled.iterdir()) == []
    assert_same(_expected(method, 20), everything(optimizer))


def test_a_kernel_is_asked_for_when_numpy_has_worked_for_long_enough(nothing_compiled, monkeypatch):
    monkeypatch.setattr(numba, "WORTH_COMPILING", 0.02)
    asked = []

    def was_asked(optimizer: Any) -> bool:
        asked.append(any(nothing_compiled.iterdir()))
        return asked[-1]

    with optreg.use_backend("numba"):
        _run(_new_method(), 10_000, until=was_asked)
    assert asked[-1]
    assert not asked[0]


def test_steps_go_on_beside_a_compiler_that_never_answers(nothing_compiled, monkeypatch, compiler_script):
    monkeypatch.setattr(numba, "WORTH_COMPILING", 0.0)
    COMPILER.end()
    monkeypatch.setattr(sys, "executable", compiler_script("exec sleep 1000"))
    method = _new_method()
    try:
        with optreg.use_backend("numba"):
            optimizer = _run(method, 50)
        assert COMPILER.running, "nobody was asked"
    finally:
        COMPILER.end()
    assert not repeats(optimizer)
    assert_same(_expected(method, 50), everything(optimizer))


def test_a_compiler_that_ends_without_a_word_is_a_warning(nothing_compiled, monkeypatch, compiler_script):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    COMPILER.end()
    method = _new_method()
    with monkeypatch.context() as patch, optreg.use_backend("numba"):
        patch.setattr(sys, "executable", compiler_script("kill -9 $$"))
        with pytest.warns(RuntimeWarning, match="the compiler ended without a word") as seen:
            optimizer = _run(method, 5)
    assert len(seen) == 1
    assert_same(_expected(method, 5), everything(optimizer))


class ByHand(GradientMethod):
    def rule(self, param: Any, grad: Any) -> None:
        param -= 0.1 * np.interp(grad, [-1, 0, 1], [-1, 0, 1])  # the line that is to be named


class NotElementwise(GradientMethod):
    elementwise = False

    def rule(self, param: Any, grad: Any) -> None:
        param -= 0.1 * np.interp(grad, [-1, 0, 1], [-1, 0, 1])


def test_a_rule_that_cannot_be_compiled_is_one_warning_that_names_the_line():
    with optreg.use_backend("numba"):
        with pytest.warns(RuntimeWarning, match="the line that is to be named") as seen:
            optimizer = _run(ByHand, 5)
        assert len(seen) == 1
        assert __file__ in str(seen[0].message)
        assert "say elementwise = False" in str(seen[0].message)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert_same(everything(optimizer), everything(_run(ByHand, 5)))
    assert_same(_expected(ByHand, 5), everything(optimizer))


def test_a_rule_that_says_that_it_needs_whole_tensors_is_no_warning():
    with optreg.use_backend("numba"):
        optimizer = _run(NotElementwise, 5)
    assert_same(_expected(NotElementwise, 5), everything(optimizer))


def test_a_rule_that_raises_raises_the_same_and_does_not_count():
    class Fragile(GradientMethod):
        def rule(self, param: Any, grad: Any) -> None:
            param -= 1 / (self.t - 4) * grad

    for backend in ("numpy", "numba"):
        with optreg.use_backend(backend), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that it cannot be traced at that step
            optimizer = _run(Fragile, 3)
            before = everything(optimizer)
            with pytest.raises(ZeroDivisionError):
                optimizer.update()
            assert_same(before, everything(optimizer))


def test_numbers_of_numpy_and_of_python_are_no_kernel_for_each_other():
    class Plain(GradientMethod):
        def __init__(self, rate: Any) -> None:
            self.rate = rate
            self.hidden = type(rate)(2)

        def rule(self, param: Any, grad: Any) -> None:
            param -= self.rate * grad / self.hidden

    def run(rate: Any) -> Any:
        optimizer = Plain(rate).setup({"w": np.linspace(-1, 1, 50, dtype="f4")})
        rng = np.random.default_rng(0)
        for _ in range(3):
            step(optimizer, rng)
        return optimizer

    for rate in (0.3, np.float64(0.3), np.float32(0.3), 0.3):
        with optreg.use_backend("numpy"):
            expected = run(rate)
        with optreg.use_backend("numba"):
            found = run(rate)
        assert_same(everything(expected), everything(found))
        assert repeats(found)
