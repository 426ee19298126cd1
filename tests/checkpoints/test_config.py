"""``config()``: an optimizer as plain data, from which ``create()`` makes the same one again."""

from __future__ import annotations

import functools
import json
import tomllib

import attrs
import numpy as np
import pytest

import optreg
from optreg import schedules
from optreg.hyperparameters import positive

from .others import Averaging, Halving
from .runs import contents, new_parameters, run
from .test_resuming import ARGUMENTS, BUILTIN_HOOKS, BUILTINS, HOOK_ARGUMENTS


def again(optimizer):
    """Through JSON text and back."""
    text = json.dumps(optimizer.config(), allow_nan=False)
    made = optreg.create(text)
    assert made.config() == optreg.create(json.loads(text)).config() == optimizer.config()
    assert type(made) is type(optimizer)
    return made


def assert_runs_alike(one, other):
    assert contents(run(one.setup(new_parameters()), 4)) == contents(run(other.setup(new_parameters()), 4))


def changed(name):
    """Every hyperparameter of a method with another value than its default."""
    values = {}
    for each in optreg.info(name).hyperparameters:
        if isinstance(each.default, bool):
            values[each.name] = not each.default
        elif isinstance(each.default, float):
            values[each.name] = each.default * 0.75 if each.default else 0.125
        elif isinstance(each.default, int):
            values[each.name] = each.default + 1
    bounded = {"eta_plus": 1.5, "max_step": 20.0, "d": 1.5}
    return values | {name: value for name, value in bounded.items() if name in values}


@pytest.mark.parametrize("name", BUILTINS)
def test_every_built_in_optimizer_with_its_defaults(name):
    optimizer = optreg.create(name)
    assert optimizer.config()["name"] == name
    assert_runs_alike(again(optimizer), optimizer)


@pytest.mark.parametrize("name", BUILTINS)
def test_every_built_in_optimizer_with_other_values_options_schedules_and_hooks(name):
    options = {"*/b": {"lr": 0.25}, "/l1/*": changed(name) | {"lr": schedules.Step(initial=0.1, every=2)}}
    optimizer = optreg.create(
        name,
        **changed(name) | {"lr": schedules.LinearWarmup(steps=2, then=schedules.Cosine(initial=0.1, steps=5))},
        hooks=[*HOOK_ARGUMENTS.items()],
        options=None if name == "lbfgs" else options,  # which has one line for all parameters
    )
    config = optimizer.config()
    for key, value in changed(name).items():
        assert key == "lr" or config[key] == value
    assert_runs_alike(again(optimizer), optimizer)


def test_a_config_says_everything_in_plain_words():
    optimizer = optreg.create("adamw", lr=schedules.Step(initial=0.1, every=5), options={"*/b": {"weight_decay": 0}})
    optimizer.add_hook("weight_decay", rate=np.float32(0.5))
    optimizer.add_hook(optreg.GradientClipping(1), "clip")
    assert optimizer.config() == {
        "name": "adamw",
        "lr": {"schedule": "step", "initial": 0.1, "every": 5, "factor": 0.1},
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "weight_decay": 0.01,
        "hooks": [
            {"name": "weight_decay", "rate": 0.5},
            {"name": "gradient_clipping", "threshold": 1.0, "as": "clip"},
        ],
        "options": {"*/b": {"weight_decay": 0.0}},
    }


def test_a_config_is_read_from_toml_text():
    text = """
        name = "adamw"
        lr = { schedule = "linear_warmup", steps = 10, then = { schedule = "cosine", initial = 0.1, steps = 90 } }
        weight_decay = 0.0

        [[hooks]]
        name = "gradient_noise"
        eta = 0.5
        seed = 3

        [[hooks]]
        name = "weight_decay"
        rate = 1e-4
        as = "decay"

        [options."*/b"]
        weight_decay = 0.5
        lr = { schedule = "constant", value = 0.25 }
    """
    optimizer = optreg.create(text)
    config = optimizer.config()
    assert config["lr"] == tomllib.loads(text)["lr"] | {
        "then": {"schedule": "cosine", "initial": 0.1, "steps": 90, "final": 0.0}
    }
    assert config["hooks"] == [
        {"name": "gradient_noise", "eta": 0.5, "seed": 3},
        {"name": "weight_decay", "rate": 1e-4, "as": "decay"},
    ]
    assert config["options"] == tomllib.loads(text)["options"]
    assert_runs_alike(again(optimizer), optimizer)


def test_hooks_keep_the_names_that_they_are_known_by():
    optimizer = optreg.create("sgd")
    optimizer.add_hook("weight_decay", rate=0.1)
    optimizer.add_hook("weight_decay", "second", rate=0.2)
    optimizer.add_hook(optreg.WeightDecay(0.3))
    assert list(again(optimizer)._hooks) == ["weight_decay", "second", "WeightDecay"]


@pytest.mark.parametrize("hook", BUILTIN_HOOKS)
def test_every_built_in_hook_is_written_down(hook):
    optimizer = optreg.create("adam")
    optimizer.add_hook(hook, **ARGUMENTS.get(hook, {}))
    assert optimizer.config()["hooks"][0]["name"] == hook
    assert_runs_alike(again(optimizer), optimizer)


def test_values_changed_by_hand_are_written_down():
    optimizer = optreg.create("adam")
    optimizer.lr = 0.5
    optimizer.beta1 = Halving(0.5)
    optimizer.options = {"*": {"eps": 0.1}}
    config = again(optimizer).config()
    assert (config["lr"], config["beta1"]) == (0.5, {"schedule": "halving", "initial": 0.5})
    assert config["options"] == {"*": {"eps": 0.1}}


def test_a_config_is_made_before_and_after_setup():
    optimizer = optreg.create("adam")
    before = optimizer.config()
    assert run(optimizer.setup(new_parameters()), 3).config() == before


def test_changing_a_config_does_not_change_the_optimizer():
    optimizer = optreg.create("adam", options={"*": {"lr": 0.1}})
    config = optimizer.config()
    config["options"]["*"]["lr"] = 5
    config["lr"] = 5
    assert (optimizer.lr, optimizer.options) == (0.001, {"*": {"lr": 0.1}})


@attrs.define(eq=False)
class Mine(optreg.GradientMethod):
    """Of another package."""

    lr: float = positive(0.1)
    sizes: tuple = (1, 2)
    table: object = attrs.field(factory=dict)

    def rule(self, param, grad):
        param -= self.lr * grad


def halve(optimizer):
    for parameter in optimizer.target.params():
        parameter.grad *= 0.5


@pytest.fixture
def registered():
    with optreg.temporary():
        optreg.register("acme/mine", Mine)
        optreg.register("acme/averaging", Averaging)
        optreg.register("acme/halve", halve)
        yield


@pytest.mark.usefixtures("registered")
def test_what_other_packages_registered_is_written_by_its_full_name():
    optimizer = optreg.create("acme/mine", lr=0.2, table={"a": [1, None]}, hooks=["acme/averaging", "acme/halve"])
    assert optimizer.config() == {
        "name": "acme/mine",
        "lr": 0.2,
        "sizes": [1, 2],
        "table": {"a": [1, None]},
        "hooks": [{"name": "acme/averaging", "rate": 0.1}, {"name": "acme/halve"}],
    }
    optimizer.sizes = [1, 2]  # JSON has no tuples
    assert_runs_alike(again(optimizer), optimizer)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.int64(3), np.bool_(True)])
def test_numbers_of_numpy_become_plain_ones(number):
    config = optreg.create("acme/mine", table=[number]).config()
    assert config["table"] == [number]
    assert type(config["table"][0]) in (float, int, bool)
    json.dumps(config)


# What cannot be written down


def refused(optimizer, match):
    with pytest.raises(optreg.errors.ConfigError, match=match):
        optimizer.config()


def test_an_optimizer_without_a_name():
    refused(Mine(), r"the optimizer \(Mine\) has no registered name .*give it one with optreg.register")


def test_hooks_without_a_name():
    for hook, described in ((halve, "halve"), (Averaging(), "Averaging"), (functools.partial(halve), "partial")):
        optimizer = optreg.create("sgd")
        optimizer.add_hook(hook, "my hook")
        refused(optimizer, rf"the hook 'my hook' \({described}\) has no registered name")


@pytest.mark.parametrize(
    "schedule",
    [lambda t: 0.1, schedules.LinearWarmup(steps=2, then=lambda t: 0.1)],
    ids=["lambda", "a schedule that holds one"],
)
def test_functions_as_schedules(schedule):
    refused(optreg.create("adam", lr=schedule), r"Adam.lr is .*lambda.*use one of optreg.schedules")
    refused(optreg.create("adam", options={"*/b": {"lr": schedule}}), r"options\['\*/b'\]\['lr'\] is .*lambda")
    hooks = [("weight_decay", {"rate": schedule})]
    refused(optreg.create("adam", hooks=hooks), r"WeightDecay.rate is .*lambda")


def test_a_noise_of_ones_own():
    hook = optreg.GradientNoise(0.1, lambda xp, shape, dtype, hook, opt: xp.zeros(shape, dtype))
    refused(optreg.create("sgd", hooks=[hook]), r"GradientNoise.noise_func is .*lambda")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("table", [np.ones(2), object(), {1: 2}, {"a": {3}}, [print], 1j, b"bytes"])
def test_other_objects(table):
    refused(optreg.create("acme/mine", table=table), r"Mine.table.* is .*, which cannot be written down as plain data")


def test_an_argument_that_is_not_kept_in_an_attribute_of_its_name():
    class Forgetful(optreg.GradientMethod):
        def __init__(self, lr, secret=0.5):
            self.lr = lr
            self.hidden = secret

        def rule(self, param, grad):
            param -= self.lr * grad

    with optreg.temporary():
        optreg.register("acme/forgetful", Forgetful)
        refused(
            optreg.create("acme/forgetful", lr=0.1), "Forgetful does not keep its argument 'secret' in an attribute"
        )


def test_arguments_that_mean_something_else_in_a_config():
    class Known(optreg.Hook):
        def __init__(self, name="x"):
            self.name = name

        def rule(self, param, grad):
            pass

    with optreg.temporary():
        optreg.register("acme/known", Known)
        refused(optreg.create("sgd", hooks=[Known()]), r"the hook 'x' \(acme/known\) has an argument 'name'")
