"""float16 is stored and float32 computed in: what a kernel loads and stores has the bits of NumPy's conversions."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from typing import Any

import numpy as np
import pytest

import optreg
from backends.steps import assert_same, bits, both, everything, form_of, gradient, repeats
from optreg import GradientMethod, Hook

HALVES = np.arange(65_536, dtype=np.uint16).view(np.float16)
"""Every float16 there is."""


class Copying(GradientMethod):
    """Stores the gradient in the parameter, and the parameter in a slot."""

    def rule(self, param: Any, grad: Any, slot: Any) -> None:
        slot[...] = param
        param[...] = grad


class HalfSlots(GradientMethod):
    """A class that makes its states as Chainer's do: in the dtype of the parameter."""

    def init_state_cpu(self, param: Any, state: Any) -> None:
        state["m"] = np.zeros_like(param.data)
        state["count"] = np.zeros((), param.data.dtype)

    def rule(self, param: Any, grad: Any, m: Any, count: Any) -> None:
        m += 0.3 * (grad - m)
        count += 0.1
        param -= 0.1 * m / count


class Shrinking(Hook):
    """A hook whose slot is of another dtype than the parameter."""

    timing = "post"

    def init_state(self, param: Any, state: Any) -> None:
        state["slow"] = param.data.copy()

    def rule(self, param: Any, grad: Any, slow: Any) -> None:
        slow += 0.2 * (param - slow)
        param += 0.1 * (slow - param)


def _singles() -> Any:
    """Every float16 as a float32, the bounds between neighbours, their neighbours, and numbers of random bits."""
    exact = HALVES.astype(np.float32).view(np.uint32).astype(np.int64)
    near = exact[:, None] + np.array([-1, 0, 1, 0xFFF, 0x1000, 0x1001, 0x1FFF])
    anything = np.random.default_rng(0).integers(0, 2**32, 500_000)
    return np.concatenate([near.ravel() % 2**32, anything]).astype(np.uint32).view(np.float32)


def _copied(param: Any, grad: Any) -> Any:
    optimizer = Copying().setup({"w": param.copy()})
    optimizer.target["w"].grad = grad
    optimizer.update()
    assert repeats(optimizer) == (optreg.backends.current_backend().name == "numba")
    return bits(optimizer.target["w"].data), bits(optimizer._states["/w"]["slot"])


def test_every_half_is_loaded_as_numpy_loads_it():
    with np.errstate(invalid="ignore"):
        expected, found = both(lambda: _copied(HALVES, np.zeros(HALVES.size, np.float16)))
        assert found == expected
        assert found[1] == bits(HALVES.astype(np.float32))


def test_single_precision_is_rounded_as_numpy_rounds_it():
    numbers = _singles()
    with np.errstate(all="ignore"):
        expected, found = both(lambda: _copied(np.zeros(numbers.size, np.float16), numbers))
        assert found == expected
        assert found[0] == bits(numbers.astype(np.float16))


def test_processors_without_instructions_for_it_have_the_same_bits():
    program = """if True:
        import numpy as np
        from numba import njit
        from optreg.backends import conversions, squares
        from optreg.backends.kernel_compiler import compile_kernel
        from optreg.backends.native import load

        functions = conversions.functions()
        widen, narrow = functions["float32_of_float16"], functions["float16_of_float32"]
        widened = njit(lambda words: [widen(word) for word in words])
        narrowed = njit(lambda numbers: [narrow(number) for number in numbers])

        def same(found, expected):
            numbers = ~np.isnan(expected)
            assert (np.isnan(found) == np.isnan(expected)).all()
            assert found[numbers].tobytes() == expected[numbers].tobytes()

        words = np.arange(65536).astype(np.uint16)
        singles = words.view(np.float16).astype(np.float32)
        same(np.array(widened(words), np.float32), singles)
        near = singles.view(np.uint32).astype(np.int64)[:, None] + [-1, 0, 1, 0xFFF, 0x1000, 0x1001]
        numbers = (near.ravel() % 2**32).astype(np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            same(np.array(narrowed(numbers), np.uint16).view(np.float16), numbers.astype(np.float16))

        kernel = load(*compile_kernel(squares.compilation(np.dtype(np.float16)).source))
        finite = words.view(np.float16)[np.isfinite(singles)]
        (found,) = squares.sums(kernel, [finite], [finite.size])
        np.testing.assert_allclose(found, np.square(finite, dtype=np.float64).sum(), rtol=1e-13)
    """
    generic = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    subprocess.run([sys.executable, "-c", program], check=True, env=generic)


@pytest.mark.parametrize("method", [HalfSlots, lambda: optreg.create("adamw"), lambda: optreg.create("nadam")])
@pytest.mark.parametrize("hooks", [[], [Shrinking, lambda: optreg.WeightDecay(0.1)]])
def test_every_mixture_of_precisions_has_the_bits_of_numpy(method, hooks):
    dtypes = ["float16", "float32", "float64"]
    rng = np.random.default_rng(1)
    start = {f"{param} {grad}": rng.normal(size=37).astype(param) for param, grad in product(dtypes, dtypes)}

    def run() -> Any:
        optimizer = method().setup({key: value.copy() for key, value in start.items()})
        for hook in hooks:
            optimizer.add_hook(hook())
        rng = np.random.default_rng(2)
        for _ in range(5):
            for key, param in optimizer.target.namedparams():
                param.grad = gradient(param.data, rng).astype(key.split()[1])
            optimizer.update()
        return everything(optimizer)

    assert_same(*both(run))


@pytest.mark.parametrize("size", [7, 40_000])
def test_half_states_of_a_class_are_computed_in_single_precision_whatever_the_size(size):
    rng = np.random.default_rng(3)
    param, grad = rng.normal(size=(2, size)).astype(np.float16)

    def run() -> Any:
        whole, part = (HalfSlots().setup({"w": array.copy()}) for array in (param, param[:3]))
        for _ in range(4):
            whole.apply_gradients({"w": grad.copy()})
            part.apply_gradients({"w": grad[:3].copy()})
        np.testing.assert_array_equal(whole.target["w"].data[:3], part.target["w"].data)
        np.testing.assert_array_equal(whole._states["/w"]["m"][:3], part._states["/w"]["m"])
        assert whole._states["/w"]["count"] == part._states["/w"]["count"]
        return everything(whole)

    assert_same(*both(run))


def test_the_norm_of_half_gradients_has_the_bits_of_numpy():
    rng = np.random.default_rng(4)
    grads = {str(size): (100 * rng.normal(size=size)).astype(np.float16) for size in (1, 15, 40_000, 200_001)}

    def run() -> Any:
        hooks = [("gradient_clipping", {"threshold": 1.0})]
        optimizer = optreg.create("sgd", lr=1.0, hooks=hooks)
        optimizer.setup({key: np.zeros(grad.size, np.float16) for key, grad in grads.items()})
        for _ in range(3):
            optimizer.apply_gradients({key: grad.copy() for key, grad in grads.items()})
        return everything(optimizer), optimizer._hooks["gradient_clipping"].rate, repeats(optimizer)

    (expected, rate, _), (found, own_rate, repeated) = both(run)
    assert_same(expected, found)
    assert own_rate == rate
    assert repeated


class Storing(GradientMethod):
    """Stores the gradient in the parameter, and what the parameter was in a slot."""

    master_weights = True

    def rule(self, param: Any, grad: Any, slot: Any) -> None:
        slot[...] = param
        param[...] = grad


@pytest.mark.parametrize("size", [1000, None])
def test_masters_of_special_values_have_the_bits_of_numpy(size):
    first, second = np.random.default_rng(5).permutation(_singles())[: 2 * 300_000].reshape(2, -1)[:, :size]

    def run() -> Any:
        param = np.zeros(first.size, np.float16)
        optimizer = Storing().setup({"w": param})
        for grad in (first, second, first):
            optimizer.target["w"].grad = grad.copy()
            optimizer.update()
            param[::7] = param[::-1][::7]
        return everything(optimizer), repeats(optimizer)

    with np.errstate(all="ignore"):
        (expected, _), (found, repeated) = both(run)
    assert_same(expected, found)
    assert repeated


def test_a_pass_that_leaves_the_parameter_alone_leaves_the_master_alone():
    def run() -> Any:
        param = HALVES.copy()
        hooks = [optreg.WeightDecay(0.5)]
        optimizer = optreg.create("adopt", master_weights=True, hooks=hooks).setup({"w": param})
        optimizer._states["/w"]["master"] += np.float32(1e-3)  # rounds to other parameters, here and there
        optimizer.target["w"].grad = np.ones(HALVES.size, np.float16)
        optimizer.update()  # the first step of adopt sets v alone
        first = everything(optimizer)
        optimizer.update()
        return first, everything(optimizer)

    with np.errstate(all="ignore"):
        (expected, expected_later), (found, later) = both(run)
    assert_same(expected, found)
    assert_same(expected_later, later)
    assert expected["/w data"] == bits(HALVES)


def test_masters_and_parameters_change_in_one_loop():
    from optreg.backends.jobs import Job

    optimizer = optreg.create("adamw", master_weights=True, hooks=[Shrinking()])
    optimizer.setup({str(size): np.ones(size, np.float16) for size in (3, 50, 70_000)})
    with optreg.use_backend("numba"):
        for _ in range(2):
            optimizer.apply_gradients({str(size): np.ones(size, np.float16) for size in (3, 50, 70_000)})
    (job,) = form_of(optimizer).prepared.jobs
    assert isinstance(job, Job)
    assert [each.name for each in job.variant.rule.inputs] == ["param", "grad", "0.m", "0.v", "1.slow", "master"]
