"""``create(..., defaults="torch")``: the defaults of others, in their place among what else is given."""

from __future__ import annotations

import json
import pickle

import attrs
import pytest

import optreg
from optreg import NamedDefaults, OptimizerSpec
from optreg.errors import ConfigError, HyperparameterError, PluginError, UnknownNameError
from optreg.hyperparameters import positive

KERAS = {"name": "adamw", "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7, "weight_decay": 4e-3}


@attrs.define(eq=False)
class Plain(optreg.GradientMethod):
    """A step down the gradient."""

    lr: float = positive(0.5)
    eps: float = positive(1e-8)

    def rule(self, param, grad):
        param -= self.lr * grad


@pytest.fixture
def acme():
    named = {"theirs": NamedDefaults({"lr": 0.25}, source="acme 2.0", differs="nothing is the same")}
    with optreg.temporary():
        optreg.register(OptimizerSpec("plain", f"{__name__}:Plain", "Plain.", defaults=named), namespace="acme")
        yield


def test_the_defaults_of_others_take_the_place_of_our_own():
    assert optreg.create("adamw", defaults="keras").config() == KERAS


def test_what_is_given_overrides_them_and_they_override_nothing():
    assert optreg.create("adamw", defaults="keras", lr=0.1).config() == KERAS | {"lr": 0.1}
    assert optreg.create({"name": "adamw", "eps": 1e-6}, defaults="keras").config() == KERAS | {"eps": 1e-6}


def test_a_configuration_may_name_them():
    written = {"name": "adamw", "defaults": "keras", "lr": 0.1}
    assert optreg.create(json.dumps(written)).config() == KERAS | {"lr": 0.1}
    assert optreg.create(written, defaults="torch").config()["weight_decay"] == 0.01


def test_the_configuration_has_their_values_not_their_name():
    config = optreg.create("lion", defaults="optax", lr=0.1, master_weights=True).config()
    assert optreg.create(config).config() == config
    assert "defaults" not in config


def test_what_has_no_default_there_must_be_given():
    with pytest.raises(HyperparameterError) as caught:
        optreg.create("lion", defaults="paper")
    assert str(caught.value) == (
        "lion with the defaults 'paper' needs a value for lr and weight_decay: give lr=..., weight_decay=..."
    )


@pytest.mark.parametrize("name", ["kears", "", 3, ["torch", "optax"]])
def test_unknown_defaults_are_an_error_that_lists_those_that_there_are(name):
    with pytest.raises(UnknownNameError) as caught:
        optreg.create("adamw", defaults=name)
    assert f"adamw has no defaults {name!r}; it has 'torch', 'optax', 'keras', 'paper'." in str(caught.value)
    assert ("Did you mean 'keras'?" in str(caught.value)) == (name == "kears")


def test_where_there_are_none_the_error_says_so():
    with pytest.raises(UnknownNameError, match="msvag has no defaults 'torch'; it has only its own"):
        optreg.create("msvag", defaults="torch")


@pytest.mark.usefixtures("acme")
def test_a_package_has_defaults_of_its_own_naming():
    assert optreg.create("acme/plain", defaults="theirs", eps=1.0).lr == 0.25
    with pytest.raises(HyperparameterError, match="acme/plain with the defaults 'theirs' needs a value for eps"):
        optreg.create("acme/plain", defaults="theirs")
    assert optreg.info("acme/plain").defaults["theirs"].source == "acme 2.0"


def test_an_optimizer_whose_argument_is_called_defaults_cannot_be_written_down():
    class Odd(optreg.GradientMethod):
        """Has an argument that means something else."""

        def __init__(self, defaults=1):
            self.defaults = defaults

        def update_one(self, param, state):
            pass

    with optreg.temporary():
        optreg.register("acme/odd", Odd)
        with pytest.raises(ConfigError, match="argument 'defaults', which means something else"):
            optreg.create("acme/odd").config()


@pytest.mark.parametrize("defaults", [{"torch": {"lr": 0.1}}, {"Torch": NamedDefaults({})}, ["torch"], None])
def test_a_declaration_takes_nothing_else(defaults):
    with pytest.raises(PluginError, match="OptimizerSpec 'plain': defaults must be a dict of NamedDefaults"):
        OptimizerSpec("plain", "acme:Plain", "Plain.", defaults=defaults)


@pytest.mark.parametrize("arguments", [{"values": [0.1]}, {"values": {1: 0.1}}, {"values": {}, "source": "a\nb"}])
def test_named_defaults_of_anything_else_are_refused(arguments):
    with pytest.raises(PluginError, match=r"NamedDefaults: (values|source) must be"):
        NamedDefaults(**arguments)


def test_a_declaration_with_defaults_can_be_hashed_and_pickled():
    spec = OptimizerSpec("plain", "acme:Plain", "Plain.", defaults={"torch": NamedDefaults({"lr": 0.1})})
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert hash(spec) == hash(OptimizerSpec("plain", "acme:Plain", "Plain."))
