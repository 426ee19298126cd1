"""Optimizers and hooks as other packages may write them."""

from __future__ import annotations

import random
from collections import deque

import attrs
import numpy as np

import optreg
from optreg import schedules
from optreg.hyperparameters import nonnegative, positive


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
        state.update(m=np.zeros_like(param.data), steps=0)

    def update_one(self, param, state):
        self.updates += 1
        state["steps"] += 1
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


@attrs.frozen
class Halving(schedules.Schedule):
    """A schedule of another package."""

    name = "halving"
    initial: float

    def __call__(self, t):
        return self.initial / 2**t
