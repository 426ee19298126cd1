"""The hook ``cautious`` beside numbers that its authors' code gave, and on optimizers of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optreg
from optreg.errors import OptregError

PUBLISHED = {
    3: [
        -1.145244990022969,
        -0.5674448311549677,
        -0.2100352191766444,
        0.2676421735894534,
        0.9198688003376742,
        0.8359381735129795,
    ],
    12: [
        -1.170494941150861,
        -1.0247578076270845,
        -0.19462743297895102,
        0.31989154124723973,
        1.3222979110835782,
        0.19518391964661636,
    ],
}


def test_cautious_makes_the_steps_of_its_authors_code():
    """The numbers were printed by the authors' c_adamw.py in double precision, with eps=1e-30 and no decay."""
    rng = np.random.default_rng(0)
    w = np.linspace(-1, 1, 6)
    optimizer = optreg.create("adam", lr=0.1, beta1=0.8, beta2=0.9, eps=1e-30, hooks=["cautious"]).setup({"w": w})
    for t in range(1, 13):
        optimizer.apply_gradients({"w": rng.normal(size=6)})
        if t in PUBLISHED:
            np.testing.assert_allclose(w, PUBLISHED[t], rtol=1e-12)


class Momentum(optreg.GradientMethod):
    """As momentum_sgd, in the way that a test asks for."""

    def __init__(self, lr: float = 0.1) -> None:
        self.lr = lr

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        state["buf"] = np.zeros_like(param.data)


class ByRule(Momentum):
    def rule(self, param: Any, grad: Any, buf: Any) -> None:
        buf[...] = 0.9 * buf + grad
        param -= self.lr * buf


class Whole(ByRule):
    elementwise = False


class OneByOne(Momentum):
    def update_one(self, param: Any, state: dict[str, Any]) -> None:
        state["buf"][...] = 0.9 * state["buf"] + param.grad
        param.data -= self.lr * state["buf"]


class AllAtOnce(OneByOne):
    def update(self, lossfun: Any = None, *args: Any, **kwds: Any) -> None:
        self.call_hooks("pre")
        self.prepare()
        self.t += 1
        for name, param in self.target.namedparams():
            self.update_one(param, self._states[name])
        self.call_hooks("post")


def path(optimizer, dtype="float64", steps=6):
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape).astype(dtype) for name, shape in {"a": (4, 5), "b": (3,), "c": ()}.items()}
    optimizer.setup(arrays)
    for _ in range(steps):
        optimizer.apply_gradients({name: rng.normal(size=each.shape).astype(dtype) for name, each in arrays.items()})
    return np.concatenate([each.ravel() for each in arrays.values()])


@pytest.mark.parametrize("base", [ByRule, Whole, OneByOne, AllAtOnce])
@pytest.mark.parametrize("between", [False, True], ids=["alone", "after-a-function"])
def test_every_kind_of_optimizer_is_made_cautious_alike(base, between):
    def of(cls):
        optimizer = cls()
        if between:
            optimizer.add_hook(_after, "between")
        optimizer.add_hook("cautious")
        return path(optimizer)

    np.testing.assert_allclose(of(base), of(ByRule), rtol=1e-13)
    assert not np.array_equal(of(base), path(base()))


def _after(opt: Any) -> None:
    """A function, after which a pass begins anew."""


_after.timing = "post"


def test_with_master_weights_the_steps_are_those_of_float32():
    full = path(optreg.create("adam", lr=0.01, hooks=["cautious"]), "float32")
    for hooks in (["cautious"], [_after, "cautious"]):
        optimizer = optreg.create("adam", lr=0.01, hooks=hooks, master_weights=True)
        half = path(optimizer, "float16")
        np.testing.assert_allclose(half, full, atol=2e-3)
        assert {"m", "v", "master"} == set(optimizer._states["/a"])
        assert not any(optimizer._hook_states.values())
        assert not optimizer._before


def test_no_memory_is_kept_and_a_compiled_step_has_no_copy(monkeypatch):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    expected = path(optreg.create("adam", lr=0.01, hooks=["cautious"]))
    monkeypatch.setattr("optreg.optimizer.keep_before", None)
    with optreg.use_backend("numba"):
        found = path(optreg.create("adam", lr=0.01, hooks=["cautious"]))
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_outside_of_a_step_it_is_not_known_what_was_before():
    optimizer = optreg.create("sgd", hooks=["cautious"]).setup({"w": np.ones(3)})
    optimizer.apply_gradients({"w": np.ones(3)})
    with pytest.raises(OptregError, match="needs to know what the parameters were before the update"):
        optreg.create_hook("cautious")(optimizer)
