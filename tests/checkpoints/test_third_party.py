"""Optimizers and hooks of other packages: states of their own kinds, generators, extra state, their own serialize()."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import optreg

from .others import Averaging, Bookkeeping, Counting, Dropping, Memory, Remembering, Tuned, Wrapped
from .runs import FORMATS, assert_resumes, assert_same, contents, copied, new_parameters, run

every_format = pytest.mark.parametrize("form", FORMATS)


@every_format
@pytest.mark.parametrize(
    "make",
    [
        functools.partial(Dropping, np.float64(0.1)),
        Bookkeeping,
        Remembering,
        Counting,
        Tuned,
        functools.partial(Wrapped, 0.1),
    ],
    ids=lambda make: getattr(make, "func", make).__name__,
)
@pytest.mark.parametrize("before", [0, 1, 3, 4])
def test_an_optimizer_of_another_package_resumes(make, before, form, tmp_path):
    parameters = {key: value for key, value in new_parameters("float32").items() if key != "empty"}
    assert_resumes(make, tmp_path / f"a.{form}", before=before, after=3, parameters=parameters)


@every_format
@pytest.mark.parametrize("hooks", [[Averaging], [Memory], [Memory, Averaging]])
@pytest.mark.parametrize("before", [0, 3])
def test_a_hook_with_slots_resumes(hooks, before, form, tmp_path):
    def make():
        return optreg.create("adam", hooks=[hook() for hook in hooks])

    assert_resumes(make, tmp_path / f"a.{form}", before=before, after=3)


@every_format
def test_the_same_hook_under_two_names_keeps_two_states(form, tmp_path):
    def make():
        optimizer = optreg.create("sgd")
        for name, rate in (("fast", 0.5), ("slow", 0.01), ("slow/l1", 0.001)):
            optimizer.add_hook(Averaging(rate), name)
        return optimizer

    assert_resumes(make, tmp_path / f"a.{form}", before=3, after=3)


def test_the_states_of_a_hook_stand_under_its_name_in_the_file(tmp_path):
    optimizer = run(optreg.create("sgd", hooks=[Averaging()]).setup({"l1": {"W": np.ones(3)}}), 2)
    optreg.save(tmp_path / "a.npz", optimizer)
    with np.load(tmp_path / "a.npz") as file:
        average = file["__hooks__/Averaging/l1/W/average"]
    assert average.tobytes() == optimizer._hook_states["Averaging"]["/l1/W"]["average"].tobytes()


def test_hooks_that_are_functions_or_objects_of_any_class_are_saved_by_name(tmp_path):
    def halve(optimizer):
        for parameter in optimizer.target.params():
            parameter.grad *= 0.5

    class Jitter:
        """A hook as for Chainer, with a generator."""

        name = "Jitter"

        def __init__(self, scale):
            self.scale = scale
            self.random = np.random.RandomState(1)

        def __call__(self, optimizer):
            for parameter in optimizer.target.params():
                parameter.grad += self.scale * self.random.normal(size=(*parameter.grad.shape, 3))[..., 0]

    def make():
        optimizer = optreg.create("adam")
        optimizer.add_hook(halve)
        optimizer.add_hook(functools.partial(halve), "again")
        optimizer.add_hook(lambda optimizer: None, "nothing")
        optimizer.add_hook(Jitter(0.1))
        optimizer.add_hook("lasso", rate=1e-3)
        return optimizer

    unbroken = run(make().setup(new_parameters()), 3)
    unbroken._hooks["Jitter"].scale = 0.7
    optreg.save(tmp_path / "a.npz", unbroken)
    resumed = make().setup(copied(unbroken.target.arrays))
    optreg.load(tmp_path / "a.npz", resumed)
    assert resumed._hooks["Jitter"].scale == 0.7
    run(unbroken, 3)
    run(resumed, 3)
    assert contents(resumed.target) == contents(unbroken.target)


def test_noise_from_a_function_that_draws_from_the_hooks_generator_resumes(tmp_path):
    def uniform(xp, shape, dtype, hook, optimizer):
        return hook.generator.uniform(-1, 1, shape).astype(dtype)

    def make():
        return optreg.create("sgd", hooks=[optreg.GradientNoise(0.1, uniform)])

    assert_resumes(make, tmp_path / "a.npz", before=3, after=3)


def test_a_generator_that_two_hooks_share_stays_shared(tmp_path):
    class Draw:
        def __init__(self, generator):
            self.generator = generator

        def __call__(self, optimizer):
            for parameter in optimizer.target.params():
                parameter.grad += self.generator.normal(size=parameter.grad.shape)

    def make():
        generator = np.random.default_rng(0)
        optimizer = optreg.create("sgd")
        optimizer.add_hook(Draw(generator), "one")
        optimizer.add_hook(Draw(generator), "two")
        return optimizer

    assert_resumes(make, tmp_path / "a.npz", before=2, after=2)


def test_an_argument_behind_a_property_without_a_setter_does_not_matter_if_it_is_the_same(tmp_path):
    class Fixed(optreg.GradientMethod):
        def __init__(self, lr=0.1):
            self._lr = lr

        @property
        def lr(self):
            return self._lr

        def rule(self, param, grad):
            param -= self.lr * grad

    assert_resumes(Fixed, tmp_path / "a.npz", before=2, after=2)
    other = Fixed(0.5).setup(new_parameters())
    before = contents(other)
    with pytest.raises(ValueError, match=r"was refused: AttributeError: .*lr.*; everything is as it was"):
        optreg.load(tmp_path / "a.npz", other)
    assert contents(other) == before


def test_an_array_as_a_hyperparameter_is_saved(tmp_path):
    class Weighted(optreg.GradientMethod):
        def __init__(self, weights, names=("a",), table=None):
            self.weights, self.names, self.table = weights, names, table

        def update_one(self, param, state):
            param.data -= self.weights.sum() * param.grad

    saved = Weighted(np.arange(3, dtype="f4"), ("a", "b"), {1: 2}).setup({"W": np.ones(2)})
    optreg.save(tmp_path / "a.npz", saved)
    loaded = Weighted(np.zeros(1)).setup({"W": np.ones(2)})
    optreg.load(tmp_path / "a.npz", loaded)
    assert_same(loaded, saved)


@pytest.mark.parametrize(
    "value", [1, 1.0, True, np.float64(1), np.float32(1), float("nan"), -0.0, "1", (1,), [1], 1 + 0j]
)
@pytest.mark.parametrize("present", [1, 1.0, True, 0.0, np.float64(1)])
def test_a_hyperparameter_that_no_field_checks_gets_the_very_value_and_type(value, present, tmp_path):
    optimizer = Dropping(value).setup({"W": np.ones(2)})
    optreg.save(tmp_path / "a.npz", optimizer)
    loaded = Dropping(present).setup({"W": np.ones(2)})
    optreg.load(tmp_path / "a.npz", loaded)
    assert contents(loaded.lr) == contents(value)


def test_the_fields_of_an_attrs_base_are_saved_beside_the_arguments_of_a_plain_subclass(tmp_path):
    saved = Wrapped(0.1, 3.0).setup({"W": np.ones(2)})
    saved.beta1 = 0.25
    optreg.save(tmp_path / "a.npz", saved)
    loaded = Wrapped(0.2).setup({"W": np.ones(2)})
    optreg.load(tmp_path / "a.npz", loaded)
    assert (loaded.lr, loaded.scale, loaded.beta1) == (saved.lr, 3.0, 0.25)


class MakesStatesLate(optreg.GradientMethod):
    """Momentum that makes its state at the first step, as many classes do."""

    def update_one(self, param, state):
        momentum = state.setdefault("m", np.zeros_like(param.data))
        momentum += param.grad
        param.data -= 0.1 * momentum


def test_states_that_the_first_step_makes_are_loaded_before_it(tmp_path):
    w = np.arange(3.0)
    unbroken = MakesStatesLate().setup({"w": w})
    unbroken.apply_gradients({"w": np.ones(3)})
    optreg.save(tmp_path / "run.npz", unbroken)

    resumed = MakesStatesLate().setup({"w": w.copy()})
    optreg.load(tmp_path / "run.npz", resumed)
    for optimizer in (unbroken, resumed):
        optimizer.apply_gradients({"w": np.ones(3)})
    assert resumed.target["/w"].data.tobytes() == w.tobytes()
