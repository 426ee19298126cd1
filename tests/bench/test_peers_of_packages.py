"""The peers of what packages offer, where such a package is installed beside them."""

from __future__ import annotations

import numpy as np
import pytest

from optreg.bench.cases import VARIANTS, Case, Numbers
from optreg.bench.contender import Job
from optreg.bench.lineup import lineup

from .walks import THREADS, assert_same_walk, walked

pytest.importorskip("optreg_matrix")

MATRICES = Case("matrices", ((24, 40), (40, 24), (30, 30)))
VECTORS = Case("vectors", ((7,), (300,)))


@pytest.mark.parametrize("peer", ["torch-single", "pytorch-optimizer"])
def test_muons_peers_give_vectors_to_the_same_adamw(peer):
    job = Job("matrix/muon", VARIANTS["plain"], "float64", THREADS)
    assert peer in lineup(job).peers
    start = Numbers.of(VECTORS, job.dtype).values
    assert_same_walk(walked(peer, job, case=VECTORS), walked("numpy", job, case=VECTORS), start, 1e-4)


@pytest.mark.parametrize("peer", ["torch-single", "pytorch-optimizer"])
def test_muons_peers_in_bfloat16_go_the_way_of_optreg_as_far_as_bfloat16_can_tell(peer):
    job = Job("matrix/muon", VARIANTS["plain"], "float64", THREADS)
    assert "bfloat16" in lineup(job).remarks[peer]
    found, expected = walked(peer, job, case=MATRICES), walked("numpy", job, case=MATRICES)
    for theirs, ours, start in zip(found, expected, Numbers.of(MATRICES, job.dtype).values, strict=True):
        assert np.linalg.norm(theirs - ours) < 0.1 * np.linalg.norm(ours - start)


def test_muon_of_optax_is_said_to_differ():
    job = Job("matrix/muon", VARIANTS["plain"], "float64", THREADS)
    assert lineup(job).remarks["optax"].startswith("its matrix/muon corrects its average")
    for value, start in zip(walked("optax", job, case=MATRICES), Numbers.of(MATRICES, "float64").values, strict=True):
        assert not np.array_equal(value, start)
