"""Schedules, beside those of PyTorch and optax; ours count the steps from 1, theirs from 0."""

from __future__ import annotations

import math

import numpy as np
import pytest

import optreg
from optreg.errors import ConfigError, HyperparameterError
from optreg.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    LinearWarmup,
    OneCycle,
    Scaled,
    Schedule,
    Step,
    schedule_from_config,
)

EXAMPLES = {
    "constant": Constant(0.1),
    "step": Step(initial=0.1, every=3, factor=0.5),
    "exponential": Exponential(initial=0.1, factor=0.9),
    "cosine": Cosine(initial=0.1, steps=10, final=0.01),
    "linear_warmup": LinearWarmup(steps=4, then=Cosine(initial=0.1, steps=10)),
    "one_cycle": OneCycle(peak=0.1, steps=20),
    "scaled": Scaled(Cosine(initial=0.1, steps=10), factor=0.5),
}


def of_torch(make, steps, lr=0.1):
    """The rates that a scheduler of PyTorch gives at the first ``steps`` steps."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def ours(schedule, steps):
    return [schedule(t) for t in range(1, steps + 1)]


def assert_same(schedule, rates):
    # optax computes in single precision.
    np.testing.assert_allclose(ours(schedule, len(rates)), rates, rtol=1e-5, atol=1e-8)


def test_every_schedule_has_an_example_here():
    # Others are known as soon as their modules are imported, as some other tests do.
    assert EXAMPLES.keys() == {name for name, each in SCHEDULES.items() if each.__module__ == Schedule.__module__}


# Beside PyTorch


def test_constant_is_torchs_rate_without_a_scheduler():
    assert_same(Constant(0.1), of_torch(lambda schedulers, opt: schedulers.ConstantLR(opt, factor=1.0), 5))


@pytest.mark.parametrize(("every", "factor"), [(1, 0.5), (3, 0.1), (7, 0.9), (100, 0.5)])
def test_step_is_torchs(every, factor):
    theirs = of_torch(lambda schedulers, opt: schedulers.StepLR(opt, every, gamma=factor), 30)
    assert_same(Step(initial=0.1, every=every, factor=factor), theirs)


@pytest.mark.parametrize("factor", [0.5, 0.99, 1.0, 1.01])
def test_exponential_is_torchs(factor):
    theirs = of_torch(lambda schedulers, opt: schedulers.ExponentialLR(opt, gamma=factor), 30)
    assert_same(Exponential(initial=0.1, factor=factor), theirs)


@pytest.mark.parametrize(("steps", "final"), [(1, 0.0), (10, 0.0), (25, 0.01)])
def test_cosine_is_torchs_until_it_is_down(steps, final):
    theirs = of_torch(lambda schedulers, opt: schedulers.CosineAnnealingLR(opt, steps, eta_min=final), steps + 1)
    assert_same(Cosine(initial=0.1, steps=steps, final=final), theirs)


@pytest.mark.parametrize("steps", [2, 5, 20])
def test_linear_warmup_is_torchs(steps):
    theirs = of_torch(
        lambda schedulers, opt: schedulers.LinearLR(opt, start_factor=1 / steps, total_iters=steps - 1), 2 * steps
    )
    assert_same(LinearWarmup(steps=steps, then=0.1), theirs)


@pytest.mark.parametrize("steps", [5, 11, 37, 200])
@pytest.mark.parametrize("arguments", [{}, {"warmup": 0.1}, {"warmup": 0.5, "divisor": 10.0, "final_divisor": 100.0}])
def test_one_cycle_is_torchs(steps, arguments):
    names = {"warmup": "pct_start", "divisor": "div_factor", "final_divisor": "final_div_factor"}
    theirs = of_torch(
        lambda schedulers, opt: schedulers.OneCycleLR(
            opt,
            max_lr=0.5,
            total_steps=steps,
            cycle_momentum=False,
            **{names[name]: value for name, value in arguments.items()},
        ),
        steps - 1,
    )
    assert_same(OneCycle(peak=0.5, steps=steps, **arguments), theirs)


# Beside optax


def test_cosine_is_optaxs_and_stays_down():
    optax = pytest.importorskip("optax")
    theirs = optax.cosine_decay_schedule(0.1, 10, alpha=0.2)
    assert_same(Cosine(initial=0.1, steps=10, final=0.02), [float(theirs(count)) for count in range(30)])


def test_step_is_optaxs_staircase():
    optax = pytest.importorskip("optax")
    theirs = optax.exponential_decay(0.1, transition_steps=4, decay_rate=0.5, staircase=True)
    assert_same(Step(initial=0.1, every=4, factor=0.5), [float(theirs(count)) for count in range(30)])


def test_warmup_and_what_follows_are_optaxs_joined():
    optax = pytest.importorskip("optax")
    rise = optax.linear_schedule(0.1 / 4, 0.1, 3)
    theirs = optax.join_schedules([rise, optax.exponential_decay(0.1, 1, 0.9)], [4])
    schedule = LinearWarmup(steps=4, then=Exponential(initial=0.1, factor=0.9))
    assert_same(schedule, [float(theirs(count)) for count in range(30)])


def test_a_schedule_of_optax_is_a_schedule():
    optax = pytest.importorskip("optax")
    arrays = {"w": np.zeros(1)}
    optimizer = optreg.create("sgd", lr=optax.linear_schedule(1.0, 0.5, 4)).setup(arrays)
    # optax counts from 0, so it is asked for the step that comes after: shift it where that matters.
    optimizer.apply_gradients({"w": np.ones(1)})
    np.testing.assert_allclose(arrays["w"], -(1 - 0.5 / 4))


# At work


def test_a_schedule_is_asked_for_the_step_being_made_once_a_step():
    seen = []
    optimizer = optreg.create("adam", lr=lambda t: seen.append(t) or 0.1, options={"*/b": {"beta1": 0.5}})
    optimizer.setup({"a": np.ones(2), "b": np.ones(2), "c": np.ones(3)})
    seen.clear()
    for _ in range(3):
        optimizer.update()
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("schedule", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_every_parameter_moves_at_the_rate_of_the_step(schedule):
    arrays = {"a": np.zeros(2), "b": np.zeros(40_000)}
    optimizer = optreg.create("sgd", lr=schedule).setup(arrays)
    for _ in range(12):
        optimizer.apply_gradients({"a": np.ones(2), "b": np.ones(40_000)})
    for array in arrays.values():
        np.testing.assert_allclose(array, -sum(ours(schedule, 12)), rtol=1e-12)
    assert optimizer.lr is schedule


def test_a_rate_may_be_set_between_steps_to_a_number_or_a_schedule():
    arrays = {"w": np.zeros(1)}
    optimizer = optreg.create("sgd", lr=1.0).setup(arrays)
    moved = []
    for lr in (1.0, 1.0, 0.5, lambda t: t, lambda t: 2 * t, Constant(3.0), 0.25):
        optimizer.lr = lr
        before = arrays["w"][0]
        optimizer.apply_gradients({"w": np.ones(1)})
        moved.append(before - arrays["w"][0])
    assert moved == [1.0, 1.0, 0.5, 4.0, 10.0, 3.0, 0.25]


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5), 1])
def test_a_schedule_may_give_a_number_of_any_library(value):
    arrays = {"w": np.zeros(3, np.float32)}
    optreg.create("sgd", lr=lambda t: value).setup(arrays).apply_gradients({"w": np.ones(3, np.float32)})
    np.testing.assert_array_equal(arrays["w"], np.float32(-float(value)))


def test_a_rate_may_fall_to_zero_and_a_decay_rate_not_rise_to_one():
    arrays = {"w": np.zeros(2)}
    optreg.create("sgd", lr=lambda t: 0.0).setup(arrays).apply_gradients({"w": np.ones(2)})
    np.testing.assert_array_equal(arrays["w"], [0, 0])
    optimizer = optreg.create("adam", beta1=lambda t: 1.0)
    with pytest.raises(
        HyperparameterError, match=r"the schedule of beta1 must give a number >= 0 and < 1, but at t = 1"
    ):
        optimizer.setup(arrays).update()


# Written down


@pytest.mark.parametrize("schedule", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_a_schedule_is_read_back_from_its_config(schedule):
    config = schedule.config()
    assert config["schedule"] == schedule.name
    assert schedule_from_config(config) == schedule
    assert optreg.create("sgd", lr=config).lr == schedule


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        ({"schedule": "cosin", "initial": 0.1}, ConfigError, "no schedule 'cosin'.* Did you mean 'cosine'"),
        ({"schedule": "cosine", "initial": 0.1}, ConfigError, "'cosine' takes initial, steps, final: .*steps"),
        ({"schedule": "constant", "valu": 0.1}, ConfigError, "'constant' takes value"),
        (
            {"schedule": "step", "initial": 0.1, "every": 0},
            HyperparameterError,
            "every must be a whole number of steps",
        ),
        ({"schedule": "step", "initial": "x", "every": 2}, HyperparameterError, "initial must be a finite number"),
        ({"schedule": "constant", "value": math.nan}, HyperparameterError, "value must be a finite number"),
        ({"schedule": "one_cycle", "peak": 1.0, "steps": 5, "divisor": 0.0}, ValueError, "divisor"),
        ({"schedule": "one_cycle", "peak": 1.0, "steps": 5, "warmup": 1.5}, ValueError, "warmup"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(config, error, said):
    with pytest.raises(error, match=said):
        optreg.create("sgd", lr=config)


def test_numbers_of_numpy_are_taken_as_pythons():
    schedule = optreg.schedules.LinearWarmup(np.int64(2), np.float32(0.5))
    assert schedule == optreg.schedules.LinearWarmup(2, 0.5)
    assert optreg.schedules.Cosine(np.array(1.0), np.int32(4), np.float16(0)) == optreg.schedules.Cosine(1.0, 4, 0.0)
    assert type(schedule.config()["steps"]) is int
    with pytest.raises(HyperparameterError, match="steps must be a whole number of steps"):
        optreg.schedules.Cosine(1.0, np.float64(4.5))


def test_a_schedule_of_ones_own_says_what_it_lacks():
    with pytest.raises(NotImplementedError, match=r"must say its value in __call__\(self, t\)"):
        Schedule()(1)
