"""The paths that Chainer 1.24.0 walked, number for number."""

from __future__ import annotations

import numpy as np
import pytest
from golden import CASES, NUMBERS, PROBLEM, SHAPES, gradients_of, nested, trajectory
from serializers import written
from written_for_chainer import AdamByProperty, MomentumByDevice, NesterovByParameter

import optreg

NAMES = {
    "SGD": "chainer/sgd",
    "MomentumSGD": "chainer/momentum_sgd",
    "NesterovAG": "chainer/nesterov_ag",
    "AdaGrad": "chainer/adagrad",
    "AdaDelta": "chainer/adadelta",
    "RMSprop": "chainer/rmsprop",
    "RMSpropGraves": "chainer/rmsprop_graves",
    "Adam": "chainer/adam",
    "SMORMS3": "chainer/smorms3",
}


def identified(cases):
    return pytest.mark.parametrize("case", cases, ids=[case["id"] for case in cases])


def with_hooks(optimizer, case):
    for name, arguments in case["hooks"]:
        optimizer.add_hook(getattr(optreg, name)(*arguments))
    return optimizer


def check(optimizer, case):
    """Run the case with the optimizer; compare every step's parameters, and the states at the end."""
    dtype = case["dtype"]
    rows = trajectory(with_hooks(optimizer, case), gradients_of(case["mode"], dtype), PROBLEM["p0"].astype(dtype))
    assert rows.dtype == dtype
    np.testing.assert_allclose(rows, NUMBERS[case["traj"]], rtol=0, atol=case["atol"])
    states = written(optimizer)
    for key, recorded in case["states"].items():
        state = np.concatenate([np.ravel(states[f"{path.strip('/')}/{key}"]) for path in SHAPES])
        assert state.dtype == dtype
        # Some states are far larger than one, where a float32 is coarser than the tolerance.
        np.testing.assert_allclose(state, NUMBERS[recorded], rtol=case["atol"], atol=case["atol"])
    assert (optimizer.t, optimizer.epoch) == (case["t"], case["epoch"])


def test_the_record_covers_nine_methods_under_six_sets_of_hooks():
    assert len(CASES) == 135
    assert {case["optimizer"] for case in CASES} == NAMES.keys()
    assert len({case["hooks_name"] for case in CASES}) == 6


@identified(CASES)
def test_parameters_and_states_are_those_of_chainer(case):
    check(optreg.create(NAMES[case["optimizer"]], **case["hyperparams"]), case)


WITH_TWO_HOOKS = [case for case in CASES if case["hooks_name"] == "clip+wd"]


@identified(WITH_TWO_HOOKS)
def test_the_path_is_the_same_through_update_with_a_loss_function(case):
    dtype = case["dtype"]
    gradients = gradients_of(case["mode"], dtype)
    optimizer = with_hooks(optreg.create(NAMES[case["optimizer"]], **case["hyperparams"]), case)
    optimizer.setup(nested(PROBLEM["p0"].astype(dtype)))

    def parameters():
        return np.concatenate([np.ravel(param.data) for param in optimizer.target.params()])

    for step in range(case["t"]):
        optimizer.update(lambda step: (0.0, nested(gradients(step, parameters()))), step)
    np.testing.assert_allclose(parameters(), NUMBERS[case["traj"]][-1], rtol=0, atol=case["atol"])


SAME_FORMULA = {"SGD", "AdaGrad", "AdaDelta", "RMSprop", "RMSpropGraves", "SMORMS3"}


@identified([case for case in WITH_TWO_HOOKS if case["optimizer"] in SAME_FORMULA])
def test_the_built_ins_with_the_defaults_of_chainer_walk_its_paths_as_well(case):
    name = NAMES[case["optimizer"]].removeprefix("chainer/")
    check(optreg.create(name, defaults="chainer", **case["hyperparams"]), case)


@identified([case for case in CASES if case["id"].startswith(("Adam/default/none", "MomentumSGD/default/none"))])
def test_what_the_defaults_of_chainer_say_is_different_is_all_that_is(case):
    dtype = case["dtype"]
    optimizer = optreg.create(NAMES[case["optimizer"]].removeprefix("chainer/"), defaults="chainer")
    if case["optimizer"] == "Adam":
        eps = optimizer.eps
        optimizer.eps = lambda t: eps / (1 - optimizer.beta2**t) ** 0.5
    rows = trajectory(optimizer, gradients_of(case["mode"], dtype), PROBLEM["p0"].astype(dtype))
    np.testing.assert_allclose(rows, NUMBERS[case["traj"]], rtol=0, atol=case["atol"])


def test_the_defaults_of_chainer_are_those_of_its_methods():
    built_in = [name for name in optreg.names("optreg/*") if "chainer" in optreg.info(name).defaults]
    assert {f"chainer/{name}" for name in built_in} == set(NAMES.values()) - {"chainer/nesterov_ag"}
    for name in built_in:
        own = optreg.create(f"chainer/{name}").config()
        own["lr"] = own.pop("alpha") if name == "adam" else own.get("lr", 1.0)
        named = optreg.create(name, defaults="chainer").config()
        assert own.items() - {("name", f"chainer/{name}")} <= named.items(), name


WRITTEN_FOR_CHAINER = {"Adam": AdamByProperty, "MomentumSGD": MomentumByDevice, "NesterovAG": NesterovByParameter}


# Chainer wrote its rate with math.sqrt, which the compiling backend says it leaves to NumPy.
@pytest.mark.filterwarnings("ignore:the rule of AdamByProperty cannot be compiled:RuntimeWarning")
@identified([case for case in CASES if case["optimizer"] in WRITTEN_FOR_CHAINER])
def test_classes_that_were_written_for_chainer_walk_its_paths_unchanged(case):
    check(WRITTEN_FOR_CHAINER[case["optimizer"]](**case["hyperparams"]), case)
