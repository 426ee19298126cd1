"""Named defaults beside the libraries that they are named after: the same values, and the same path with these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import optax
import optax.contrib
import pytest
import torch

import optreg
from optreg.builtin_defaults import NAMED_DEFAULTS

from .references import Keras, Method, Optax, Problem, Torch, assert_same_path

GIVEN = {"lr": 0.01, "momentum": 0.8, "beta1": 0.9}
"""What is given where a library leaves it to its user."""


@attrs.frozen
class Theirs:
    """A method of a library: what makes it, the flags that make it this method, and what must be given with them."""

    call: str
    flags: dict[str, Any] = attrs.Factory(dict)
    given: tuple[str, ...] = ()


SGD_WITH_MOMENTUM = Theirs("SGD", given=("momentum",))
NESTEROV = Theirs("SGD", {"nesterov": True}, given=("momentum",))
CENTERED = {"centered": True}

TORCH = {
    "sgd": Theirs("SGD"),
    "momentum_sgd": SGD_WITH_MOMENTUM,
    "nesterov_ag": NESTEROV,
    "adagrad": Theirs("Adagrad"),
    "adadelta": Theirs("Adadelta"),
    "rmsprop": Theirs("RMSprop"),
    "adam": Theirs("Adam"),
    "adamw": Theirs("AdamW"),
    "amsgrad": Theirs("Adam", {"amsgrad": True}),
    "adamax": Theirs("Adamax"),
    "nadam": Theirs("NAdam"),
    "radam": Theirs("RAdam"),
    "rprop": Theirs("Rprop"),
    "asgd": Theirs("ASGD"),
    "adafactor": Theirs("Adafactor"),
}
OPTAX = {
    "sgd": Theirs("sgd"),
    "momentum_sgd": Theirs("sgd", given=("momentum",)),
    "nesterov_ag": Theirs("sgd", {"nesterov": True}, given=("momentum",)),
    "adadelta": Theirs("adadelta", given=("lr",)),  # its None leaves out even the sign
    "rmsprop_graves": Theirs("rmsprop", CENTERED, given=("momentum",)),
    "adam": Theirs("adam"),
    "adamw": Theirs("adamw"),
    "adamax": Theirs("adamax"),
    "adabelief": Theirs("adabelief"),
    "yogi": Theirs("yogi"),
    "lion": Theirs("lion"),
    "signsgd": Theirs("sign_sgd"),
    "signum": Theirs("signum"),
    "ademamix": Theirs("contrib.ademamix"),
    "adopt": Theirs("contrib.adopt"),
    "lars": Theirs("lars"),
    "lamb": Theirs("lamb"),
    "schedule_free_sgd": Theirs("contrib.schedule_free_sgd"),
    "schedule_free_adamw": Theirs("contrib.schedule_free_adamw"),
}
KERAS = {
    "sgd": Theirs("SGD"),
    "momentum_sgd": SGD_WITH_MOMENTUM,
    "nesterov_ag": NESTEROV,
    "adadelta": Theirs("Adadelta"),
    "rmsprop_graves": Theirs("RMSprop", CENTERED, given=("momentum",)),
    "adam": Theirs("Adam"),
    "adamw": Theirs("AdamW"),
    "amsgrad": Theirs("Adam", {"amsgrad": True}),
    "nadam": Theirs("Nadam"),
    "lion": Theirs("Lion"),
    "lamb": Theirs("Lamb"),
    "schedule_free_adamw": Theirs("ScheduleFreeAdamW"),
}
THEIRS = {"torch": TORCH, "optax": OPTAX, "keras": KERAS}
CASES = [(library, name) for library, methods in THEIRS.items() for name in methods]
each_method = pytest.mark.parametrize(("library", "name"), CASES)

OURS = {
    "learning_rate": "lr",
    "b1": "beta1",
    "b2": "beta2",
    "b3": "beta3",
    "beta_1": "beta1",
    "beta_2": "beta2",
    "betas[0]": "beta1",
    "betas[1]": "beta2",
    "epsilon": "eps",
    "eps[0]": "eps1",
    "eps[1]": "eps2",
    "etas[0]": "eta_minus",
    "etas[1]": "eta_plus",
    "step_sizes[0]": "min_step",
    "step_sizes[1]": "max_step",
    "trust_coefficient": "trust",
    "use_clipping": "clip",
}
"""Our names of their hyperparameters, where these differ in every method."""

OURS_OF = {
    ("keras", "rmsprop_graves"): {"rho": "alpha"},
    ("optax", "rmsprop_graves"): {"decay": "alpha"},
    ("optax", "signum"): {"beta": "momentum"},
    ("optax", "schedule_free_sgd"): {"b1": "momentum"},
}
"""Where they differ in one method only."""

WITHOUT = {"momentum": None, "eps1": None, "weight_decay": 0.0, "warmup_steps": 0}
"""What their None, or a momentum of zero, means."""


@pytest.fixture(scope="module", autouse=True)
def keras(tmp_path_factory):
    """Keras, working with NumPy; it writes a file of settings when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "numpy")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        return pytest.importorskip("keras")


def made_by(library: str, name: str) -> Callable[..., Any]:
    found = {"torch": torch.optim, "optax": optax, "keras": pytest.importorskip("keras").optimizers}[library]
    for part in THEIRS[library][name].call.split("."):
        found = getattr(found, part)
    return found


def their_defaults(library: str, name: str) -> Iterator[tuple[str, str, Any]]:
    """Our name, their name, and their default, of every hyperparameter of theirs, pairs taken apart."""
    names = OURS | OURS_OF.get((library, name), {})
    for argument in inspect.signature(made_by(library, name)).parameters.values():
        parts = {argument.name: argument.default}
        if isinstance(argument.default, tuple):
            parts = {f"{argument.name}[{place}]": each for place, each in enumerate(argument.default)}
        for part, default in parts.items():
            yield names.get(part, part), part, default


@each_method
def test_the_values_are_the_defaults_of_the_library(library, name):
    theirs, values = THEIRS[library][name], NAMED_DEFAULTS[name][library].values
    known = {each.name for each in optreg.info(name).hyperparameters if not each.is_common}
    for ours, _, default in their_defaults(library, name):
        if ours not in known:
            continue
        if default is inspect.Parameter.empty or ours in theirs.given:
            assert ours not in values, f"{library} has no default for it"
        elif default is None or (ours == "momentum" and default == 0):
            assert values[ours] == WITHOUT[ours]
        else:
            assert values[ours] == default, ours


# Keras looks into its own variables in a way that NumPy is about to forbid.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@each_method
def test_ten_steps_are_those_of_the_library_as_it_is_without_arguments(library, name):
    named = NAMED_DEFAULTS[name][library]
    known = [each.name for each in optreg.info(name).hyperparameters if not each.is_common]
    given = {each: GIVEN[each] for each in known if each not in named.values}
    if "√v" in named.differs:
        given["eps"] = 1e-2  # large enough to be seen in float32
    optimizer = optreg.create(name, defaults=library, **given)
    if "√v" in named.differs:
        optimizer.eps = lambda t: 1e-2 / (1 - optimizer.beta2**t) ** 0.5
    arguments = {part: given[ours] for ours, part, _ in their_defaults(library, name) if ours in given}
    theirs = reference(library, made_by(library, name), THEIRS[library][name].flags | arguments)
    assert_same_path(optimizer, theirs, Problem("closed", "float32" if library == "keras" else "float64", 10))


def reference(library: str, make: Callable[..., Any], arguments: dict[str, Any]) -> Method:
    if library == "torch":
        return Torch(lambda params: make(params, **arguments))
    return Optax(make(**arguments)) if library == "optax" else Keras(lambda: make(**arguments))


def test_all_defaults_of_libraries_that_can_be_installed_are_compared():
    named = {(library, name) for name, each in NAMED_DEFAULTS.items() for library in each}
    assert {(library, name) for library, name in named if library in THEIRS} == set(CASES)
