"""Parameters that are not initialized yet: a checkpoint keeps their states until they are."""

from __future__ import annotations

import numpy as np
import pytest

import optreg

from .others import Averaging
from .runs import FORMATS, contents, copied, run

every_format = pytest.mark.parametrize("form", FORMATS)


class Variable:
    """A parameter as in Chainer 1.24."""

    def __init__(self, data):
        self.data = data
        self.grad = None


class Chain:
    """As Chainer 1.24's links behave: a parameter that is not initialized has no name to the outside yet."""

    def __init__(self, **shapes):
        self.shapes = shapes
        self.variables = {}

    @property
    def has_uninitialized_params(self):
        return self.variables.keys() != self.shapes.keys()

    def initialize(self, *names):
        for name in names:
            self.variables[name] = Variable(np.linspace(1, 2, self.shapes[name]))
        return self

    def namedparams(self):
        return ((f"/{name}", self.variables[name]) for name in self.shapes if name in self.variables)

    def params(self):
        return (variable for _, variable in self.namedparams())

    def cleargrads(self):
        for variable in self.params():
            variable.grad = None

    def zerograds(self):
        for variable in self.params():
            variable.grad = np.zeros_like(variable.data)


def step(optimizer, steps=1):
    for _ in range(steps):
        optimizer.apply_gradients(
            {name: 0.1 * optimizer.t + variable.data for name, variable in optimizer.target.namedparams()}
        )
    return optimizer


def make(target, name="adam"):
    return optreg.create(name, hooks=[Averaging(), ("weight_decay", {"rate": 0.1})]).setup(target)


def initialize(optimizer, values):
    optimizer.target.arrays["late"] = values.copy()


@pytest.fixture(params=["adam", "sgd"])
def method(request):
    return request.param


@pytest.fixture
def unbroken(method):
    return run(make({"W": np.ones(3), "late": np.linspace(0, 1, 4)}, method), 3)


@every_format
def test_a_file_is_loaded_before_a_parameter_is_initialized(unbroken, method, form, tmp_path):
    optreg.save(tmp_path / f"a.{form}", unbroken)
    resumed = make({"W": unbroken.target.arrays["W"].copy(), "late": None}, method)
    optreg.load(tmp_path / f"a.{form}", resumed)
    initialize(resumed, unbroken.target.arrays["late"])
    assert contents(run(resumed, 3)) == contents(run(unbroken, 3))


@every_format
def test_saving_again_before_it_is_initialized_loses_nothing(unbroken, method, form, tmp_path):
    optreg.save(tmp_path / f"a.{form}", unbroken)
    between = make({"W": unbroken.target.arrays["W"].copy(), "late": None}, method)
    optreg.load(tmp_path / f"a.{form}", between)
    optreg.save(tmp_path / f"b.{form}", between)
    for late in (None, unbroken.target.arrays["late"].copy()):  # not initialized, or initialized by the time of loading
        resumed = make({"W": unbroken.target.arrays["W"].copy(), "late": late}, method)
        optreg.load(tmp_path / f"b.{form}", resumed)
        initialize(resumed, unbroken.target.arrays["late"])
        fresh = make(copied(unbroken.target.arrays), method)
        optreg.load(tmp_path / f"a.{form}", fresh)
        assert contents(run(resumed, 3)) == contents(run(fresh, 3))


def test_serialize_writes_what_waits(tmp_path):
    unbroken = run(make({"W": np.ones(3), "late": np.ones(4)}), 3)
    optreg.save(tmp_path / "a.npz", unbroken)
    waiting = make({"W": np.ones(3), "late": None})
    optreg.load(tmp_path / "a.npz", waiting)
    serializer = optreg.serializers.DictionarySerializer()
    waiting.serialize(serializer)
    assert serializer.target["late/m"].tobytes() == unbroken._states["/late"]["m"].tobytes()


def test_a_file_of_a_parameter_that_was_never_initialized_fits_one_that_is_not(tmp_path):
    optreg.save(tmp_path / "a.npz", run(make({"W": np.ones(3), "late": None}), 2))
    resumed = make({"W": np.ones(3), "late": None})
    optreg.load(tmp_path / "a.npz", resumed)
    assert resumed.t == 2
    initialize(resumed, np.ones(2))
    run(resumed, 1)
    with pytest.raises(KeyError, match="/late: m is missing"):
        optreg.load(tmp_path / "a.npz", resumed)


def test_another_parameter_that_is_missing_is_not_taken_for_it(tmp_path):
    optreg.save(tmp_path / "a.npz", run(make({"W": np.ones(3), "b": np.ones(4)}), 2))
    optimizer = make({"W": np.ones(3), "late": None})
    before = contents(optimizer)
    with pytest.raises(ValueError, match="the parameter /b of the file is unexpected"):
        optreg.load(tmp_path / "a.npz", optimizer)
    assert contents(optimizer) == before


def test_a_parameter_that_is_initialized_in_another_shape_is_an_error_until_it_is_set_right(tmp_path):
    unbroken = run(make({"W": np.ones(3), "late": np.ones(4)}), 2)
    optreg.save(tmp_path / "a.npz", unbroken)
    resumed = make({"W": np.ones(3), "late": None})
    optreg.load(tmp_path / "a.npz", resumed)
    for _ in range(2):
        initialize(resumed, np.ones(5))
        with pytest.raises(ValueError, match=r"the loaded state of /late does not fit: m has the shape \(4,\) inst"):
            run(resumed, 1)
    resumed = make({"W": unbroken.target.arrays["W"].copy(), "late": None})
    optreg.load(tmp_path / "a.npz", resumed)
    initialize(resumed, unbroken.target.arrays["late"])
    assert contents(run(resumed, 2)) == contents(run(unbroken, 2))


def test_a_refused_file_leaves_what_waits(tmp_path):
    unbroken = run(make({"W": np.ones(3), "late": np.ones(4)}), 2)
    optreg.save(tmp_path / "a.npz", unbroken)
    optreg.save(tmp_path / "b.npz", make({"other": np.ones(3)}))
    resumed = make({"W": unbroken.target.arrays["W"].copy(), "late": None})
    optreg.load(tmp_path / "a.npz", resumed)
    initialize(resumed, unbroken.target.arrays["late"])  # its state is made while the file is compared
    with pytest.raises(KeyError):
        optreg.load(tmp_path / "b.npz", resumed)
    assert contents(run(resumed, 2)) == contents(run(unbroken, 2))


@every_format
def test_a_link_whose_parameters_have_no_names_yet(form, tmp_path):
    unbroken = step(make(Chain(W=3, late=4).initialize("W", "late")), 3)
    optreg.save(tmp_path / f"a.{form}", unbroken)
    between = make(Chain(W=3, late=4).initialize("W"))
    optreg.load(tmp_path / f"a.{form}", between)
    optreg.save(tmp_path / f"b.{form}", between)
    for path in ("a", "b"):
        for first in (("W",), ("W", "late")):
            resumed = make(Chain(W=3, late=4).initialize(*first))
            optreg.load(tmp_path / f"{path}.{form}", resumed)
            resumed.target.initialize("W", "late")
            for name, variable in unbroken.target.namedparams():
                resumed.target.variables[name[1:]].data[...] = variable.data
            fresh = make(Chain(W=3, late=4).initialize("W", "late"))
            optreg.load(tmp_path / f"a.{form}", fresh)
            for name, variable in unbroken.target.namedparams():
                fresh.target.variables[name[1:]].data[...] = variable.data
            step(resumed, 2)
            step(fresh, 2)
            assert contents(resumed._states) == contents(fresh._states)
            assert contents(resumed._hook_states) == contents(fresh._hook_states)


def test_states_that_wait_are_not_those_of_parameters_that_there_are(tmp_path):
    saved = step(make(Chain(W=3, late=4).initialize("W", "late")))
    optreg.save(tmp_path / "a.npz", saved)
    with np.load(tmp_path / "a.npz") as file:
        arrays = {**file, "W/extra": np.ones(3)}
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(ValueError, match="/W: extra is unexpected"):
        optreg.load(tmp_path / "b.npz", make(Chain(W=3, late=4).initialize("W")))
