"""Arrays of every shape, size, layout and dtype: kernels work on them, or NumPy does, with the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optreg
from backends.steps import assert_same, both, everything, gradient, repeats, step
from optreg.backends.chunks import ALONE, CHUNK

WITH_NUMBERS = "nadam"
"""It keeps a number of each tensor beside its arrays."""


def _run(name: str, tree: dict[str, Any], steps: int = 3, **options: Any) -> Any:
    copied = {key: np.copy(array, order="K") for key, array in tree.items()}
    for key, array in tree.items():
        if array.base is not None and not array.flags.forc:
            whole = np.zeros(tuple(2 * length for length in array.shape), array.dtype)
            copied[key] = whole[tuple(slice(None, None, 2) for _ in array.shape)]
            copied[key][...] = array
    optimizer = optreg.create(name, hooks=[optreg.WeightDecay(0.01)], **options).setup(copied)
    rng = np.random.default_rng(3)
    for _ in range(steps):
        step(optimizer, rng)
    return everything(optimizer), repeats(optimizer)


def _normal(*shape: int, dtype: str = "float32") -> Any:
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    return np.asarray(values + 1j * values[..., ::-1] if dtype.startswith("complex") else values, dtype)


def _compare(name: str, tree: dict[str, Any], **options: Any) -> bool:
    (expected, _), (found, compiled) = both(lambda: _run(name, tree, **options))
    assert_same(expected, found)
    return compiled


@pytest.mark.parametrize("name", ["adamw", WITH_NUMBERS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_around_the_width_of_vectors(name, dtype):
    assert _compare(name, {str(size): _normal(size, dtype=dtype) for size in range(70)})


@pytest.mark.parametrize("name", ["adamw", WITH_NUMBERS])
def test_sizes_around_the_bounds_of_chunks(name):
    sizes = [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 17]
    assert _compare(name, {str(size): _normal(size) for size in sizes})


@pytest.mark.parametrize("size", [ALONE, ALONE + 1, 5 * ALONE + 3])
@pytest.mark.parametrize("threads", ["1", "2", "3", "7"])
def test_any_number_of_threads_gives_the_same_bits(size, threads, monkeypatch):
    monkeypatch.setenv("OPTREG_NUM_THREADS", threads)
    assert _compare("adamw", {"one": _normal(size), "other": _normal(3, 5)})


def test_arrays_without_axes_or_elements():
    tree = {"number": np.array(1.5), "none": np.zeros(0), "no rows": np.zeros((0, 3)), "no columns": np.zeros((4, 0))}
    assert _compare("adamw", tree)
    assert _compare("adamw", {"none": np.zeros(0)})
    assert _compare(WITH_NUMBERS, tree)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_arrays_beside_real_ones_of_their_parts(dtype):
    real = np.dtype(dtype).type().real.dtype.name
    tree = {
        "real": _normal(7, dtype=real),
        "complex": _normal(4, 9, dtype=dtype),
        "long": _normal(CHUNK - 5, dtype=dtype),
        "fortran": np.asfortranarray(_normal(3, 5, dtype=dtype)),
        "last": _normal(9, dtype=real),
    }
    assert _compare(WITH_NUMBERS, tree)
    assert _compare("adamw", {**tree, "number": np.array(1 + 2j, dtype)})


def test_arrays_in_the_order_of_fortran_with_gradients_in_theirs():
    assert _compare("adamw", {"plane": np.asfortranarray(_normal(40, 30)), "cube": np.asfortranarray(_normal(4, 3, 5))})


def test_a_gradient_in_another_order_than_its_parameter():
    def run() -> Any:
        optimizer = optreg.create("adamw").setup({"a": _normal(40, 30), "b": _normal(40, 30)})
        rng = np.random.default_rng(0)
        for number in range(6):
            for parameter in optimizer.target.params():
                parameter.grad = gradient(parameter.data, rng)
            if number in (2, 3):
                optimizer.target["a"].grad = np.asfortranarray(optimizer.target["a"].grad)
            optimizer.update()
        return everything(optimizer)

    assert_same(*both(run))


def test_strided_arrays_are_left_to_numpy_and_the_others_are_not(monkeypatch):
    tree = {"strided": np.ones((6, 8), np.float32)[::2, ::2], "other": _normal(50)}
    assert not _compare("adamw", tree), "not every tensor of the step was compiled"
    tree = {"strided": np.ones(400_000, np.float32)[::2], "other": _normal(CHUNK)}
    assert not _compare("adamw", tree)


def test_half_precision_beside_the_other_dtypes():
    tree = {"half": _normal(30, dtype="float16"), "single": _normal(30), "double": _normal(30, dtype="float64")}
    assert _compare("adamw", tree)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "longdouble"])
@pytest.mark.filterwarnings("ignore:.*cannot be compiled:RuntimeWarning")
def test_dtypes_that_no_kernel_knows_are_left_to_numpy(dtype):
    assert not _compare("adamw", {"w": _normal(30).astype(dtype), "other": _normal(5)})


def test_unaligned_arrays_are_left_to_numpy():
    def run() -> Any:
        memory = np.zeros(4 * 50 + 1, np.uint8)
        unaligned = memory[1:].view(np.float32)
        assert not unaligned.flags.aligned
        optimizer = optreg.create("adamw").setup({"w": unaligned, "other": _normal(9)})
        rng = np.random.default_rng(0)
        for _ in range(3):
            step(optimizer, rng)
        return everything(optimizer)

    assert_same(*both(run))


def test_subclasses_of_arrays_are_left_to_numpy(tmp_path):
    def run() -> Any:
        mapped = np.memmap(tmp_path / "memory", np.float32, "w+", shape=20)
        optimizer = optreg.create("adamw").setup({"mapped": mapped, "other": _normal(9)})
        rng = np.random.default_rng(0)
        for _ in range(3):
            step(optimizer, rng)
        return everything(optimizer)

    assert_same(*both(run))


def test_gradients_of_another_precision_than_their_parameters():
    def run() -> Any:
        optimizer = optreg.create("adamw", hooks=[optreg.WeightDecay(0.1)])
        optimizer.setup({name: _normal(33) for name in "abc"})
        rng = np.random.default_rng(0)
        for dtypes in ["fff", "fdf", "fdf", "ffe", "ddd", "fff", "fff"]:
            for parameter, dtype in zip(optimizer.target.params(), dtypes, strict=True):
                parameter.grad = gradient(parameter.data, rng).astype(dtype)
            optimizer.update()
        return everything(optimizer)

    assert_same(*both(run))


def test_a_thousand_small_tensors_in_several_groups():
    tree = {f"{group}/{number}": _normal(number % 37) for number in range(500) for group in "ab"}
    assert _compare("adamw", tree, options={"/a/*": {"lr": 0.1}, "*/7?": {"beta1": 0.5}})
    assert _compare(WITH_NUMBERS, tree, options={"/a/*": {"lr": 0.1}})


def test_a_target_without_parameters():
    optimizer = optreg.create("adamw")
    with optreg.use_backend("numba"):
        optimizer.setup({}).update()
        optimizer.update()
    assert optimizer.t == 2
