"""``serialize(serializer)``: Chainer's keys, with serializers that behave as Chainer's do."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optreg
from optreg.serializers import DictionaryDeserializer, DictionarySerializer

from .others import Bookkeeping, Counting
from .runs import contents, copied, new_parameters, run


class ToDictionary:
    """As Chainer's DictionarySerializer behaves: arrays in a flat dictionary."""

    def __init__(self, into, path=""):
        self.into, self.path = into, path

    def __getitem__(self, key):
        return ToDictionary(self.into, self.path + key.strip("/") + "/")

    def __call__(self, key, value):
        self.into[self.path + key.lstrip("/")] = np.asarray(value)
        return value

    def save(self, thing):
        thing.serialize(self)


class FromArrays:
    """As Chainer's NpzDeserializer behaves: it copies into the array that it is given, and returns that."""

    def __init__(self, arrays, path="", strict=True):
        self.arrays, self.path, self.strict = arrays, path, strict

    def __getitem__(self, key):
        return FromArrays(self.arrays, self.path + key.strip("/") + "/", self.strict)

    def __call__(self, key, value):
        name = self.path + key.lstrip("/")
        if name not in self.arrays:
            if not self.strict:
                return value
            raise KeyError(f"{name} is not a file in the archive")
        if value is None:
            return self.arrays[name]
        if isinstance(value, np.ndarray):
            np.copyto(value, self.arrays[name])
            return value
        return type(value)(np.asarray(self.arrays[name]))

    def load(self, thing):
        thing.serialize(self)


class FromRebinding(FromArrays):
    """A deserializer that returns what it has, and leaves alone what it is given."""

    def __getitem__(self, key):
        return FromRebinding(self.arrays, self.path + key.strip("/") + "/")

    def __call__(self, key, value):
        return self.arrays[self.path + key.lstrip("/")]


def serialized(optimizer, kind=ToDictionary):
    arrays = {}
    kind(arrays).save(optimizer)
    return arrays


def a_run(name="adam", steps=4):
    return run(optreg.create(name).setup(new_parameters("float32")), steps)


def test_the_keys_are_those_of_chainer():
    optimizer = run(optreg.create("adam").setup({"l1": {"W": np.ones(2), "b": np.ones(1)}, "s": np.ones(())}), 4)
    arrays = serialized(optimizer)
    assert list(arrays) == ["t", "epoch", "l1/W/m", "l1/W/v", "l1/b/m", "l1/b/v", "s/m", "s/v"]
    assert (arrays["t"], arrays["epoch"]) == (4, 1)
    assert arrays["l1/W/m"].tobytes() == optimizer._states["/l1/W"]["m"].tobytes()


def test_the_serializers_of_optreg_write_and_read_the_same():
    optimizer = a_run()
    theirs, ours = serialized(optimizer), serialized(optimizer, DictionarySerializer)
    assert contents(ours) == contents(theirs)
    again = a_run(steps=1)
    DictionaryDeserializer(theirs).load(again)
    assert contents(again._states) == contents(optimizer._states)


@pytest.mark.parametrize("kind", [FromArrays, FromRebinding, DictionaryDeserializer])
@settings(max_examples=10)
@given(name=st.sampled_from([name for name in optreg.names() if "/" not in name]), steps=st.integers(0, 4))
def test_every_built_in_goes_on_from_what_was_serialized(kind, name, steps):
    unbroken = a_run(name, steps)
    resumed = run(optreg.create(name).setup(new_parameters("float32")), 1)
    resumed.target.arrays.update(copied(unbroken.target.arrays))
    states = {(path, key): value for path, state in resumed._states.items() for key, value in state.items()}
    resumed.serialize(kind(copied(serialized(unbroken))))
    assert all(resumed._states[path][key] is value for (path, key), value in states.items())
    assert contents(run(resumed, 3)) == contents(run(unbroken, 3))


@pytest.mark.parametrize("kind", [FromArrays, FromRebinding, DictionaryDeserializer])
def test_any_missing_key_is_a_key_error_and_nothing_is_loaded(kind):
    arrays = serialized(a_run())
    optimizer = a_run(steps=2)
    before = contents(optimizer)
    for name in arrays:
        rest = {key: value for key, value in arrays.items() if key != name}
        with pytest.raises(KeyError, match=name):
            optimizer.serialize(kind(rest))
        assert contents(optimizer) == before


def test_a_value_that_is_missing_and_may_be_is_kept():
    arrays = serialized(a_run())
    del arrays["l1/W/m"], arrays["epoch"]
    optimizer, before = a_run(steps=2), a_run(steps=2)
    optimizer.serialize(FromArrays(arrays, strict=False))
    assert optimizer.t == 4
    assert optimizer.epoch == 0
    assert optimizer._states["/l1/W"]["m"].tobytes() == before._states["/l1/W"]["m"].tobytes()
    assert optimizer._states["/l1/W"]["v"].tobytes() == arrays["l1/W/v"].tobytes()


def test_none_in_place_of_a_value_keeps_it():
    class Nothing:
        def __getitem__(self, key):
            return self

        def __call__(self, key, value):
            return None

    optimizer = a_run()
    before = contents(optimizer)
    optimizer.serialize(Nothing())
    assert contents(optimizer) == before


@pytest.mark.parametrize("kind", [FromArrays, FromRebinding])
def test_another_shape_is_an_error_and_nothing_is_loaded(kind):
    arrays = serialized(a_run())
    arrays["strided/v"] = np.zeros((5, 5), "float32")
    optimizer = a_run(steps=2)
    before = contents(optimizer)
    with pytest.raises(ValueError):
        optimizer.serialize(kind(arrays))
    assert contents(optimizer) == before


def test_another_shape_is_named_where_the_deserializer_lets_it_through():
    arrays = serialized(a_run())
    arrays["l1/W/v"] = np.zeros((5, 5), "float32")
    with pytest.raises(ValueError, match=r"state of /l1/W does not fit: v has the shape \(5, 5\) instead of \(4, 3\)"):
        a_run().serialize(FromRebinding(arrays))


def test_arrays_of_another_precision_are_converted_as_chainer_does():
    arrays = {
        name: value if value.dtype.kind == "i" else value.astype("float64")
        for name, value in serialized(a_run()).items()
    }
    optimizer = a_run(steps=1)
    optimizer.serialize(FromRebinding(arrays))
    assert optimizer._states["/l1/W"]["m"].dtype == np.float32
    assert contents(optimizer._states) == contents(a_run()._states)


def test_arrays_that_cannot_be_converted_are_refused():
    arrays = serialized(a_run())
    arrays["l1/W/v"] = arrays["l1/W/v"] + 1j
    optimizer = a_run(steps=1)
    before = contents(optimizer)
    with pytest.raises(ValueError, match="v is of dtype complex64 instead of float32"):
        optimizer.serialize(FromRebinding(arrays))
    assert contents(optimizer) == before


def test_numbers_in_states_keep_their_types():
    class Counted(optreg.GradientMethod):
        def init_state(self, param, state):
            state.update(n=0, rate=0.5, seen=False, half=np.float32(0))

        def update_one(self, param, state):
            state.update(n=state["n"] + 1, rate=state["rate"] / 2, seen=True, half=state["half"] + np.float32(0.1))

    for kind in (FromArrays, FromRebinding, DictionaryDeserializer):
        optimizer = Counted().setup({"W": np.ones(2)})
        optimizer.serialize(kind(serialized(run(Counted().setup({"W": np.ones(2)}), 3))))
        assert contents(optimizer._states["/W"]) == contents(
            {"n": 3, "rate": 0.0625, "seen": True, "half": functools.reduce(np.add, [np.float32(0.1)] * 3)}
        )


def test_the_dictionary_serializer_refuses_objects_by_name():
    with pytest.raises(ValueError, match="W/last is None, which cannot be saved without pickle"):
        DictionarySerializer().save(Bookkeeping().setup({"W": np.ones(2)}))


def test_an_own_serialize_works_with_any_serializer():
    saved = run(Counting().setup({"W": np.ones(2)}), 3)
    arrays = serialized(saved)
    assert arrays["updates"] == 3
    assert arrays["inner/factors"].tolist() == saved.factors.tolist()
    loaded = Counting().setup(copied(saved.target.arrays))
    loaded.serialize(FromArrays(arrays))
    assert contents(run(loaded, 2)) == contents(run(saved, 2))


def test_what_was_serialized_is_a_checkpoint_that_can_be_loaded(tmp_path):
    saved = a_run()
    np.savez_compressed(tmp_path / "a.npz", **serialized(saved))
    loaded = optreg.create("adam", lr=0.5, hooks=[("weight_decay", {"rate": 0.1})]).setup(new_parameters("float32"))
    optreg.load(tmp_path / "a.npz", loaded)
    assert contents(loaded._states) == contents(saved._states)
    assert (loaded.t, loaded.epoch, loaded.lr) == (4, 1, 0.5)
    assert list(loaded._hooks) == ["weight_decay"]


def test_a_file_of_another_precision_that_is_not_optregs_is_converted(tmp_path):
    arrays = {
        name: value if value.dtype.kind == "i" else value.astype("float64")
        for name, value in serialized(a_run()).items()
    }
    np.savez(tmp_path / "a.npz", **arrays)
    loaded = a_run(steps=1)
    optreg.load(tmp_path / "a.npz", loaded)
    assert contents(loaded._states) == contents(a_run()._states)


def test_what_was_serialized_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", **serialized(a_run("sgd")))
    optimizer = a_run("adam")
    before = contents(optimizer)
    with pytest.raises(KeyError, match="/l1/W: m is missing; /l1/W: v is missing"):
        optreg.load(tmp_path / "a.npz", optimizer)
    assert contents(optimizer) == before


def test_a_checkpoint_can_be_read_as_chainer_reads_its_files(tmp_path):
    saved = a_run()
    optreg.save(tmp_path / "a.npz", saved)
    loaded = a_run(steps=1)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        loaded.serialize(FromArrays(file))
    assert contents(loaded._states) == contents(saved._states)


def test_serialize_before_setup_says_so():
    with pytest.raises(RuntimeError, match="call setup"):
        optreg.create("adam").serialize(ToDictionary({}))
