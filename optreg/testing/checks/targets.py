"""A target adapter: an object becomes parameters with paths, arrays and gradients, and stays the owner of them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import optreg
from optreg.testing.catalog import check
from optreg.testing.problems import names_in, on_host
from optreg.testing.results import fail, skip
from optreg.testing.subjects import TargetSubject


@check("target", level="1")
def check_target_types(subject: TargetSubject) -> None:
    """The types that the adapter is for exist, where their package is installed."""
    for full_name in subject.declared.spec.types:
        found = _type(full_name)
        if found is None:
            skip(f"{full_name.partition('.')[0]} is not installed")
        if not isinstance(found, type):
            fail(
                f"the adapter {subject.name} is for {full_name}, which is no class, so no object is ever adapted; "
                f"write the full name of the class as its __module__ and __qualname__ have it"
            )
        real = f"{found.__module__}.{found.__qualname__}"
        if real != full_name:
            fail(
                f"the adapter {subject.name} is for {full_name}, but that class calls itself {real}, which is what "
                f"objects are compared with, so none is ever adapted; write {real!r} in types"
            )


def _type(full_name: str) -> Any:
    parts = full_name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            found: Any = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            found = getattr(found, name, "missing")
        return found
    return None


def _adapted(subject: TargetSubject) -> tuple[Any, Any]:
    """An object, and what setup() made of it."""
    value = subject.object()
    try:
        return value, optreg.create("sgd", lr=0.5).setup(value)
    except optreg.errors.TargetError as error:
        fail(
            f"setup() does not take the example of {subject.name}: {error}; look at types in its spec, and return "
            f"something with namedparams() whose parameters have .data and .grad"
        )


@check("target", level="1")
def check_target_parameters(subject: TargetSubject) -> str:
    """setup() takes the object, and finds parameters with names, arrays and gradients, the same each time."""
    value, optimizer = _adapted(subject)
    named = list(optimizer.target.namedparams())
    if not named:
        fail(f"the adapter {subject.name} finds no parameters in its example, so nothing happens; see what it returns")
    names = [name for name, _ in named]
    if len(set(names)) < len(names) or not all(isinstance(name, str) and name.startswith("/") for name in names):
        fail(
            f"the adapter {subject.name} names parameters {names}; give each a path of its own that begins with /, "
            f"such as /l1/W, by which checkpoints find it again"
        )
    lacking = [name for name, each in named if not (hasattr(each, "data") and hasattr(each, "grad"))]
    if lacking:
        fail(f"{names_in(lacking)} of {subject.name} have no .data or no .grad; give parameters both")
    again = [name for name, _ in optreg.create("sgd").setup(value).target.namedparams()]
    if names != again:
        fail(
            f"the adapter {subject.name} names the same object's parameters {names}, and then {again}; number "
            f"them by their place in the object"
        )
    return f"{len(names)} {'parameter' if len(names) == 1 else 'parameters'}, {names_in(names)}"


@check("target", level="1")
def check_target_updates(subject: TargetSubject) -> None:
    """A step changes the object's own arrays: who adapts the object again sees it."""
    value, optimizer = _adapted(subject)
    before = {name: on_host(each.data) for name, each in optimizer.target.namedparams()}
    _step(optimizer)
    seen = {name: on_host(each.data) for name, each in optreg.create("sgd").setup(value).target.namedparams()}
    for name, array in before.items():
        if not np.allclose(seen[name], array - 0.5):
            fail(
                f"a step on a target of {subject.name} does not reach {name} of the object itself, which still has the "
                f"old numbers; have .data give the object's own array, or a view of its memory, and no copy"
            )


def _step(optimizer: Any) -> None:
    for _, parameter in optimizer.target.namedparams():
        parameter.grad = parameter.data * 0 + 1  # an array of the same kind
    optimizer.update()


@check("target", level="1")
def check_target_gradients_by_name(subject: TargetSubject) -> None:
    """Gradients given by path arrive, and those left out are zeros."""
    _, optimizer = _adapted(subject)
    named = dict(optimizer.target.namedparams())
    first = next(iter(named))
    before = {name: on_host(each.data) for name, each in named.items()}
    optimizer.apply_gradients({first: named[first].data * 0 + 1})
    for name, each in optimizer.target.namedparams():
        expected = before[name] - (0.5 if name == first else 0.0)
        if not np.allclose(on_host(each.data), expected):
            fail(
                f"apply_gradients() on a target of {subject.name} does not do to {name} what its gradient says; have "
                f".grad be an attribute that can be set, also to None, and namedparams() give the same parameters again"
            )


@check("target", level="1")
def check_target_resuming(subject: TargetSubject) -> None:
    """A run on the object that is saved and loaded goes on as the unbroken one."""
    first = optreg.create("momentum_sgd").setup(subject.object())
    second = optreg.create("momentum_sgd").setup(subject.object())
    for _ in range(2):
        _step(first)
    with TemporaryDirectory() as directory:
        optreg.save(Path(directory, "run.npz"), first)
        for (_, ours), (_, theirs) in zip(first.target.namedparams(), second.target.namedparams(), strict=True):
            theirs.data[...] = ours.data
        optreg.load(Path(directory, "run.npz"), second)
    _step(first)
    _step(second)
    for (name, ours), (_, theirs) in zip(first.target.namedparams(), second.target.namedparams(), strict=True):
        if not np.array_equal(on_host(ours.data), on_host(theirs.data)):
            fail(
                f"a run on a target of {subject.name} that was saved and loaded is not the unbroken one: {name} "
                f"differs; have the example, and so namedparams(), give the same names in the same order"
            )
