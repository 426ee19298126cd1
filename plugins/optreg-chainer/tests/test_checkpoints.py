"""A run with Adam that Chainer 1.24.0 broke off: its parameters, its optimizer's file, and how it went on there."""

from __future__ import annotations

import numpy as np
import pytest
from golden import DATA, SHAPES, continued, gradients_of
from serializers import Deserializer, written

import optreg

FILE = DATA / "ckpt_1.24.0_Adam.opt.npz"
MODEL = dict(np.load(DATA / "ckpt_1.24.0_Adam.model.npz"))
WRITTEN = dict(np.load(FILE))
CONTINUED = dict(np.load(DATA / "ckpt_1.24.0_Adam.cont.npz"))


def adam_at_the_break():
    return optreg.create("chainer/adam").setup({path: array.copy() for path, array in MODEL.items()})


def through_serialize(optimizer):
    optimizer.serialize(Deserializer(WRITTEN))


def through_load(optimizer):
    optreg.load(FILE, optimizer)


@pytest.mark.parametrize("load", [through_serialize, through_load])
def test_a_file_of_chainer_loads_and_the_run_goes_on_identically(load):
    optimizer = adam_at_the_break()
    load(optimizer)
    assert (optimizer.t, optimizer.epoch) == (int(WRITTEN["t"]), int(WRITTEN["epoch"]))
    loaded = written(optimizer)
    for key, value in WRITTEN.items():
        np.testing.assert_array_equal(loaded[key], value)
    rest = CONTINUED["traj"][optimizer.t :]
    rows = continued(optimizer, gradients_of("open", "float32"), len(rest) - 1)
    np.testing.assert_array_equal(rows, rest)
    assert optimizer.t == len(CONTINUED["traj"]) - 1
    at_the_end = written(optimizer)
    for slot in ("m", "v"):
        row = np.concatenate([np.ravel(at_the_end[f"{path.strip('/')}/{slot}"]) for path in SHAPES])
        np.testing.assert_array_equal(row, CONTINUED[f"state:{slot}"])


def test_what_is_written_has_the_names_and_values_of_the_file():
    optimizer = adam_at_the_break()
    through_load(optimizer)
    assert written(optimizer).keys() == WRITTEN.keys()


@pytest.mark.parametrize("key", sorted(WRITTEN))
def test_a_file_that_lacks_a_value_is_a_key_error_that_names_it_and_nothing_is_half_loaded(key):
    optimizer = adam_at_the_break()
    optimizer.apply_gradients({"s": np.ones(1, np.float32)})
    before = written(optimizer)
    incomplete = {name: value for name, value in WRITTEN.items() if name != key}
    with pytest.raises(KeyError, match=key):
        optimizer.serialize(Deserializer(incomplete))
    present = written(optimizer)
    assert all(np.array_equal(before[name], present[name]) for name in before)


def test_a_checkpoint_of_optreg_goes_on_identically_too(tmp_path):
    optimizers = [optreg.create("chainer/smorms3", lr=0.01).setup({"w": np.ones(3)}) for _ in range(2)]
    gradients = np.random.default_rng(0).normal(size=(6, 3))
    for step in range(6):
        if step == 3:
            optreg.save(tmp_path / "run.npz", optimizers[0])
            optimizers[1] = optreg.create("chainer/smorms3").setup({"w": optimizers[0].target["/w"].data.copy()})
            optreg.load(tmp_path / "run.npz", optimizers[1])
        for optimizer in optimizers:
            optimizer.apply_gradients({"w": gradients[step]})
    np.testing.assert_array_equal(*[optimizer.target["/w"].data for optimizer in optimizers])
