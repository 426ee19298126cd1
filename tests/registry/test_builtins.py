"""The built-ins come in by the public door; everything that they declare is there."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import attrs
import click
import pytest

import optreg
import optreg.hooks
import optreg.optimizers
from optreg import lookup, registry
from optreg.declarations import KINDS
from optreg.offers import BUILTIN

REQUIRED = """
    sgd momentum_sgd nesterov_ag adagrad adadelta rmsprop rmsprop_graves smorms3 adam adamw amsgrad adamax nadam radam
    adabelief adabound yogi lion signsgd signum rprop asgd adan ademamix adopt laprop grams msvag
    lbfgs
""".split()  # noqa: SIM905 (to be read in lines)


def test_every_required_optimizer_is_there():
    assert set(REQUIRED) <= set(optreg.names("optreg/*"))


def test_every_required_hook_is_there_under_the_snake_case_of_its_class():
    assert {name: type_of(name) for name in optreg.hook_names("optreg/*")} == {
        "adaptive_gradient_clipping": "AdaptiveGradientClipping",
        "asam": "ASAM",
        "cautious": "Cautious",
        "exponential_moving_average": "ExponentialMovingAverage",
        "gradient_accumulation": "GradientAccumulation",
        "gradient_centralization": "GradientCentralization",
        "gradient_clipping": "GradientClipping",
        "gradient_hard_clipping": "GradientHardClipping",
        "gradient_noise": "GradientNoise",
        "lasso": "Lasso",
        "lookahead": "Lookahead",
        "sam": "SAM",
        "skip_nonfinite": "SkipNonfinite",
        "stochastic_weight_average": "StochasticWeightAverage",
        "weight_decay": "WeightDecay",
    }


def type_of(hook: str) -> str:
    return lookup.implementation(lookup.find("hook", hook)).__name__


def test_nothing_is_wrong_with_the_built_ins():
    assert lookup.discovery().builtin.problems == []


@pytest.mark.parametrize(
    "offer",
    [offer for kind in KINDS for offer in lookup.offers(kind, f"{BUILTIN}/*")],
    ids=lambda offer: f"{offer.spec.kind} {offer.spec.name}",
)
def test_every_built_in_has_a_target_and_a_summary(offer):
    assert isinstance(lookup.implementation(offer), click.Command if offer.spec.kind == "command" else type)
    assert offer.spec.summary.endswith(".")
    assert len(offer.spec.summary) <= 90


@pytest.mark.parametrize("name", REQUIRED)
def test_every_optimizer_names_its_paper_and_its_hyperparameters(name):
    info = optreg.info(name)
    assert info.paper
    assert attrs.has(optreg.get(name))
    assert all(not each.required and each.bound for each in info.hyperparameters)
    assert optreg.create(name).config()["name"] == name


def test_every_optimizer_and_hook_of_the_package_is_declared():
    declared = {lookup.implementation(offer) for kind in ("optimizer", "hook") for offer in lookup.offers(kind)}
    for package, base in ((optreg.optimizers, optreg.Optimizer), (optreg.hooks, optreg.Hook)):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for cls in vars(import_module(module.name)).values():
                if inspect.isclass(cls) and issubclass(cls, base) and cls.__module__ == module.name:
                    assert cls in declared, f"{cls} is not declared in optreg.builtins"


def test_the_reference_backend_is_found_by_name():
    assert registry.backend("numpy").name == "numpy"
