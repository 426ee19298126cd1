"""What checks are made on: an optimizer, hook, backend, … by name, and how one is made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar

import attrs
import numpy as np

import optreg
from optreg.testing import internals
from optreg.testing.internals import Declared
from optreg.testing.problems import Contents, Problem, contents_of
from optreg.testing.results import CheckSkipped, fail, skip

GUESS = 0.1
"""What a hyperparameter without a default is where nobody says."""


@attrs.define(eq=False, slots=False)
class Subject:
    """Something that a package offers."""

    kind: ClassVar[str]
    name: str

    @cached_property
    def declared(self) -> Declared:
        """Its declaration; raises an UnknownNameError that suggests others."""
        return internals.declared(self.kind, self.name)

    def implementation(self) -> Any:
        """What the declaration's target names; skips the check where a requirement is not installed."""
        try:
            declared = self.declared
            if declared.missing:
                skip(f"{' and '.join(declared.missing)} is not installed, which {self.name} requires")
            return declared.implementation()
        except optreg.errors.OptregError as error:
            fail(str(error))

    def try_out(self) -> None:
        """Make one, where that is possible without more; fails where it should be."""


@attrs.define(eq=False, slots=False)
class Made(Subject):
    """An optimizer or a hook: a class that is made with hyperparameters, or a function.

    Attributes:
        hyperparameters: as the author gave them to the suite.
    """

    hyperparameters: Mapping[str, Any] = attrs.Factory(dict)

    def arguments(self) -> dict[str, Any]:
        """What it is made with: what was given, a seed where it takes one, a guess for what must be given."""
        cls = self.implementation()
        known = internals.hyperparameters_of(cls)[0] if isinstance(cls, type) else []
        guesses = {each.name: GUESS for each in known if each.required}
        seeds = {each.name: 0 for each in known if each.name == "seed" and each.default is None}
        return {**guesses, **seeds, **self.hyperparameters}

    def _make(self, make: Callable[..., Any], given: str, changes: Mapping[str, Any]) -> Any:
        self.implementation()
        try:
            return make(self.name, **(self.arguments() | dict(changes)))
        except (optreg.errors.OptregError, TypeError, ValueError) as error:
            if changes:
                raise
            fail(f"{self.name} cannot be made: {error}; say with which values, as in {given}")


@attrs.define(eq=False, slots=False)
class OptimizerSubject(Made):
    """An optimizer."""

    kind = "optimizer"

    def create(self, **changes: Any) -> Any:
        """A new one, with the author's hyperparameters and some others."""
        return self._make(optreg.create, f"optimizer_suite({self.name!r}, hyperparameters={{...}})", changes)

    def try_out(self) -> None:
        self.create()
        arguments = {each.name: each.default for each in internals.hyperparameters_of(self.implementation())[0]}
        arguments |= self.arguments()
        for name, named in self.declared.spec.defaults.items():
            left_open = {each: value for each, value in arguments.items() if each not in named.values}
            try:
                optreg.create(self.name, **left_open | {"defaults": name})
            except (optreg.errors.OptregError, TypeError, ValueError) as error:
                fail(f"{self.name} cannot be made with its defaults {name!r}: {error}; correct them in its declaration")

    def on(self, problem: Problem, **changes: Any) -> Any:
        """A new one, set up."""
        return self.create(**changes).setup(problem.arrays)

    def run(self, batches: Iterable[int], problem: Problem | None = None, **changes: Any) -> Contents:
        """What a new one has made of a problem after these batches."""
        problem = Problem() if problem is None else problem
        return contents_of(problem.run(self.on(problem, **changes), batches))

    @property
    def own_update(self) -> bool:
        """Whether it overrides ``update()`` as a whole."""
        return internals.overrides_update(self.create())


def why_inexact(owner: Any, optimizer: Any) -> str:
    """Why the bits of an optimizer's steps, or of its hook, may depend on the backend; empty where they do not."""
    if not internals.declares_elementwise(owner):
        return "it is not an elementwise rule"
    try:
        exact = internals.is_exact(internals.traced_rule(owner, optimizer))
    except optreg.errors.UntraceableRuleError:
        return "the rule cannot be compiled"
    if internals.adds_up(owner):
        return "it adapts to sums over all tensors"
    return "" if exact else "the rule has sums, or functions that libraries round differently"


@attrs.define(eq=False, slots=False)
class HookSubject(Made):
    """A hook."""

    kind = "hook"

    def make(self, **changes: Any) -> Any:
        """A new one, with the author's arguments and some others."""
        return self._make(optreg.create_hook, f"hook_suite({self.name!r}, arguments={{...}})", changes)

    def try_out(self) -> None:
        self.make()

    def on(self, problem: Problem, optimizer: str = "momentum_sgd", **changes: Any) -> Any:
        """An optimizer that has the hook, set up."""
        made = optreg.create(optimizer)
        made.add_hook(self.make(**changes), self.name)
        return made.setup(problem.arrays)

    def added(self, optimizer: Any) -> Any:
        """The hook that :meth:`on` has added to an optimizer."""
        return internals.hook_of(optimizer, self.name)

    def run(self, batches: Iterable[int], problem: Problem | None = None, **changes: Any) -> Contents:
        """What an optimizer with a new one has made of a problem after these batches."""
        problem = Problem() if problem is None else problem
        return contents_of(problem.run(self.on(problem, **changes), batches))


@attrs.define(eq=False, slots=False)
class BackendSubject(Subject):
    """A backend."""

    kind = "backend"

    def arrays(self) -> Any:
        """The module whose arrays it works on; skips the check where there is no device for them."""
        return array_module_of(self.name)


def array_module_of(backend: str) -> Any:
    """The module whose arrays a backend works on.

    Raises:
        CheckSkipped: it is not installed, or there is no device.
    """
    declared = internals.declared("backend", backend)
    missing = declared.missing or internals.missing_for(backend)
    if missing:
        skip(f"{' and '.join(missing)} is not installed")
    name = getattr(declared.implementation(), "array_module", "numpy")
    try:
        module = import_module(name)
        module.zeros(1)
    except ModuleNotFoundError as error:
        skip(f"{error.name} is not installed")
    except Exception as error:
        skip(f"no {'GPU' if name == 'cupy' else 'device'} that {name} could use: {error}")
    return module


def usable_backends(subject: Subject) -> Iterator[tuple[str, Any, str]]:
    """Every backend but NumPy that is built in or of the same package: its name, the module of its arrays, or why not.

    Those of other packages are for their own suites: what else is installed must not decide who passes.
    """
    for name in internals.backend_names(subject.declared.namespace):
        if name != "numpy":
            try:
                yield name, array_module_of(name), ""
            except CheckSkipped as reason:
                yield name, None, str(reason)


@contextmanager
def compiled_at_once(backend: str) -> Iterator[None]:
    """Run rules with a backend that waits for its compiler rather than letting NumPy do the first steps."""
    with _environment("OPTREG_COMPILE", "now"), optreg.use_backend(backend):
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run rules as they are written, with so many threads of optreg's own and none of the BLAS."""
    with (
        _environment("OPTREG_NUM_THREADS", str(count)),
        internals.BLAS.one_thread_each(),
        optreg.use_backend("numpy"),
    ):
        yield


@contextmanager
def _environment(variable: str, value: str) -> Iterator[None]:
    before = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        del os.environ[variable]
        if before is not None:
            os.environ[variable] = before


def reference(run: Callable[[Any], Contents]) -> Contents:
    """What ``run`` gives on NumPy's arrays with the backend that runs rules as they are written."""
    with optreg.use_backend("numpy"):
        return run(np)


@attrs.define(eq=False, slots=False)
class TargetSubject(Subject):
    """A target adapter.

    Attributes:
        example: makes a new object that the adapter is for, with the same numbers each time.
    """

    kind = "target"
    example: Callable[[], Any] | None = None

    def object(self) -> Any:
        """A new object that the adapter is for; skips the check where nobody said how to make one."""
        self.implementation()
        if self.example is None:
            skip(f"no object to adapt: say how to make one, as in target_suite({self.name!r}, example=function)")
        return self.example()


@attrs.define(eq=False, slots=False)
class HookSetSubject(Subject):
    """A hook set."""

    kind = "hook set"


@attrs.define(eq=False, slots=False)
class TaskSubject(Subject):
    """A task of ``optreg compare``."""

    kind = "task"


@attrs.define(eq=False, slots=False)
class CommandSubject(Subject):
    """A command of ``optreg``."""

    kind = "command"
