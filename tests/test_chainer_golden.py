"""optreg walks the paths that Chainer 1.24.0 walked, number for number, and goes on where its files end."""

from __future__ import annotations

import numpy as np
import pytest
from chainer_methods import ChainerAdam, ChainerMomentumSGD, ChainerNesterovAG
from golden import CASES, DATA, NUMBERS, PROBLEM, continued, flat_state, gradients_of, nested, trajectory
from links import Deserializer, Serializer

import optreg

# Chainer wrote its rate with math.sqrt, which the compiling backend says it leaves to NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:the rule of ChainerAdam cannot be compiled:RuntimeWarning")

METHODS = {
    "SGD": lambda: optreg.create("sgd"),
    "AdaGrad": lambda: optreg.create("adagrad", lr=0.001, eps=1e-8),
    "RMSprop": lambda: optreg.create("rmsprop"),
    "RMSpropGraves": lambda: optreg.create("rmsprop_graves"),
    "SMORMS3": lambda: optreg.create("smorms3"),
    "AdaDelta": lambda: optreg.create("adadelta", rho=0.95),
    "Adam": ChainerAdam,
    "MomentumSGD": ChainerMomentumSGD,
    "NesterovAG": ChainerNesterovAG,
}


def with_hooks(case):
    optimizer = METHODS[case["optimizer"]]()
    for name, arguments in case["hooks"]:
        optimizer.add_hook(getattr(optreg, name)(*arguments))
    return optimizer


def test_the_record_covers_nine_methods_under_six_sets_of_hooks():
    assert len(CASES) == 135
    assert {case["optimizer"] for case in CASES} == METHODS.keys()
    assert len({case["hooks_name"] for case in CASES}) == 6


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_parameters_and_states_are_those_of_chainer(case):
    optimizer = with_hooks(case)
    dtype = case["dtype"]
    rows = trajectory(optimizer, gradients_of(case["mode"], dtype), PROBLEM["p0"].astype(dtype))
    assert rows.dtype == dtype
    np.testing.assert_allclose(rows, NUMBERS[case["traj"]], rtol=0, atol=case["atol"])
    for key, recorded in case["states"].items():
        state = flat_state(optimizer, key)
        assert state.dtype == dtype
        # Some states are far larger than one, where a float32 is coarser than the tolerance.
        np.testing.assert_allclose(state, NUMBERS[recorded], rtol=case["atol"], atol=case["atol"])
    assert (optimizer.t, optimizer.epoch) == (case["t"], case["epoch"])


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["hooks_name"] == "clip+wd"], ids=lambda case: case["id"]
)
def test_the_path_is_the_same_through_update_with_a_loss_function(case):
    dtype = case["dtype"]
    gradients = gradients_of(case["mode"], dtype)
    optimizer = with_hooks(case)
    optimizer.setup(nested(PROBLEM["p0"].astype(dtype)))

    def lossfun(step):
        parameters = np.concatenate([np.ravel(param.data) for param in optimizer.target.params()])
        return 0.0, nested(gradients(step, parameters))

    for step in range(case["t"]):
        optimizer.update(lossfun, step)
    last = np.concatenate([np.ravel(param.data) for param in optimizer.target.params()])
    np.testing.assert_allclose(last, NUMBERS[case["traj"]][-1], rtol=0, atol=case["atol"])


# The files of a run with Adam that Chainer broke off: parameters, optimizer, and how it went on.

MODEL = dict(np.load(DATA / "ckpt_1.24.0_Adam.model.npz"))
WRITTEN = dict(np.load(DATA / "ckpt_1.24.0_Adam.opt.npz"))
CONTINUED = dict(np.load(DATA / "ckpt_1.24.0_Adam.cont.npz"))


def adam_at_the_break():
    parameters = {path: array.copy() for path, array in MODEL.items()}
    return ChainerAdam().setup(parameters)


def through_serialize(optimizer):
    Deserializer(WRITTEN).load(optimizer)


def through_load(optimizer):
    optreg.load(DATA / "ckpt_1.24.0_Adam.opt.npz", optimizer)


@pytest.mark.parametrize("load", [through_serialize, through_load])
def test_a_file_of_chainer_loads_and_the_run_goes_on_identically(load):
    optimizer = adam_at_the_break()
    load(optimizer)
    assert (optimizer.t, optimizer.epoch) == (int(WRITTEN["t"]), int(WRITTEN["epoch"]))
    for key, value in WRITTEN.items():
        path, _, slot = key.rpartition("/")
        if path:
            np.testing.assert_array_equal(optimizer._states[f"/{path}"][slot], value)
    rest = CONTINUED["traj"][optimizer.t :]
    rows = continued(optimizer, gradients_of("open", "float32"), len(rest) - 1)
    np.testing.assert_array_equal(rows, rest)
    assert optimizer.t == len(CONTINUED["traj"]) - 1
    for slot in ("m", "v"):
        np.testing.assert_array_equal(flat_state(optimizer, slot), CONTINUED[f"state:{slot}"])


def test_what_serialize_writes_has_the_names_and_values_of_the_file():
    optimizer = adam_at_the_break()
    through_serialize(optimizer)
    written = {}
    Serializer(written).save(optimizer)
    assert written.keys() == WRITTEN.keys()
    for key, value in WRITTEN.items():
        np.testing.assert_array_equal(written[key], value)


@pytest.mark.parametrize("key", sorted(WRITTEN))
def test_a_file_that_lacks_a_value_is_a_key_error_that_names_it_and_nothing_is_half_loaded(key):
    optimizer = adam_at_the_break()
    optimizer.apply_gradients({"s": np.ones(1, np.float32)})
    before, present = {}, {}
    Serializer(before).save(optimizer)
    incomplete = {name: value for name, value in WRITTEN.items() if name != key}
    with pytest.raises(KeyError, match=key):
        Deserializer(incomplete).load(optimizer)
    Serializer(present).save(optimizer)
    assert all(np.array_equal(before[name], present[name]) for name in before)
