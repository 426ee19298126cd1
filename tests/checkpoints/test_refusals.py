"""What cannot be saved is refused by name; what an optimizer or hook refuses to load leaves everything as it was."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

import optreg

from .others import Averaging, Counting
from .runs import contents, new_parameters, run


def test_an_object_in_a_state_is_refused_by_name(tmp_path):
    class Odd(optreg.GradientMethod):
        def init_state(self, param, state):
            state["thing"] = object()

        def update_one(self, param, state):
            pass

    optimizer = Odd().setup({"l1": {"W": np.ones(3)}})
    with pytest.raises(ValueError, match=r"l1/W/thing is or holds <object .*cannot be saved without pickle"):
        optreg.save(tmp_path / "a.npz", optimizer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [np.array([None, {}]), np.array([(1, None)], dtype=[("a", int), ("b", object)])])
def test_an_array_of_objects_in_a_state_is_refused_by_name(value, tmp_path):
    optimizer = optreg.create("adam").setup({"l1": {"W": np.ones(3)}})
    optimizer._states["/l1/W"]["m"] = value
    with pytest.raises(ValueError, match=r"l1/W/m .*cannot be saved without pickle"):
        optreg.save(tmp_path / "a.npz", optimizer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extra", [object(), {"a": [len]}, {"a": {1, 2}}, deque()])
def test_an_object_in_the_extra_state_is_refused_by_name(extra, tmp_path):
    class Odd(optreg.GradientMethod):
        def get_extra_state(self):
            return extra

        def set_extra_state(self, state):
            pass

        def rule(self, param, grad):
            pass

    with pytest.raises(ValueError, match=r"what Odd.get_extra_state\(\) returns .*cannot be saved without pickle"):
        optreg.save(tmp_path / "a.npz", Odd().setup({"W": np.ones(3)}))


def test_an_extra_state_that_is_refused_leaves_everything_as_it_was(tmp_path):
    class Fussy(Averaging):
        def __init__(self, limit=100):
            super().__init__()
            self.limit = limit
            self.seen = 0
            self.generator = np.random.default_rng(0)

        def get_extra_state(self):
            return {"seen": self.seen}

        def set_extra_state(self, state):
            self.seen = state["seen"]
            if self.seen > 1:
                raise RuntimeError("that is too much for me")

    def make(seed):
        hooks = [("gradient_noise", {"eta": 0.1, "seed": seed}), Fussy()]
        return optreg.create("adam", lr=0.1 * seed, hooks=hooks, options={"*/b": {"lr": 0.1 * seed}})

    saved = run(make(1).setup(new_parameters()), 3)
    saved._hooks["Fussy"].seen = 2
    saved._hooks["Fussy"].generator.normal()
    optreg.save(tmp_path / "a.npz", saved)
    loading = run(make(2).setup(new_parameters()), 1)
    before = contents(loading)
    with pytest.raises(ValueError, match="RuntimeError: that is too much for me; everything is as it was"):
        optreg.load(tmp_path / "a.npz", loading)
    assert contents(loading) == before


class Recording(Counting):
    """A state that is no array before the third step."""

    def init_state(self, param, state):
        super().init_state(param, state)
        state["third"] = None

    def update_one(self, param, state):
        super().update_one(param, state)
        if state["steps"] == 3:
            state["third"] = param.grad.copy()


def test_an_own_serialize_that_fails_half_way_leaves_everything_as_it_was(tmp_path):
    saved = run(Recording(0.2).setup(new_parameters()), 4)
    optreg.save(tmp_path / "a.npz", saved)
    loading = run(Recording(0.1).setup(new_parameters()), 2)
    loading.updates = 2
    loading.strict = True
    before = contents(loading)
    with pytest.raises(ValueError, match="RuntimeError: too many updates for me; everything is as it was"):
        optreg.load(tmp_path / "a.npz", loading)
    assert contents(loading) == before


def test_what_an_own_serialize_adds_must_be_in_the_file(tmp_path):
    optreg.save(tmp_path / "a.npz", run(Counting().setup({"W": np.ones(2)}), 2))
    with np.load(tmp_path / "a.npz") as file:
        arrays = {name: file[name] for name in file if name != "inner/factors"}
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(KeyError, match="inner/factors is missing"):
        optreg.load(tmp_path / "b.npz", Counting().setup({"W": np.ones(2)}))
