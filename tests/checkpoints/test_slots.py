"""Slots that exist only where hyperparameters ask for them: those of the file say which there are."""

from __future__ import annotations

import numpy as np
import pytest

import optreg

from .runs import assert_resumes, assert_same, contents, copied, new_parameters, run


@pytest.mark.parametrize("here", [{}, {"momentum": 0.5}, {"centered": True}, {"momentum": 0.5, "centered": True}])
@pytest.mark.parametrize("there", [{}, {"momentum": 0.9}, {"centered": True}])
def test_the_hyperparameters_of_the_file_say_which_slots_there_are(there, here, tmp_path):
    unbroken = run(optreg.create("rmsprop", **there).setup(new_parameters()), 3)
    optreg.save(tmp_path / "a.npz", unbroken)
    resumed = run(optreg.create("rmsprop", **here).setup(copied(unbroken.target.arrays)), 1)
    resumed.target.arrays.update(copied(unbroken.target.arrays))
    optreg.load(tmp_path / "a.npz", resumed)
    assert_same(run(resumed, 3), run(unbroken, 3))


@pytest.mark.parametrize("here", [None, 0.9])
def test_a_slot_that_the_hyperparameters_of_the_file_ask_for_must_be_in_it(here, tmp_path):
    optreg.save(tmp_path / "a.npz", run(optreg.create("rmsprop", momentum=0.9).setup(new_parameters()), 2))
    with np.load(tmp_path / "a.npz") as file:
        np.savez(tmp_path / "b.npz", **{name: file[name] for name in file if name != "l1/b/buf"})
    loading = run(optreg.create("rmsprop", momentum=here).setup(new_parameters()), 1)
    before = contents(loading)
    with pytest.raises(KeyError, match="does not fit this optimizer: /l1/b: buf is missing; nothing was loaded"):
        optreg.load(tmp_path / "b.npz", loading)
    assert contents(loading) == before


def test_a_slot_that_is_no_longer_used_does_no_harm(tmp_path):
    unbroken = run(optreg.create("rmsprop", momentum=0.9).setup(new_parameters()), 2)
    unbroken.momentum = None
    optreg.save(tmp_path / "a.npz", run(unbroken, 2))
    resumed = optreg.create("rmsprop").setup(copied(unbroken.target.arrays))
    optreg.load(tmp_path / "a.npz", resumed)
    assert_same(run(resumed, 3), run(unbroken, 3))


def test_options_that_give_parameters_different_slots_resume(tmp_path):
    def make():
        return optreg.create("rmsprop", options={"*/W": {"momentum": 0.9}, "*/b": {"centered": True}})

    assert_resumes(make, tmp_path / "a.npz", before=3, after=3)


def test_the_options_of_the_file_say_which_slots_must_be_in_it(tmp_path):
    saved = optreg.create("rmsprop", options={"*/W": {"momentum": 0.9}}).setup(new_parameters())
    optreg.save(tmp_path / "a.npz", run(saved, 2))
    loaded = optreg.create("rmsprop", options={"*/b": {"momentum": 0.9}}).setup(new_parameters())
    optreg.load(tmp_path / "a.npz", loaded)
    assert contents(loaded._states) == contents(saved._states)
    with np.load(tmp_path / "a.npz") as file:
        np.savez(tmp_path / "b.npz", **{name: file[name] for name in file if name != "l1/W/buf"})
    with pytest.raises(KeyError, match="/l1/W: buf is missing"):
        optreg.load(tmp_path / "b.npz", optreg.create("rmsprop").setup(new_parameters()))
