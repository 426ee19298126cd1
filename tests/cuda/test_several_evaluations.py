"""Optimizers and hooks that evaluate the loss several times, with parameters on the (emulated) device."""

from __future__ import annotations

import numpy as np
import pytest

import optreg

from .emulated_cupy import on_device

MAKES = {
    "lbfgs": lambda: optreg.create("lbfgs", max_iter=4, history_size=3),
    "hooks": lambda: optreg.create("sgd", lr=0.1, hooks=["asam", ("gradient_accumulation", {"steps": 2})]),
}


@pytest.mark.parametrize("name", MAKES)
def test_steps_on_the_device_are_those_on_the_host(emulation, name):
    begin = {"w": np.linspace(-1, 2, 7), "v": np.arange(6.0).reshape(2, 3) - 2}
    host = {path: array.copy() for path, array in begin.items()}
    device = {path: on_device(array.copy()) for path, array in begin.items()}

    def loss(arrays, put):
        there = {path: array if put is np.asarray else array.get() for path, array in arrays.items()}
        total = sum(float((array**4 / 4 + array**2).sum()) for array in there.values())
        return total, {path: put(array**3 + 2 * array) for path, array in there.items()}

    ours, theirs = MAKES[name]().setup(device), MAKES[name]().setup(host)
    for _ in range(4):
        ours.update(loss, device, on_device)
        theirs.update(loss, host, np.asarray)
    for path, array in host.items():
        np.testing.assert_allclose(device[path].get(), array, rtol=1e-9, atol=1e-12)
        assert not np.array_equal(array, begin[path])
