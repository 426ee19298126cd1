"""Optimizers and hooks of other packages: states of their own kinds, generators, extra state, their own serialize()."""

from __future__ import annotations

import functools
import random
from collections import deque

import attrs
import numpy as np
import pytest

import optreg
from optreg.hyperparameters import nonnegative, positive

from .runs import FORMATS, assert_resumes, assert_same, contents, copied, new_parameters, run

every_format = pytest.mark.parametrize("form", FORMATS)


@attrs.define(eq=False)
class Averaging(optreg.Hook):
    """A post hook with a slot: an average of the parameters."""

    timing = "post"
    rate: float = nonnegative(0.1)

    def init_state(self, param, state):
        state["average"] = param.data.copy()

    def rule(self, param, grad, average):
        average += self.rate * (param - average)


@attrs.define(eq=False)
class Memory(optreg.Hook):
    """A hook before the update with slots: what it sees depends on what it saw."""

    def rule(self, param, grad, last, sums):
        grad += 0.1 * last
        last[...] = grad
        sums += grad


class Dropping(optreg.GradientMethod):
    """A class without attrs that holds generators of every kind, and scalars of NumPy's."""

    def __init__(self, lr, seed=0, betas=(0.9, 0.5)):
        self.lr = lr
        self.seed = seed
        self.betas = betas
        self.legacy = np.random.RandomState(seed)
        self.modern = np.random.Generator(np.random.MT19937(seed))
        self.bits = np.random.Philox(seed)
        self.python = random.Random(seed)
        self.system = random.SystemRandom()

    def update_one(self, param, state):
        first, second = self.betas
        noise = self.legacy.normal(size=param.data.size + 1)[:-1] + first * self.modern.normal(size=param.data.size)
        noise += self.bits.random_raw() % 7 + second * self.python.gauss(0, 1)
        param.data[...] -= self.lr * noise.reshape(param.data.shape) * param.grad


class Bookkeeping(optreg.GradientMethod):
    """States that are no arrays at first, or never."""

    def __init__(self, lr=0.1):
        self.lr = lr

    def init_state(self, param, state):
        state.update(
            steps=0, norm=0, last=None, best=None, name="new", pair=(1, 2.5), flag=False, half=np.float16(0), z=1j,
            list=[], big=2**100,
        )  # fmt: skip

    def update_one(self, param, state):
        state["steps"] += 1
        state["norm"] = np.float32(state["norm"]) + np.linalg.norm(param.grad)
        state["last"] = param.grad.copy() if state["last"] is None else 0.5 * state["last"] + param.grad
        state["name"], state["flag"] = f"seen é {state['steps']}", not state["flag"]
        state["pair"] = (state["pair"][1], float(state["steps"]))
        state["list"] = [*state["list"], state["steps"]]
        state["half"] += np.float16(0.1)
        state["z"] *= 1j
        state["big"] += 1
        param.data -= self.lr * (state["last"] + state["norm"] * state["steps"])


class Remembering(optreg.GradientMethod):
    """Extra state, in which there is a bit of everything."""

    def __init__(self, lr=0.1):
        self.lr = lr
        self.losses = deque(maxlen=3)
        self.table = {1: np.eye(2, dtype="complex64"), "a": (b"", None)[1:], (2, "b"): [True, float("nan"), -0.0]}
        self.rate = np.float32(0.1)

    def get_extra_state(self):
        return {"losses": list(self.losses), "table": self.table, "rate": self.rate}

    def set_extra_state(self, state):
        self.losses = deque(state["losses"], maxlen=3)
        self.table = state["table"]
        self.rate = state["rate"]

    def update_one(self, param, state):
        self.losses.append(float(np.abs(param.grad).sum()))
        self.rate = self.rate * np.float32(0.9)
        self.table[1] = self.table[1] * np.complex64(1j)
        param.data -= self.lr * self.rate * sum(self.losses) * param.grad


class Counting(optreg.GradientMethod):
    """Overrides serialize(), as optimizers written for Chainer may."""

    def __init__(self, lr=0.1):
        self.lr = lr
        self.updates = 0
        self.factors = np.ones(3)
        self.strict = False

    def init_state(self, param, state):
        state["m"] = np.zeros_like(param.data)

    def update_one(self, param, state):
        self.updates += 1
        self.factors += self.updates
        state["m"] += param.grad
        param.data -= self.lr / self.factors[0] * state["m"]

    def serialize(self, serializer):
        super().serialize(serializer)
        self.updates = serializer("updates", self.updates)
        serializer["inner"]("/factors", self.factors)
        if self.strict and self.updates > 3:
            raise RuntimeError("too many updates for me")


@attrs.define(eq=False)
class Tuned(optreg.get("adamw")):
    """A subclass of attrs's kind with one more field."""

    factor: float = positive(2.0)


class Wrapped(optreg.get("adamw")):
    """A plain subclass of an attrs class, with arguments of its own."""

    def __init__(self, lr, scale=1.0):
        super().__init__(lr=lr * scale)
        self.scale = scale


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


def test_an_object_in_a_state_is_refused_by_name(tmp_path):
    class Odd(optreg.GradientMethod):
        def init_state(self, param, state):
            state["thing"] = object()

        def update_one(self, param, state):
            pass

    optimizer = Odd().setup({"l1": {"W": np.ones(3)}})
    with pytest.raises(ValueError, match=r"l1/W/thing is or holds <object .*cannot be saved without pickle"):
        optreg.save(tmp_path / "a.npz", optimizer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [np.array([None, {}]), np.array([(1, None)], dtype=[("a", int), ("b", object)])])
def test_an_array_of_objects_in_a_state_is_refused_by_name(value, tmp_path):
    optimizer = optreg.create("adam").setup({"l1": {"W": np.ones(3)}})
    optimizer._states["/l1/W"]["m"] = value
    with pytest.raises(ValueError, match=r"l1/W/m .*cannot be saved without pickle"):
        optreg.save(tmp_path / "a.npz", optimizer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extra", [object(), {"a": [len]}, {"a": {1, 2}}, deque()])
def test_an_object_in_the_extra_state_is_refused_by_name(extra, tmp_path):
    class Odd(optreg.GradientMethod):
        def get_extra_state(self):
            return extra

        def set_extra_state(self, state):
            pass

        def rule(self, param, grad):
            pass

    with pytest.raises(ValueError, match=r"what Odd.get_extra_state\(\) returns .*cannot be saved without pickle"):
        optreg.save(tmp_path / "a.npz", Odd().setup({"W": np.ones(3)}))


def test_an_extra_state_that_is_refused_leaves_everything_as_it_was(tmp_path):
    class Fussy(Averaging):
        def __init__(self, limit=100):
            super().__init__()
            self.limit = limit
            self.seen = 0
            self.generator = np.random.default_rng(0)

        def get_extra_state(self):
            return {"seen": self.seen}

        def set_extra_state(self, state):
            self.seen = state["seen"]
            if self.seen > 1:
                raise RuntimeError("that is too much for me")

    def make(seed):
        hooks = [("gradient_noise", {"eta": 0.1, "seed": seed}), Fussy()]
        return optreg.create("adam", lr=0.1 * seed, hooks=hooks, options={"*/b": {"lr": 0.1 * seed}})

    saved = run(make(1).setup(new_parameters()), 3)
    saved._hooks["Fussy"].seen = 2
    saved._hooks["Fussy"].generator.normal()
    optreg.save(tmp_path / "a.npz", saved)
    loading = run(make(2).setup(new_parameters()), 1)
    before = contents(loading)
    with pytest.raises(ValueError, match="RuntimeError: that is too much for me; everything is as it was"):
        optreg.load(tmp_path / "a.npz", loading)
    assert contents(loading) == before


def test_an_own_serialize_that_fails_half_way_leaves_everything_as_it_was(tmp_path):
    saved = run(Counting(0.2).setup(new_parameters()), 4)
    optreg.save(tmp_path / "a.npz", saved)
    loading = run(Counting(0.1).setup(new_parameters()), 2)
    loading.updates = 2
    loading.strict = True
    before = contents(loading)
    with pytest.raises(ValueError, match="RuntimeError: too many updates for me; everything is as it was"):
        optreg.load(tmp_path / "a.npz", loading)
    assert contents(loading) == before


def test_what_an_own_serialize_adds_must_be_in_the_file(tmp_path):
    optreg.save(tmp_path / "a.npz", run(Counting().setup({"W": np.ones(2)}), 2))
    with np.load(tmp_path / "a.npz") as file:
        arrays = {name: file[name] for name in file if name != "inner/factors"}
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(KeyError, match="inner/factors is missing"):
        optreg.load(tmp_path / "b.npz", Counting().setup({"W": np.ones(2)}))


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
    with pytest.raises(ValueError, match="was refused: AttributeError: .*lr.*; everything is as it was"):
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
