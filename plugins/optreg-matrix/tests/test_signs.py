"""Eigenvectors and singular vectors have any sign; LAPACK's and cuSOLVER's differ. The path is the same."""

from __future__ import annotations

import numpy as np
import pytest

import optreg


def path(method, **hyperparameters):
    weights = {"W": np.ones((4, 4))}
    optimizer = optreg.create(f"matrix/{method}", lr=0.1, **hyperparameters).setup(weights)
    rng = np.random.default_rng(0)
    for _ in range(12):
        optimizer.apply_gradients({"W": rng.normal(size=(4, 4))})
    return weights["W"]


def flipped(columns):
    return columns * np.array([1, -1, -1, 1])[: columns.shape[1]]


@pytest.mark.parametrize(
    ("method", "hyperparameters"),
    [
        ("galore", {"rank": 2, "update_proj_gap": 3}),
        ("soap", {"precondition_frequency": 3}),
        ("shampoo", {"precondition_frequency": 3}),
    ],
    ids=str,
)
def test_the_signs_of_decompositions_do_not_matter(method, hyperparameters, monkeypatch):
    expected = path(method, **hyperparameters)
    svd, eigh, qr = np.linalg.svd, np.linalg.eigh, np.linalg.qr

    def other_svd(matrix, **arguments):
        u, s, vh = svd(matrix, **arguments)
        return flipped(u), s, flipped(vh.T).T

    def other_eigh(matrix):
        values, vectors = eigh(matrix)
        return values, flipped(vectors)

    def other_qr(matrix):
        q, r = qr(matrix)
        return flipped(q), flipped(r.T).T

    monkeypatch.setattr(np.linalg, "svd", other_svd)
    monkeypatch.setattr(np.linalg, "eigh", other_eigh)
    monkeypatch.setattr(np.linalg, "qr", other_qr)
    np.testing.assert_allclose(path(method, **hyperparameters), expected, rtol=0, atol=1e-12)
