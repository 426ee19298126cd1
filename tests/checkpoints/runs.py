"""A small problem to run optimizers on, and everything that an optimizer holds, as something to compare."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

import optreg

FORMATS = ("npz", "safetensors")


def new_parameters(dtype="float64"):
    """Parameters of many kinds: nested, without axes, empty, strided, in Fortran's order."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        values = rng.normal(size=shape)
        if np.dtype(dtype).kind == "c":
            values = values + 1j * rng.normal(size=shape)
        return np.asarray(values).astype(dtype)

    return {
        "l1": {"W": normal(4, 3), "b": normal(3)},
        "scale": normal(),
        "empty": normal(0, 2),
        "strided": normal(6, 6)[::2, ::3],
        "fortran": np.asfortranarray(normal(3, 2)),
    }


def loss_and_gradients(optimizer, t):
    """A loss whose gradients depend on the step and, a little, on the parameters, with exact zeros among them."""
    rng = np.random.default_rng([t, 5])
    loss, gradients = 0.0, {}
    for name, parameter in optimizer.target.namedparams():
        if parameter.data is None:
            continue
        data = parameter.data
        noise = rng.normal(size=data.shape) * (rng.random(data.shape) > 0.2)
        gradients[name] = (noise + 0.1 * data).astype(data.dtype)
        loss += float(np.sum((noise * data).real + 0.05 * np.abs(data) ** 2))
    return loss, gradients


def run(optimizer, steps):
    """Make steps, with an epoch after every third.

    With NumPy, for a kernel that becomes ready in the middle adds sums up in another order.
    """
    with optreg.use_backend("numpy"):
        for _ in range(steps):
            optimizer.update(loss_and_gradients, optimizer, optimizer.t)
            if optimizer.t % 3 == 0:
                optimizer.new_epoch()
    return optimizer


def copied(tree):
    """Copies of nested arrays that keep their memory order and strides."""
    if isinstance(tree, dict):
        return {key: copied(each) for key, each in tree.items()}
    return tree if tree is None else np.copy(tree, order="K")


def assert_resumes(make, path, *, before, after, parameters=None):
    """Save after some steps, load into a new optimizer, and compare with a run that nothing interrupts."""
    parameters = new_parameters() if parameters is None else parameters
    unbroken = run(make().setup(copied(parameters)), before)
    optreg.save(path, unbroken)

    resumed = make().setup(copied(unbroken.target.arrays))
    optreg.load(path, resumed)
    assert_same(resumed, unbroken)

    run(unbroken, after)
    run(resumed, after)
    assert_same(resumed, unbroken)


def assert_same(one, other):
    """Every bit of the parameters, states, counts, hyperparameters, options, hooks and generators is the same."""
    assert contents(one) == contents(other)


def contents(thing: Any, seen: set[int] | None = None) -> Any:
    """Everything that an object holds, as text and tuples."""
    seen = set() if seen is None else seen
    if isinstance(thing, np.ndarray):
        return "array", thing.dtype.str, thing.shape, thing.tobytes()
    if isinstance(thing, np.generic):
        return type(thing).__name__, thing.tobytes()
    if isinstance(thing, np.random.Generator):
        return contents(thing.bit_generator.state)
    if isinstance(thing, np.random.BitGenerator):
        return contents(thing.state)
    if isinstance(thing, np.random.RandomState):
        return contents(thing.get_state(legacy=False))
    if isinstance(thing, random.SystemRandom):
        return "no state"
    if isinstance(thing, random.Random):
        return thing.getstate()
    if thing is None or isinstance(thing, (bool, int, float, complex, str, type)) or type(thing).__name__ == "function":
        return type(thing).__name__, repr(thing)
    if id(thing) in seen:
        return "seen"
    seen = seen | {id(thing)}
    if isinstance(thing, Mapping):
        # States are a dict with attributes.
        items = [(contents(key, seen), contents(each, seen)) for key, each in thing.items()]
        return type(thing).__name__, items, _attributes(thing, seen)
    if isinstance(thing, (list, tuple, set, frozenset)):
        return type(thing).__name__, [contents(each, seen) for each in thing]
    return type(thing).__name__, _attributes(thing, seen)


KEPT = {"_hooks", "_hook_states", "_options", "_states"}
"""The private attributes that matter beyond a step."""


def _attributes(thing, seen):
    names = dict.fromkeys(vars(thing) if hasattr(thing, "__dict__") else ())
    for base in type(thing).__mro__:
        names |= dict.fromkeys(vars(base).get("__slots__", ()))
    # Gradients and a hook's t are what the last step left behind; the next one sets them anew.
    left_behind = {"t"} if isinstance(thing, optreg.Hook) else {"grad"}
    names = [name for name in names if name not in left_behind and (not name.startswith("_") or name in KEPT)]
    return {name: contents(getattr(thing, name), seen) for name in names if hasattr(thing, name)}
