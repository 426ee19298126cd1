"""Scion beside pytorch_optimizer's, whose Newton–Schulz steps are made without bfloat16."""

from __future__ import annotations

import pytest
from sides import MATRICES, MORE, Ours, Torch, assert_same_path, every_length, without_bfloat16

scion = pytest.importorskip("pytorch_optimizer.optimizer.scion")


@pytest.fixture(autouse=True)
def the_dtype_of_the_matrix():
    with without_bfloat16():
        yield


ADDED = 1e5
"""Newton–Schulz steps add 1e-7 to the norm here; there, it is a lower bound of it."""

NORMS = {
    "spectral": ({"norm": "spectral"}, "SPECTRAL", {}),
    "spectral-wide": ({"norm": "spectral", "normalized": False}, "SPECTRAL", {"normalize": False}),
    "spectral-max": ({"norm": "spectral_max"}, "SPECTRAL", {"max_scale": True}),
    "sign": ({"norm": "sign"}, "SIGN", {"normalize": True}),
    "sign-plain": ({"norm": "sign", "normalized": False}, "SIGN", {"normalize": False}),
    "column": ({"norm": "column"}, "COL", {"normalized": True}),
    "column-plain": ({"norm": "column", "normalized": False}, "COL", {}),
    "column-table": ({"norm": "column", "normalized": False, "transposed": True}, "COL", {"transpose": True}),
    "row": ({"norm": "row"}, "ROW", {}),
    "row-plain": ({"norm": "row", "normalized": False}, "ROW", {"normalized": False}),
    "row-table": ({"norm": "row", "transposed": True}, "ROW", {"transpose": True}),
}


@pytest.mark.parametrize(("ours", "norm", "arguments"), NORMS.values(), ids=NORMS)
def test_every_norm_leads_the_way_of_pytorch_optimizer(ours, norm, arguments):
    def make(tensors):
        kind = scion.LMONorm[norm]
        return scion.SCION(tensors.values(), lr=0.1, scale=2.0, norm_type=kind, norm_kwargs=arguments)

    slack = ADDED if norm == "SPECTRAL" else 1
    assert_same_path(Ours("matrix/scion", lr=0.1, scale=2.0, **ours), Torch(make), "float64", 10, slack=slack)


@every_length
@pytest.mark.parametrize("changed", [{}, {"lr": 0.1, "scale": 3.0, "momentum": 0.5}], ids=["default", "changed"])
@pytest.mark.parametrize("constrained", [False, True], ids=["free", "constrained"])
def test_all_shapes_go_the_way_of_pytorch_optimizer(dtype, steps, changed, constrained):
    theirs = {**changed, "momentum": 1 - changed.get("momentum", 0.9), "constraint": constrained}

    def make(tensors):
        return scion.SCION(tensors.values(), **theirs)

    ours = Ours("matrix/scion", **changed, constrained=constrained)
    slack = ADDED if dtype == "float64" else 1
    assert_same_path(ours, Torch(make), dtype, steps, shapes={**MATRICES, **MORE}, slack=slack)
