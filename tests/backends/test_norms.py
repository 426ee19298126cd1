"""The norm of all gradients: right, and the same bits from NumPy and from kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import optreg
from optreg.backends import squares
from optreg.norms import global_norm

RANDOM = np.random.default_rng(0)


def _normal(*shape: int, dtype: str = "f4") -> np.ndarray[Any, Any]:
    values = RANDOM.standard_normal(shape)
    return np.asarray(values + 1j * values[..., ::-1] if dtype.startswith("c") else values).astype(dtype)


class Subclass(np.ndarray[Any, Any]):
    pass


GRADIENTS: dict[str, list[Any]] = {
    "of float32": [_normal(1000), _normal(10, 37)],
    "of float64": [_normal(1000, dtype="f8"), _normal(3, dtype="f8")],
    "of both": [_normal(100), _normal(100, dtype="f8"), _normal(7)],
    "of float16": [_normal(100, dtype="f2"), _normal(100)],
    "of float16 beside its parts": [_normal(70_000, dtype="f2"), _normal(33, dtype="c8"), _normal(5, dtype="c16")],
    "of the smallest float16": [np.full(40, 6e-8, "f2"), np.array([65504, -0.0], "f2")],
    "of complex64": [_normal(33, dtype="c8"), _normal(20)],
    "of complex128": [_normal(5, 7, dtype="c16")],
    "of the other byte order": [_normal(50, dtype=">f4"), _normal(50)],
    "of long doubles": [_normal(50, dtype="g")],
    "of many chunks": [_normal(200_000), _normal(65_536), _normal(65_537), _normal(65_551)],
    "in Fortran's order": [np.asfortranarray(_normal(30, 40)), _normal(3)],
    "with gaps": [_normal(30, 40)[:, ::3], _normal(90)[::-1]],
    "that are not aligned": [np.frombuffer(b"x" + _normal(40).tobytes(), "f4", offset=1)],
    "that are read-only": [np.broadcast_to(np.float32(2), (40,)), np.frombuffer(_normal(40).tobytes(), "f4")],
    "without elements": [_normal(0), _normal(3, 0), _normal(5)],
    "without axes": [np.array(3.0, "f4"), np.array(-4.0)],
    "of a subclass": [_normal(50).view(Subclass), _normal(5)],
    "that are missing": [None, _normal(5), None],
    "not there at all": [],
    "one of which is infinite": [_normal(50), np.array([1, np.inf], "f4"), np.array([-np.inf], "f4")],
    "one of which is not a number": [_normal(50), np.array([np.nan, np.inf], "f4")],
    "whose squares overflow float32": [np.full(20, 3e38, "f4")],
    "whose squares overflow": [np.full(20, 1e300)],
    "whose squares vanish": [np.full(20, 1e-170), np.full(3, 1e-30, "f4")],
}


@pytest.mark.parametrize("gradients", GRADIENTS.values(), ids=GRADIENTS)
def test_the_norm_has_the_same_bits_from_numpy_and_from_a_kernel(gradients):
    norms = []
    for name in ("numpy", "numba"):
        with optreg.use_backend(name):
            norms.append(global_norm(gradients))
    assert norms[0].hex() == norms[1].hex()
    together = np.concatenate([np.zeros(1), *(each.astype("c16").ravel() for each in gradients if each is not None)])
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        expected = math.sqrt(np.sum(together.real**2) + np.sum(together.imag**2))
    np.testing.assert_allclose(norms[1], expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("size", [1, 15, 16, 17, 31, 32, 33, 255, 1000, 65_535])
def test_every_element_counts_whatever_the_size(size, dtype):
    for place in {0, size // 2, size - 1}:
        gradient = np.zeros(size, dtype)
        gradient[place] = -3
        for name in ("numpy", "numba"):
            with optreg.use_backend(name):
                assert global_norm([gradient]) == 3.0


def test_the_norm_does_not_depend_on_the_number_of_threads(monkeypatch):
    gradients = [_normal(3_000_000), *(_normal(1000) for _ in range(300))]
    norms = set()
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OPTREG_NUM_THREADS", threads)
        with optreg.use_backend("numba"):
            norms.add(global_norm(gradients).hex())
    assert len(norms) == 1


def test_a_kernel_has_done_it():
    with optreg.use_backend("numba"):
        global_norm([_normal(10), _normal(10, dtype="f8"), _normal(10, dtype="f2")])
    assert all(squares.compilation(dtype).kernel for dtype in squares.DTYPES)
