"""Each method walks the path of its authors' code, which ``make.py`` has recorded: nothing of it is needed here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases import CASES
from problem import start, walk

import optreg

RECORDS = Path(__file__).with_name("records.npz")


@pytest.mark.parametrize("name", CASES)
def test_the_path_is_that_of_the_authors_code(name):
    method, shape, hyperparameters = CASES[name]
    weights = {"W": start(shape)}
    optimizer = optreg.create(f"matrix/{method}", **hyperparameters).setup(weights)
    found = walk(weights["W"], lambda gradient: optimizer.apply_gradients({"W": gradient}))
    with np.load(RECORDS) as recorded:
        np.testing.assert_allclose(found, recorded[name], rtol=0, atol=1e-9)
