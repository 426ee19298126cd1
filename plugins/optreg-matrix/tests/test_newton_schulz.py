"""What Newton–Schulz steps make of singular values, beside what a singular value decomposition says."""

from __future__ import annotations

import numpy as np
import pytest
from optreg_matrix.newton_schulz import EPS, QUINTIC, orthogonalized, steps_of

import optreg
from optreg.errors import HyperparameterError

POLAR_EXPRESS = [(8.2872, -23.5959, 17.3004), (4.1071, -2.9478, 0.5448), (3.9487, -2.9089, 0.5518)]
NEWTON = (1.5, -0.5, 0.0)
SHAPES = [(1, 1), (1, 7), (7, 1), (6, 6), (6, 7), (8, 20), (20, 8), (3, 90), (300, 450)]


def expected(matrix, steps):
    """Each singular value put through the polynomials."""
    u, s, vh = np.linalg.svd(matrix, full_matrices=False)
    s = s / (np.sqrt((s * s).sum()) + EPS)
    for a, b, c in steps:
        s = a * s + b * s**3 + c * s**5
    return (u * s) @ vh


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("steps", [[QUINTIC] * 5, [*POLAR_EXPRESS, *[NEWTON] * 4], [NEWTON] * 30, [QUINTIC]], ids=len)
def test_each_singular_value_goes_through_the_polynomials(shape, dtype, steps):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    matrix = (matrix if dtype == "complex128" else matrix.real).astype(dtype)
    found = orthogonalized(matrix.copy(), steps, EPS)
    assert found.dtype == dtype
    tolerance = 1e-3 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(found, expected(matrix, steps), rtol=0, atol=tolerance)


def test_five_of_jordans_steps_bring_all_but_the_smallest_singular_values_between_07_and_12():
    rng = np.random.default_rng(0)
    found = np.linalg.svd(orthogonalized(rng.normal(size=(40, 200)), [QUINTIC] * 5, EPS), compute_uv=False)
    assert 0.68 < found.min() < found.max() < 1.21


@pytest.mark.parametrize("shape", [(30, 30), (30, 120), (200, 800)], ids=str)
@pytest.mark.parametrize("steps", [5, 20])
def test_rounding_grows_little_where_singular_values_are_tiny(shape, steps):
    rng = np.random.default_rng(0)
    u, _, vh = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    count = min(shape)
    for values in (np.geomspace(1, 1e-8, count), np.arange(count) < 4, np.arange(count) < 1):
        matrix = ((u * values) @ vh).astype(np.float32)
        found = orthogonalized(matrix.copy(), [QUINTIC] * steps, EPS)
        wanted = expected(matrix.astype(np.float64), [QUINTIC] * steps)
        if steps == 5:  # after twenty, any rounding error is as large as the largest singular value
            assert np.linalg.norm(found - wanted, 2) < 0.004
        assert np.linalg.norm(found, 2) < 1.25


def test_a_matrix_of_zeros_stays_one():
    for shape in SHAPES:
        np.testing.assert_array_equal(orthogonalized(np.zeros(shape, np.float32), [QUINTIC] * 5, EPS), 0)


def test_a_norm_that_overflows_makes_a_step_of_zero_as_in_jordans_code():
    w = np.ones((3, 8), np.float32)
    optreg.create("matrix/muon").setup({"w": w}).apply_gradients({"w": np.full((3, 8), 1e25, np.float32)})
    np.testing.assert_array_equal(w, 1)


def test_the_last_coefficients_stay_where_there_are_more_steps():
    assert steps_of(QUINTIC, 2) == [QUINTIC] * 2
    assert steps_of(tuple(POLAR_EXPRESS), 2) == POLAR_EXPRESS[:2]
    assert steps_of(tuple(POLAR_EXPRESS), 5) == [*POLAR_EXPRESS, *[POLAR_EXPRESS[2]] * 2]


@pytest.mark.parametrize("wrong", [(1.0, 2.0), [], [[1, 2, 3], [1, 2]], "quintic", 3.0, [(1, 2, "3")], (1, 2, np.nan)])
def test_what_are_no_coefficients_is_told(wrong):
    with pytest.raises(HyperparameterError, match="ns_coefficients must be three numbers, or a list of three for each"):
        optreg.create("matrix/muon", ns_coefficients=wrong)


def test_coefficients_for_each_step_are_written_down_and_come_back():
    optimizer = optreg.create("matrix/muon", ns_coefficients=[list(each) for each in POLAR_EXPRESS])
    assert optreg.create(optimizer.config()).ns_coefficients == tuple(POLAR_EXPRESS)
