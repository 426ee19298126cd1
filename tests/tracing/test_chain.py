"""Rules of hooks and of an optimizer, joined into one."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optreg
from optreg.hook import Hook
from optreg.hyperparameters import nonnegative
from optreg.rule import OwnedRule
from optreg.tracing.chain import Link, chain, stored_as
from optreg.tracing.nodes import Input, Load
from optreg.tracing.trace import trace

from .interpreter import inputs_of, interpret


@attrs.define(eq=False)
class Slow(Hook):
    """A post hook with slots: the parameter is pulled to its own average."""

    timing = "post"
    rate: float = nonnegative(0.25)

    def rule(self, param, grad, average, pulls):
        average += self.rate * (param - average)
        param += self.rate * (average - param)
        pulls += 1
        param -= 1e-3 * grad

    def init_state(self, param, state):
        state["pulls"] = np.zeros((), param.data.dtype)


@attrs.define(eq=False)
class Scratch(Hook):
    """A hook that overwrites the gradient, which is not meant to be seen."""

    changes_gradients = False
    rate: float = nonnegative(0.5)

    def rule(self, param, grad, m):
        grad *= self.rate
        m += grad
        param -= 1e-3 * m


HOOKS = {
    "decay": lambda: optreg.WeightDecay(0.1),
    "lasso": lambda: optreg.Lasso(0.05),
    "clip": lambda: optreg.GradientHardClipping(0.0, 0.7),
    "slow": Slow,
    "scratch": Scratch,
}


def chained(owners, arrays):
    """The rules joined, with the states that a setup would make."""
    links = []
    for owner, state in zip(owners, arrays[2], strict=True):
        keeps = not getattr(owner, "changes_gradients", False)
        links.append(Link(trace(OwnedRule(owner), inputs_of(owner, arrays[0], arrays[1], state)), keeps))
    return chain(links)


def states_for(owners, param):
    optimizer = optreg.create("sgd").setup({"w": param})
    states = []
    for owner in owners:
        state = {}
        if owner.__class__.__module__.startswith("optreg.optimizers"):
            owner.setup({"w": param})
            state = owner._states["/w"]
        elif type(owner) in (Slow, Scratch):
            owner.init_state(optimizer.target["/w"], state)
            state.setdefault("average" if type(owner) is Slow else "m", np.zeros_like(param))
        states.append(state)
    return states


def flat(states):
    return [slot for state in states for slot in state.values()]


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(sorted(HOOKS)), max_size=4),
    st.sampled_from(["adamw", "nadam", "rprop", "sgd", "lion", "smorms3"]),
    st.lists(st.sampled_from(sorted(HOOKS)), max_size=2),
    st.sampled_from(["float32", "float64"]),
)
def test_a_chain_does_what_its_rules_do_one_after_another(before, name, after, dtype):
    owners = [*(HOOKS[each]() for each in before), optreg.create(name), *(HOOKS[each]() for each in after)]
    rng = np.random.default_rng(0)
    param = rng.normal(size=37).astype(dtype)
    states = states_for(owners, param)
    joined = param.copy(), [{name: slot.copy() for name, slot in state.items()} for state in states]
    for t in range(1, 5):
        grad = rng.normal(size=37).astype(dtype)
        joined_grad = grad.copy()
        for owner, state in zip(owners, states, strict=True):
            object.__setattr__(owner, "t", t)
            seen = grad if getattr(owner, "changes_gradients", False) else grad.copy()
            arguments = {slot: state[slot] for slot in type(owner).rule.__code__.co_varnames if slot in state}
            owner.rule(param, seen, **arguments)
        rule = chained(owners, (joined[0], joined_grad, joined[1]))
        arrays = [joined[0], joined_grad]
        for each in rule.inputs[2:]:
            number, slot = each.name.split(".")
            arrays.append(joined[1][int(number)][slot])
        interpret(rule, arrays, "owners", owners)
        assert param.tobytes() == joined[0].tobytes()
        assert grad.tobytes() == joined_grad.tobytes()
        for one, other in zip(flat(states), flat(joined[1]), strict=True):
            assert one.tobytes() == other.tobytes()


def test_every_array_is_loaded_and_stored_once():
    owners = [optreg.WeightDecay(0.1), optreg.Lasso(0.1), optreg.create("adamw")]
    param = np.ones(3, np.float32)
    rule = chained(owners, (param, param.copy(), states_for(owners, param)))
    assert [each.name for each in rule.inputs] == ["param", "grad", "2.m", "2.v"]
    assert sorted(position for position, _ in rule.stores) == [0, 1, 2, 3]


def test_hyperparameters_of_two_owners_are_kept_apart():
    owners = [optreg.WeightDecay(0.1), optreg.WeightDecay(0.2)]
    param = np.ones(3, np.float32)
    rule = chained(owners, (param, param.copy(), [{}, {}]))
    assert rule.scalars == ("owners[0].rate", "owners[1].rate")


def test_a_gradient_that_is_kept_is_not_stored_nor_seen_by_the_next():
    owners = [Scratch(), optreg.create("sgd")]
    param, grad = np.ones(3), np.full(3, 2.0)
    rule = chained(owners, (param, grad, [{"m": np.zeros(3)}, {}]))
    assert rule.changed == {"param", "0.m"}
    arrays = [param, grad, np.zeros(3)]
    interpret(rule, arrays, "owners", owners)
    np.testing.assert_array_equal(arrays[2], [1.0] * 3)
    np.testing.assert_array_equal(param, 1 - 1e-3 * 1.0 - 0.01 * grad)


@pytest.mark.parametrize("stored", ["float16", "float64"])
def test_arrays_of_another_dtype_are_converted_at_the_edges(stored):
    owner = optreg.create("momentum_sgd")
    single = np.dtype("float32")
    rule = chain(
        [Link(trace(OwnedRule(owner), (Input("param", single), Input("grad", single), Input("buf", single))), True)]
    )
    edge = stored_as(rule, {"param": np.dtype(stored), "grad": np.dtype(stored)})
    assert [each.dtype.name for each in edge.inputs] == [stored, stored, "float32"]
    param, grad, buf = np.linspace(1, 2, 5).astype(stored), np.linspace(-1, 1, 5).astype(stored), np.ones(5, "f4")
    expected = param.astype("f4"), grad.astype("f4"), buf.copy()
    owner.rule(*expected)
    interpret(edge, [param, grad, buf], "owners", [owner])
    assert param.tobytes() == expected[0].astype(stored).tobytes()
    assert buf.tobytes() == expected[2].tobytes()


def test_untouched_arrays_are_not_stored():
    param = np.dtype("float64")
    rule = trace(OwnedRule(optreg.create("sgd")), (Input("param", param), Input("grad", param)))
    assert [position for position, _ in chain([Link(rule, True), Link(rule, True)]).stores] == [0]
    assert all(isinstance(value, Load) is False for _, value in rule.stores)
