from __future__ import annotations

import json

import numpy as np
import pytest

import optreg
from optreg.errors import (
    ConfigError,
    HyperparameterError,
    NameTakenError,
    PatternError,
    PluginError,
    UnknownHyperparameterError,
)
from optreg.schedules import Cosine


def hook_names_of(optimizer: optreg.Optimizer) -> list[str]:
    return list(optimizer._hooks)


def test_hyperparameters_hooks_and_options_arrive():
    optimizer = optreg.create(
        "adamw",
        lr=3e-4,
        hooks=[("gradient_clipping", {"threshold": 1.0}), {"name": "weight_decay", "rate": 1e-3}, "skip_nonfinite"],
        options={"*/b": {"weight_decay": 0.0}},
    )
    assert type(optimizer) is optreg.get("adamw")
    assert optimizer.lr == 3e-4
    assert hook_names_of(optimizer) == ["gradient_clipping", "weight_decay", "skip_nonfinite"]
    assert optimizer._hooks["weight_decay"].rate == 1e-3
    assert optimizer.options == {"*/b": {"weight_decay": 0.0}}


def test_a_hook_may_be_an_object_or_a_function():
    def halve(optimizer):
        for _, parameter in optimizer.target.namedparams():
            parameter.grad *= 0.5

    decay = optreg.WeightDecay(1e-3)
    optimizer = optreg.create("sgd", lr=1.0, hooks=[halve, decay])
    assert list(optimizer._hooks.values()) == [halve, decay]
    w = np.array([0.0])
    optimizer.setup({"w": w}).apply_gradients({"w": np.array([1.0])})
    np.testing.assert_allclose(w, [-0.5])


CONFIG = {
    "name": "adamw",
    "lr": {"schedule": "cosine", "initial": 0.001, "steps": 100, "final": 0.0},
    "beta1": 0.8,
    "hooks": [{"name": "weight_decay", "rate": 0.0001}, {"name": "lasso", "rate": 0.5, "as": "mine"}],
    "options": {"*/b": {"weight_decay": 0.0}},
}

TOML = """
name = "adamw"
beta1 = 0.8

[lr]
schedule = "cosine"
initial = 0.001
steps = 100
final = 0.0

[[hooks]]
name = "weight_decay"
rate = 0.0001

[[hooks]]
name = "lasso"
rate = 0.5
as = "mine"

[options."*/b"]
weight_decay = 0.0
"""


@pytest.mark.parametrize("written", [CONFIG, json.dumps(CONFIG), "\n  " + json.dumps(CONFIG, indent=2), TOML])
def test_a_configuration_is_read_from_a_mapping_json_and_toml(written):
    optimizer = optreg.create(written)
    assert optimizer.lr == Cosine(initial=0.001, steps=100)
    assert optimizer.beta1 == 0.8
    assert hook_names_of(optimizer) == ["weight_decay", "mine"]
    assert optimizer._hooks["mine"].rate == 0.5
    assert optimizer.options == {"*/b": {"weight_decay": 0.0}}


@pytest.mark.parametrize("name", optreg.names("optreg/*"))
def test_what_config_returns_makes_the_same_optimizer_again(name):
    config = optreg.create(name, hooks=[("gradient_clipping", {"threshold": 2.0})]).config()
    again = optreg.create(json.loads(json.dumps(config)))
    assert type(again) is optreg.get(name)
    assert again.config() == config


def test_a_configuration_is_not_changed():
    before = json.dumps(CONFIG)
    optreg.create(CONFIG, lr=0.5)
    assert json.dumps(CONFIG) == before


def test_arguments_override_the_configuration():
    optimizer = optreg.create(CONFIG, lr=0.5, hooks=["skip_nonfinite"], options={"*/W": {"lr": 0.1}})
    assert (optimizer.lr, optimizer.beta1) == (0.5, 0.8)
    assert hook_names_of(optimizer) == ["skip_nonfinite"]
    assert optimizer.options == {"*/W": {"lr": 0.1}}


def test_an_empty_list_of_hooks_overrides_those_of_the_configuration():
    optimizer = optreg.create(CONFIG, hooks=[], options={})
    assert hook_names_of(optimizer) == []
    assert optimizer.options == {}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"lr": 0.1}, "needs the optimizer's name"),
        ({"name": 3}, "needs the optimizer's name.* 3"),
        ({"name": "adam", 3: 4}, "keys of a configuration must be texts"),
        ('{"name": "adam"', "not JSON: "),
        ("name = = adam", "not TOML: "),
        (3, "not int"),
        (None, "not NoneType"),
        ({"name": "adam", "hooks": "lasso"}, "hooks must be a list"),
        ({"name": "adam", "hooks": [["lasso", 0.5]]}, "a hook is written as"),
        ({"name": "adam", "hooks": [{"rate": 0.5}]}, "a hook is written as"),
        ({"name": "adam", "options": [1]}, "options must be hyperparameters by path pattern"),
    ],
)
def test_what_cannot_be_read_is_told(written, message):
    with pytest.raises(ConfigError, match=message):
        optreg.create(written)


def test_an_unknown_hyperparameter_is_told_with_a_suggestion():
    with pytest.raises(UnknownHyperparameterError, match="Adam has no hyperparameter 'beta3'; it has: lr, beta1"):
        optreg.create("adam", beta3=0.5)
    with pytest.raises(TypeError, match="Did you mean 'weight_decay'"):
        optreg.create({"name": "adamw", "weight_decey": 0.5})


def test_a_value_out_of_range_is_told_with_field_value_and_bound():
    with pytest.raises(HyperparameterError, match=r"Adam: beta1 must be a number >= 0 and < 1.* 1\.5"):
        optreg.create("adam", beta1=1.5)


def test_an_unknown_hyperparameter_in_the_options_is_told():
    with pytest.raises(UnknownHyperparameterError, match="'momentum'"):
        optreg.create("adam", options={"*/b": {"momentum": 0.5}})


def test_a_pattern_of_the_options_that_matches_nothing_is_told_at_setup():
    optimizer = optreg.create("adam", options={"*/b": {"lr": 0.5}})
    with pytest.raises(PatternError):
        optimizer.setup({"w": np.zeros(3)})


def test_an_unknown_argument_of_a_hook_is_told():
    with pytest.raises(
        UnknownHyperparameterError, match=r"WeightDecay has no hyperparameter 'rat'.*Did you mean 'rate'"
    ):
        optreg.create("adam", hooks=[("weight_decay", {"rat": 1e-4})])


@pytest.mark.parametrize("make", [lambda: optreg.create("adam", hooks=["lasso"]), lambda: optreg.create_hook("lasso")])
def test_a_missing_argument_of_a_hook_is_told(make):
    with pytest.raises(HyperparameterError, match=r"lasso needs a value for rate: give rate=\.\.\."):
        make()


class Plain:
    """A class that declares nothing: its hyperparameters are the arguments of __init__."""

    def __init__(self, lr, momentum, nesterov=False):
        if nesterov == "impossible":
            raise TypeError("nesterov is impossible")
        self.lr, self.momentum = lr, momentum

    def setup(self, target): ...

    def update(self, lossfun=None): ...


def test_missing_hyperparameters_of_a_plain_class_are_told():
    with optreg.temporary():
        optreg.register("my/plain", Plain)
        assert optreg.create("my/plain", lr=1, momentum=2).momentum == 2
        with pytest.raises(HyperparameterError, match=r"my/plain needs a value for lr and momentum: give lr=\.\.\."):
            optreg.create("my/plain")
        with pytest.raises(UnknownHyperparameterError, match="Plain has no hyperparameter 'beta'"):
            optreg.create("my/plain", beta=2)


def test_an_error_of_the_class_itself_is_left_as_it_is():
    with optreg.temporary():
        optreg.register("my/plain", Plain)
        with pytest.raises(TypeError, match=r"^nesterov is impossible$"):
            optreg.create("my/plain", lr=1, momentum=2, nesterov="impossible")


STABLE = """
    import optreg

    @optreg.hookimpl
    def optreg_hooks():
        return [
            optreg.HookSpec("centralize", "stable_hooks:Centralize", "Take the mean away."),
            optreg.HookSpec("note", "stable_hooks:note", "A function."),
            optreg.HookSpec("no_hook", "stable_hooks:Nothing", "Not callable."),
        ]

    @optreg.hookimpl
    def optreg_hook_sets():
        return [
            optreg.HookSetSpec("base", ["skip_nonfinite", ("centralize", {"scale": 0.5})], "The usual."),
            optreg.HookSetSpec(
                "strict", [("gradient_clipping", {"threshold": 1.0}), "stable/note"], extends=["base"]
            ),
            optreg.HookSetSpec("chicken", ["note"], extends=["egg"]),
            optreg.HookSetSpec("egg", ["note"], extends=["stable/chicken"]),
            optreg.HookSetSpec("orphan", ["not_there"]),
        ]
"""

STABLE_HOOKS = """
    class Centralize:
        def __init__(self, scale=1.0):
            self.scale = scale

        def __call__(self, optimizer): ...

    class Nothing: ...

    def note(optimizer): ...
"""


@pytest.fixture
def stable(site):
    site.install("stable", "3.1", {"stable": "stable"}, {"stable": STABLE, "stable_hooks": STABLE_HOOKS})
    return site


def test_a_hook_set_is_its_hooks_in_order_with_their_arguments(stable):
    from optreg.registry import hook_set

    assert hook_set("stable/strict") == [
        ("skip_nonfinite", {}),
        ("stable/centralize", {"scale": 0.5}),
        ("gradient_clipping", {"threshold": 1.0}),
        ("stable/note", {}),
    ]


def test_create_takes_a_hook_set_among_hooks(stable):
    optimizer = optreg.create("sgd", hooks=[("weight_decay", {"rate": 0.1}), "stable/strict"])
    assert hook_names_of(optimizer) == [
        "weight_decay",
        "skip_nonfinite",
        "stable/centralize",
        "gradient_clipping",
        "stable/note",
    ]
    assert optimizer._hooks["stable/centralize"].scale == 0.5


def test_hook_sets_that_extend_each_other_in_a_circle_are_told(stable):
    with pytest.raises(PluginError, match="in a circle: stable/chicken → stable/egg → stable/chicken"):
        optreg.create("sgd", hooks=["stable/chicken"])


def test_a_hook_set_of_an_unknown_hook_is_told(stable):
    with pytest.raises(LookupError, match="no built-in hook 'not_there'"):
        optreg.create("sgd", hooks=["stable/orphan"])


def test_add_hook_takes_a_hook_set_as_well(stable):
    optimizer = optreg.create("sgd")
    optimizer.add_hook("stable/strict")
    assert hook_names_of(optimizer) == hook_names_of(optreg.create("sgd", hooks=["stable/strict"]))


def test_of_a_hook_set_that_does_not_fit_no_hook_is_added(stable):
    optimizer = optreg.create("sgd", hooks=[("gradient_clipping", {"threshold": 2.0})])
    with pytest.raises(NameTakenError, match="the hook gradient_clipping already exists"):
        optimizer.add_hook("stable/strict")
    assert hook_names_of(optimizer) == ["gradient_clipping"]


def test_a_set_that_is_extended_twice_counts_once(stable):
    optreg.register(optreg.HookSetSpec("left", ["lasso"], "", ["stable/base"]), namespace="my")
    optreg.register(optreg.HookSetSpec("both", [], "", ["left", "stable/strict", "left"]), namespace="my")
    names = [name for name, _ in optreg.registry.hook_set("my/both")]
    assert names == ["skip_nonfinite", "stable/centralize", "lasso", "gradient_clipping", "stable/note"]


@pytest.mark.parametrize(
    "add",
    [
        lambda optimizer: optimizer.add_hook("stable/base", "mine"),
        lambda optimizer: optreg.create("sgd", hooks=[{"name": "stable/base", "as": "mine"}]),
    ],
    ids=["add_hook", "create"],
)
def test_a_hook_set_cannot_be_known_by_another_name(stable, add):
    with pytest.raises(
        UnknownHyperparameterError, match="cannot be known as 'mine': its hooks keep names of their own"
    ):
        add(optreg.create("sgd"))


class Foreign:
    """An optimizer of another library: with setup() and update(), and nothing else of optreg's."""

    def setup(self, target): ...

    def update(self): ...


@pytest.mark.parametrize(("what", "given"), [("options", {"*": {"lr": 0.5}}), ("hooks", ["skip_nonfinite"])])
def test_a_class_that_has_neither_options_nor_hooks_says_so(site, what, given):
    optreg.register("my/foreign", Foreign)
    assert isinstance(optreg.create("my/foreign"), Foreign)
    with pytest.raises(UnknownHyperparameterError, match=f"my/foreign takes no {what}: its class Foreign"):
        optreg.create("my/foreign", **{what: given})


def test_a_hook_set_takes_no_arguments(stable):
    with pytest.raises(UnknownHyperparameterError, match=r"the hook set stable/base takes no arguments.*scale"):
        optreg.create("sgd", hooks=[("stable/base", {"scale": 2})])


def test_a_hook_that_is_a_function_is_used_as_it_is_and_takes_no_arguments(stable):
    import stable_hooks

    assert optreg.create_hook("stable/note") is stable_hooks.note
    with pytest.raises(UnknownHyperparameterError, match="stable/note is a function and takes no arguments, but rate"):
        optreg.create_hook("stable/note", rate=1)


def test_a_hook_that_cannot_be_called_is_told(stable):
    with pytest.raises(PluginError, match=r"stable/no_hook is not a hook: stable 3\.1 declares it"):
        optreg.create_hook("stable/no_hook")
