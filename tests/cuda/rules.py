"""The rules of the built-ins as a backend gets them: traced, at every step where they are another, and chained."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

import optreg
from optreg.rule import rule_of
from optreg.tracing.chain import Link, chain, stored_as, with_master
from optreg.tracing.nodes import Input, Rule
from optreg.tracing.trace import trace

STEPS = 8
"""Until then, every rule has taken its branches."""

HYPERPARAMETERS = {
    "rmsprop": [{"centered": True}, {"momentum": 0.5}, {"centered": True, "momentum": 0.5}],
    "adopt": [{"clip": False}],
    "asgd": [{"t0": 2.0}],
}


def _looks_at_whole_tensors(name: str) -> bool:
    """Whether a rule needs norms, sums or means, whose bits depend on the order in which they are added."""
    optimizer = optreg.create(name).setup({"w": np.ones(5)})
    optimizer.t = 1
    return bool(joined([optimizer], optimizer.target["/w"].data, [optimizer._states["/w"]]).reductions)


def hooks() -> list[Any]:
    """Every hook that has an elementwise rule."""
    return [optreg.WeightDecay(0.1), optreg.Lasso(0.05), optreg.GradientHardClipping(-0.5, 0.5)]


def joined(owners: list[Any], param: Any, states: list[dict[str, Any]]) -> Rule:
    """The rules of hooks and of an optimizer as one; arithmetic on float16 parameters is that of float32."""
    stored = param.dtype
    dtype = np.dtype("float32") if stored == np.float16 else stored
    links = []
    for owner, state in zip(owners, states, strict=True):
        own = rule_of(owner, SimpleNamespace(data=param))
        slots = [(name, state.get(name)) for name in own.slots]
        inputs = (
            Input("param", dtype),
            Input("grad", dtype),
            *(None if slot is None else Input(name, slot.dtype, slot.ndim < param.ndim) for name, slot in slots),
        )
        links.append(Link(trace(own, inputs), not getattr(owner, "changes_gradients", False)))
    rule = chain(links)
    if any("master" in state for state in states):
        rule = with_master(rule, stored)
    return stored_as(rule, {"param": stored, "grad": stored})


NAMES = [name for name in optreg.names() if hasattr(optreg.get(name), "rule")]
CASES = [(name, values) for name in NAMES for values in ({}, *HYPERPARAMETERS.get(name, []))]
"""Every built-in, with its defaults and with hyperparameters that make another rule of it."""

WITH_SUMS = [(name, values) for name, values in CASES if _looks_at_whole_tensors(name)]
ELEMENTWISE = [case for case in CASES if case not in WITH_SUMS and not hasattr(optreg.get(case[0]), "measure")]


def rules(dtype: str, with_hooks: bool = False, with_masters: bool = False) -> Iterator[tuple[str, Rule]]:
    """The rules of all built-ins, each with a name for it."""
    for name, values in CASES:
        known = set()
        optimizer = optreg.create(name, master_weights=with_masters, **values).setup({"w": np.ones(5, dtype)})
        before = hooks() if with_hooks else []
        for optimizer.t in range(1, STEPS):
            param = optimizer.target["/w"].data
            rule = joined([*before, optimizer], param, [*({} for _ in before), optimizer._states["/w"]])
            if rule.guards not in known:
                known.add(rule.guards)
                yield f"{name} {values} at {optimizer.t}", rule
