"""What a user may ask for, and what is refused before anything runs."""

import numpy as np
import pytest

from optreg.compare.contestants import contestants
from optreg.compare.experiment import experiment
from optreg.errors import (
    ConfigError,
    HyperparameterError,
    OptregError,
    PluginError,
    UnknownHyperparameterError,
    UnknownNameError,
)
from optreg.registry import create, names, register, temporary


def test_hyperparameters_are_read_after_a_colon():
    plain, changed = contestants(["sgd", "adam:lr=0.01,beta1=0.8"])
    assert (plain.label, plain.name, plain.hyperparameters) == ("sgd", "sgd", {})
    assert changed.label == "adam:lr=0.01,beta1=0.8"
    assert (changed.name, changed.hyperparameters) == ("adam", {"lr": 0.01, "beta1": 0.8})


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("False", False), ("1e-3", 1e-3), ("7", 7), ("none", "none"), ("x y", "x y")]
)
def test_values_are_numbers_truth_values_or_texts(text, value):
    class Takes:
        def __init__(self, thing):
            self.thing = thing

        def setup(self, target): ...

        def update(self, lossfun): ...

    with temporary():
        register("acme/takes", Takes)
        (contestant,) = contestants([f"acme/takes:thing={text}"])
    assert contestant.hyperparameters == {"thing": value}
    assert type(contestant.hyperparameters["thing"]) is type(value)


def test_a_pattern_stands_for_every_optimizer_that_it_matches():
    assert [each.name for each in contestants(["ada*"])] == names("ada*")


def test_a_learning_rate_can_be_given_by_name_or_by_label():
    one, other = contestants(["adam", "adam:beta1=0.8"], ["adam:beta1=0.8=0.5"])
    assert (one.hyperparameters, other.hyperparameters) == ({}, {"beta1": 0.8, "lr": 0.5})
    both = contestants(["adam", "adam:beta1=0.8"], ["adam=0.25"])
    assert [each.hyperparameters["lr"] for each in both] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("texts", "overrides", "error", "message"),
    [
        (["adm"], [], UnknownNameError, "Did you mean 'adam"),
        (["nothing*"], [], UnknownNameError, "no optimizer matches 'nothing*'"),
        (["adam", "adam"], [], ConfigError, "'adam' is given twice"),
        (["adam:beta=0.9"], [], UnknownHyperparameterError, "beta1"),
        (["adam:lr=-1"], [], HyperparameterError, "lr must be a number > 0"),
        (["adam:lr=fast"], [], HyperparameterError, "'fast'"),
        (["adam:lr"], [], ConfigError, "for example adam:lr=0.01,beta1=0.8"),
        (["adam:"], [], ConfigError, "for example adam:lr=0.01,beta1=0.8"),
        (["adam:lr=1,lr=2"], [], ConfigError, "'lr' twice"),
        (["adam"], ["sgd=1"], UnknownNameError, "'sgd' is not compared here"),
        (["adam"], ["adam"], ConfigError, "--lr adam=0.01"),
        (["adam"], ["adam=fast"], ConfigError, "--lr adam=0.01"),
        (["adam"], ["adam=0"], HyperparameterError, "lr must be a number > 0"),
    ],
)
def test_a_wrong_contestant_is_refused_in_a_sentence(texts, overrides, error, message):
    with pytest.raises(error) as caught:
        contestants(texts, overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_brings_its_usual_settings():
    usual = experiment("digits", ["sgd"])
    assert (usual.seeds, usual.steps, usual.batch_size, usual.target) == (3, 2000, 32, 0.95)


def test_epochs_are_counted_in_batches():
    assert experiment("digits", ["sgd"], epochs=2, batch_size=100).steps == 22


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("digits", {"steps": -5}, "steps must be at least 1, but it is -5"),
        ("digits", {"seeds": 0}, "seeds must be at least 1"),
        ("digits", {"epochs": 0}, "epochs must be at least 1"),
        ("digits", {"batch_size": 0}, "batch-size must be at least 1"),
        ("digits", {"sweep": 0}, "sweep must be at least 1"),
        ("digits", {"steps": 5, "epochs": 1}, "not both"),
        ("digits", {"target": float("nan")}, "finite"),
        ("digits", {"lr_range": (0.1, 1.0)}, "give sweep, too"),
        ("digits", {"sweep": 3, "lr_range": (1.0, 0.1)}, "LOW < HIGH"),
        ("digits", {"sweep": 3, "lr_range": (0.0, 0.1)}, "LOW < HIGH"),
        ("digits", {"evaluations": 0}, "evaluations must be at least 1"),
        ("digits", {"everybody": True}, "not both"),
        ("digits", {"packages": True}, "give all, too"),
        ("beale", {"batch_size": 8}, "no data"),
        ("beale", {"epochs": 8}, "no data"),
    ],
)
def test_a_wrong_setting_is_refused_in_a_sentence(task, settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        experiment(task, ["sgd"], **settings)
    assert "\n" not in str(caught.value)


def test_no_optimizer_at_all_is_refused():
    with pytest.raises(ConfigError, match="at least one optimizer"):
        experiment("digits", [])


def test_an_unknown_task_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="digits"):
        experiment("digit", ["sgd"])


def test_what_is_declared_as_a_task_but_is_none_is_refused():
    from optreg.declarations import TaskSpec

    with temporary():
        register(TaskSpec("queue", "collections:deque"), namespace="acme")
        with pytest.raises(PluginError, match="not a subclass"):
            experiment("acme/queue", ["sgd"])


def test_a_sweep_is_log_spaced_around_the_usual_rate_two_decades_each_way():
    swept = experiment("digits", ["adam", "lion:lr=0.01"], sweep=5)
    adam, lion = swept.contestants
    np.testing.assert_allclose(swept.learning_rates(adam), [1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    np.testing.assert_allclose(swept.learning_rates(lion), [1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert create("adam").lr in swept.learning_rates(adam)


def test_a_sweep_of_one_is_the_usual_rate():
    swept = experiment("digits", ["adam"], sweep=1)
    assert swept.learning_rates(swept.contestants[0]) == [1e-3]


def test_a_range_says_where_a_sweep_looks():
    swept = experiment("digits", ["adam"], sweep=3, lr_range=(0.01, 1.0))
    np.testing.assert_allclose(swept.learning_rates(swept.contestants[0]), [0.01, 0.1, 1])


def test_an_optimizer_without_a_learning_rate_runs_once_in_a_sweep():
    class NoRate:
        def setup(self, target): ...

        def update(self, lossfun): ...

    with temporary():
        register("acme/no_rate", NoRate)
        swept = experiment("digits", ["acme/no_rate"], sweep=5)
        assert swept.learning_rates(swept.contestants[0]) == [None]


def test_everything_refused_is_an_error_of_optreg():
    for wrong in (["adam:lr"], ["adm"], ["adam:beta=1"]):
        with pytest.raises(OptregError):
            experiment("digits", wrong)
