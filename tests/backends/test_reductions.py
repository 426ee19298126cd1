"""Rules with sums, norms, means and extremes of whole tensors: Numba reduces, then makes one pass, and NumPy agrees."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

import optreg
from backends.steps import (
    arrays,
    assert_close,
    assert_same,
    bits,
    both,
    everything,
    gradient,
    parameters,
    repeats,
    step,
)
from optreg import Hook
from optreg.arrays import new_number
from optreg.backends.chunks import CHUNK
from optreg.hyperparameters import positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class Layerwise(GradientMethod):
    """Every reduction, in three stages, and a number for each tensor."""

    lr: float = positive(0.1)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        state["n"] = new_number(param.data, 1.0)

    def rule(self, param: Any, grad: Any, m: Any, n: Any) -> None:
        m *= 0.9
        m += grad / (np.linalg.norm(grad) + 1e-3)
        n *= 0.5
        n += 0.5 * np.mean(m * m)
        update = m / (np.max(np.abs(m)) + 1e-3) + 0.1 * np.min(param)
        ratio = (np.linalg.norm(param) + 1) / (np.sqrt(np.sum(update * update)) + 1)
        param -= self.lr * ratio * update / np.sqrt(n + 0.1)


@attrs.define(eq=False)
class Extremes(GradientMethod):
    """Nothing is summed, so every backend has the same bits."""

    lr: float = positive(0.1)

    def rule(self, param: Any, grad: Any, m: Any) -> None:
        m[...] = np.max(grad) - np.min(grad)
        param -= self.lr * grad / np.maximum(np.max(np.abs(grad)), 1e-3) + 1e-3 * np.min(param)


@attrs.define(eq=False)
class Norm(GradientMethod):
    """Keeps the norm of the gradient."""

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        state["norm"] = new_number(param.data, 0.0)

    def rule(self, param: Any, grad: Any, norm: Any) -> None:
        norm[...] = np.linalg.norm(grad)


class UnitNorm(Hook):
    """A post hook that needs the whole tensor."""

    timing = "post"

    def rule(self, param: Any, grad: Any) -> None:
        param /= np.maximum(np.linalg.norm(param), 1)


class Centered(Hook):
    """A hook that needs the whole gradient, and changes it."""

    changes_gradients = True

    def rule(self, param: Any, grad: Any) -> None:
        grad -= np.mean(grad)


def _made(method: Any, **options: Any) -> Any:
    return optreg.create(method, **options) if isinstance(method, str) else method()


def _normal(*shape: int, dtype: str = "float32") -> Any:
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    return np.asarray(values + 1j * values[..., ::-1] if dtype.startswith("complex") else values, dtype)


def _run(method: Any, tree: dict[str, Any], result: Any = arrays, steps: int = 4, **options: Any) -> Any:
    copied = {key: np.copy(array, order="K") for key, array in tree.items()}
    optimizer = _made(method, **options).setup(copied)
    rng = np.random.default_rng(3)
    for _ in range(steps):
        step(optimizer, rng)
    return result(optimizer), repeats(optimizer)


def _compare(method: Any, tree: dict[str, Any], **options: Any) -> bool:
    (expected, _), (found, compiled) = both(lambda: _run(method, tree, **options))
    assert_close(expected, found, 4)
    return compiled


METHODS = ["lamb", "novograd", Layerwise]


def _name(method: Any) -> str:
    return method if isinstance(method, str) else method.__name__


every_method = pytest.mark.parametrize("method", METHODS, ids=_name)


@every_method
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_around_the_width_of_vectors(method, dtype):
    assert _compare(method, {str(size): _normal(size, dtype=dtype) for size in range(40)})


@every_method
def test_tensors_longer_than_a_chunk_beside_short_ones(method):
    sizes = [CHUNK - 1, 3, CHUNK, CHUNK + 1, 0, 2 * CHUNK + 17]
    assert _compare(method, {f"{place} {size}": _normal(size) for place, size in enumerate(sizes)})


@every_method
def test_tensors_without_axes_or_elements(method):
    tree = {"number": np.array(1.5), "none": np.zeros(0), "no rows": np.zeros((0, 3)), "some": _normal(4, dtype="f8")}
    assert _compare(method, tree)
    assert _compare(method, {"none": np.zeros(0)})


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("method", ["stable_adamw", "novograd", Layerwise, Extremes], ids=_name)
def test_a_tensor_without_elements_has_no_mean_and_no_maximum_and_keeps_its_numbers(method, backend):
    with optreg.use_backend(backend):
        optimizer = _made(method).setup({"none": np.zeros((0, 3))})
        before = {key: value.copy() for key, value in optimizer._states["/none"].items()}
        optimizer.apply_gradients({"none": np.zeros((0, 3))})
    after = optimizer._states["/none"]
    assert {key: bits(value) for key, value in after.items()} == {key: bits(value) for key, value in before.items()}


@every_method
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_tensors_beside_real_ones_of_their_parts(method, dtype):
    real = np.dtype(dtype).type().real.dtype.name
    tree = {"real": _normal(7, dtype=real), "complex": _normal(4, 9, dtype=dtype), "last": _normal(9, dtype=real)}
    assert _compare(method, tree)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("method", ["lars", "lamb", "novograd", "stable_adamw", Layerwise], ids=_name)
def test_a_complex_tensor_goes_the_way_of_its_two_parts(method, backend):
    start = np.linspace(-1, 1, 12)
    numbers, parts = start.view(complex).copy(), start.copy()
    with optreg.use_backend(backend):
        one, other = (_made(method) for _ in range(2))
        one.setup({"w": numbers})
        other.setup({"w": parts})
        for given in np.random.default_rng(0).normal(size=(4, 12)):
            one.apply_gradients({"w": given.view(complex)})
            other.apply_gradients({"w": given})
    np.testing.assert_allclose(numbers.view(float), parts, rtol=1e-14)


@every_method
def test_half_precision_strided_and_fortran_tensors(method):
    def run() -> Any:
        strided = np.zeros((12, 10), "f4")[::2, ::2]
        strided[...] = _normal(6, 5)
        tree = {"half": _normal(30, dtype="float16"), "strided": strided, "single": _normal(30)}
        tree["fortran"] = np.asfortranarray(_normal(40, 30))
        optimizer = _made(method).setup(tree)
        rng = np.random.default_rng(0)
        for _ in range(3):
            step(optimizer, rng)
        return arrays(optimizer)

    expected, found = both(run)
    assert_close(expected, found, 3)
    np.testing.assert_array_equal(found["/half data"].dtype, np.float16)


@every_method
def test_hundreds_of_small_tensors_in_several_groups(method):
    tree = {f"{group}/{number}": _normal(number % 37) for number in range(150) for group in "ab"}
    options = {"options": {"/a/*": {"lr": 0.05}, "*/7?": {"lr": 0.2}}} if isinstance(method, str) else {}
    assert _compare(method, tree, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_not_summed_has_the_bits_of_numpy(dtype):
    sizes = [1, 2, 70, CHUNK + 5, 3 * CHUNK]
    (expected, _), (found, compiled) = both(
        lambda: _run(Extremes, {str(size): _normal(size, dtype=dtype) for size in sizes}, everything)
    )
    assert_same(expected, found)
    assert compiled


@pytest.mark.parametrize("special", [[np.nan], [np.inf], [-np.inf], [np.inf, np.nan], [np.inf, -np.inf]], ids=str)
@pytest.mark.parametrize("place", [0, CHUNK - 1, CHUNK + 3])
def test_extremes_of_what_is_not_finite_are_those_of_numpy(special, place):
    def run() -> Any:
        optimizer = Extremes().setup({"w": _normal(CHUNK + 9), "other": _normal(3)})
        for name, parameter in optimizer.target.namedparams():
            parameter.grad = gradient(parameter.data, np.random.default_rng(0))
            if name == "/w":
                parameter.grad[place : place + len(special)] = special
        optimizer.update()
        return everything(optimizer)

    assert_same(*both(run))


@pytest.mark.parametrize("method", ["lamb", Layerwise], ids=_name)
def test_any_number_of_threads_gives_the_same_bits(method, monkeypatch):
    tree = {"one": _normal(7 * CHUNK + 3), "other": _normal(3, 5), "third": _normal(2 * CHUNK)}
    found = []
    with optreg.use_backend("numba"):
        for threads in ["1", "2", "3", "7"]:
            monkeypatch.setenv("OPTREG_NUM_THREADS", threads)
            found.append(_run(method, tree, everything))
    assert all(compiled for _, compiled in found)
    for each, _ in found[1:]:
        assert_same(found[0][0], each)


@pytest.mark.parametrize("method", ["lamb", Layerwise], ids=_name)
def test_a_tensor_goes_the_same_way_alone_and_beside_others(method):
    def alone_and_beside(others: dict[str, Any]) -> Any:
        optimizer = _made(method).setup({**others, "w": _normal(CHUNK + 50)})
        for number in range(3):
            rng = np.random.default_rng(number)
            given = {name: gradient(array, rng) for name, array in others.items()}
            optimizer.apply_gradients({**given, "w": gradient(_normal(CHUNK + 50), np.random.default_rng(number))})
        return {name: value for name, value in everything(optimizer).items() if not name.startswith("/other")}

    with optreg.use_backend("numba"):
        assert_same(alone_and_beside({}), alone_and_beside({"other": _normal(77), "other 2": _normal(2 * CHUNK)}))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_the_norm_of_a_long_tensor_is_right_to_single_precision(backend):
    values = np.random.default_rng(0).normal(size=11 * CHUNK + 7).astype("f4")
    with optreg.use_backend(backend):
        optimizer = Norm().setup({"w": np.zeros_like(values)})
        optimizer.apply_gradients({"w": values})
    exact = np.sqrt(np.sum(values.astype("f8") ** 2))
    np.testing.assert_allclose(optimizer._states["/w"]["norm"], exact, rtol=1e-6)


@pytest.mark.parametrize(
    "hooks",
    [
        [optreg.WeightDecay(0.1), Centered()],
        [Centered(), optreg.GradientHardClipping(-0.5, 0.5)],
        [UnitNorm()],
        [Centered(), optreg.GradientClipping(1.0), optreg.Lasso(0.01), UnitNorm()],
    ],
    ids=lambda hooks: "-".join(type(hook).__name__ for hook in hooks),
)
@pytest.mark.parametrize("name", ["sgd", "lamb"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])  # not together: a global norm is as exact as its parts
def test_hooks_before_and_after_are_chained_with_reductions(dtype, name, hooks):
    def run() -> Any:
        optimizer = optreg.create(name, lr=0.1, hooks=hooks).setup(parameters(dtype))
        rng = np.random.default_rng(0)
        for _ in range(5):
            step(optimizer, rng)
        return arrays(optimizer)

    expected, found = both(run)
    assert_close(expected, found, 5)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_reduction_is_over_the_gradient_that_a_hook_has_changed(backend):
    w, given = np.array([3.0, 4.0]), np.array([1.0, 2.0])
    with optreg.use_backend(backend):
        optimizer = Norm()
        optimizer.add_hook(optreg.WeightDecay(1.0))
        optimizer.setup({"w": w})
        optimizer.apply_gradients({"w": given})
    np.testing.assert_array_equal(given, [4.0, 6.0])
    np.testing.assert_allclose(optimizer._states["/w"]["norm"], np.sqrt(52), rtol=1e-15)


@every_method
def test_repeated_steps_are_planned_once_and_go_on_with_replaced_arrays(method):
    def run() -> Any:
        tree = {"w": _normal(70), "b": _normal(5)}
        optimizer = _made(method).setup(tree)
        rng, repeated = np.random.default_rng(0), 0
        for number in range(12):
            if number == 5:
                tree["w"] = tree["w"].copy()
            if number == 8:
                tree["late"] = np.ones(9, "f4")
            step(optimizer, rng)
            repeated += repeats(optimizer)
        return arrays(optimizer), repeated

    (expected, _), (found, repeated) = both(run)
    assert_close(expected, found, 12)
    assert repeated == 12
