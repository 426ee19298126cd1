"""What the checks know of optreg that is not public: declarations, and what a traced rule does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np

from optreg.backends.blas import BLAS
from optreg.backends.native import numba_is_installed
from optreg.backends.shares import LARGE
from optreg.base import Optimizer
from optreg.compare.task import Task
from optreg.copying import attributes_of
from optreg.declarations import KINDS
from optreg.errors import did_you_mean
from optreg.hook import is_rule_hook, observes, prepare_hook_states
from optreg.hyperparameters import Hyperparameter
from optreg.lookup import discovery, find, implementation, is_installed, is_known, offers
from optreg.offers import BUILTIN, Offer, Plugin
from optreg.optimizer import GradientMethod
from optreg.passes import rule_inputs
from optreg.registry import hook_set
from optreg.rule import Measure, has_rule, measures, rule_of
from optreg.signatures import signature
from optreg.snapshots import GENERATORS
from optreg.tracing.nodes import Load, Reduction, Rule, Value, in_order, operands_of
from optreg.tracing.trace import trace

__all__ = ["BLAS", "LARGE", "GradientMethod", "Optimizer", "Task", "hook_set"]

ROUNDED = frozenset({"exp", "expm1", "log", "log1p", "power", "remainder", "tanh"})
"""Functions whose last bits differ from one library to another."""


@attrs.frozen
class Declared:
    """A declaration, and where it was found."""

    offer: Offer

    @property
    def kind(self) -> str:
        """Such as "optimizer"."""
        return self.offer.spec.kind

    @property
    def name(self) -> str:
        """What to call it by."""
        return self.offer.shown_name

    @property
    def namespace(self) -> str:
        """The first part of the full name."""
        return self.offer.plugin.namespace

    @property
    def is_builtin(self) -> bool:
        """Whether it is optreg's own."""
        return self.namespace == BUILTIN

    @property
    def is_installed(self) -> bool:
        """Whether a distribution declares it, rather than a call of ``register()`` in this process."""
        return self.is_builtin or bool(self.offer.plugin.claims)

    @property
    def spec(self) -> Any:
        """The declaration itself."""
        return self.offer.spec

    @property
    def missing(self) -> list[str]:
        """What it requires that is not installed."""
        return [each for each in getattr(self.spec, "requires", ()) if not is_installed(each)]

    def implementation(self) -> Any:
        """What its target names, imported now; raises a PluginError where that is not possible."""
        return implementation(self.offer)


def declared(kind: str, name: str) -> Declared:
    """The declaration of a name; raises an UnknownNameError that suggests others."""
    return Declared(find(kind, name))


def kinds_of(name: str) -> list[str]:
    """The kinds that have something of this name."""
    return [kind for kind in KINDS if is_known(kind, name)]


def did_you_mean_anything(name: str) -> str:
    """Return " Did you mean …?" with the names of any kind that look like this one."""
    return did_you_mean(name, [offer.shown_name for kind in KINDS for offer in offers(kind)])


def declared_in(namespace: str) -> list[Declared]:
    """Everything that a namespace offers, kind by kind; no package of another namespace is imported for it."""
    plugins = _plugins_of(namespace)
    return [Declared(offer) for kind in KINDS for plugin in plugins for offer in plugin.offered(kind)]


def problems_of(namespace: str) -> list[str]:
    """What is wrong with the packages that claim a namespace; empty where there is none."""
    return [f"{plugin.origin} {problem}" for plugin in _plugins_of(namespace) for problem in plugin.problems]


def _plugins_of(namespace: str) -> list[Plugin]:
    found = [*discovery().known(), *discovery().installed()]
    plugins = [plugin for plugin in found if plugin.namespace == namespace]
    for plugin in plugins:
        discovery().load(plugin)
    return plugins


def backend_names(namespace: str) -> list[str]:
    """The names of the built-in backends, and of those in a namespace."""
    found = [*declared_in(BUILTIN), *(declared_in(namespace) if namespace != BUILTIN else ())]
    return [each.name for each in found if each.kind == "backend"]


def missing_for(backend: str) -> list[str]:
    """What a built-in backend needs that is not installed, even though it does without in some way."""
    return ["numba"] if backend == "numba" and not numba_is_installed() else []


def hyperparameters_of(cls: type) -> tuple[list[Hyperparameter], bool]:
    """The arguments of the class of an optimizer or hook, and whether any other keyword is taken."""
    known = signature(cls)
    return [each for each in known.fields.values() if not each.is_common], known.open


def overrides_update(optimizer: Any) -> bool:
    """Whether an optimizer makes its steps itself, rather than by a rule or parameter by parameter."""
    return type(optimizer).update is not GradientMethod.update


def declares_elementwise(owner: Any) -> bool:
    """Whether an optimizer's steps, or a hook, are a rule that says it sees one element at a time."""
    if getattr(owner, "elementwise", True) is False or not has_rule(owner):
        return False
    if not isinstance(owner, GradientMethod):
        return is_rule_hook(owner)
    cls = type(owner)
    own = ("update", "update_one", "update_one_cpu")
    return not any(getattr(cls, method) is not getattr(GradientMethod, method) for method in own)


def traced_rule(owner: Any, optimizer: Any) -> Rule:
    """What the rule of an optimizer, or of one of its hooks, does at the optimizer's present ``t``.

    Raises:
        UntraceableRuleError: it cannot be compiled.
    """
    (name, parameter), *_ = optimizer.target.namedparams()
    states = optimizer._states
    if owner is not optimizer:
        known_as = next(name for name, hook in optimizer._hooks.items() if hook is owner)
        states = prepare_hook_states(optimizer).get(known_as, {})
    rule = rule_of(owner, parameter)
    return trace(rule, rule_inputs(rule, parameter, states.get(name, {})))


def adds_up(owner: Any) -> bool:
    """Whether an optimizer measures all tensors, and adapts to the totals."""
    return measures(owner)


def traced_measure(optimizer: Any) -> Rule:
    """What the optimizer measures of a tensor, as a rule that stores it.

    Raises:
        UntraceableRuleError: it cannot be compiled.
    """
    (name, parameter), *_ = optimizer.target.namedparams()
    measure = Measure(optimizer)
    state = {**optimizer._states.get(name, {}), **{total: np.zeros(()) for total in measure.totals}}
    return trace(measure, rule_inputs(measure, parameter, state))


def sees_all_gradients(owner: Any) -> bool:
    """Whether a hook looks at all gradients together, before its rule runs."""
    return observes(owner)


def hook_of(optimizer: Any, name: str) -> Any:
    """The hook that an optimizer knows by a name."""
    return optimizer._hooks[name]


def is_exact(rule: Rule) -> bool:
    """Whether every backend gives the same bits: no sums, and no function that libraries round differently."""
    values = in_order(value for _, value in rule.stores)
    inexact = (isinstance(each, Reduction) or getattr(each, "function", "") in ROUNDED for each in values)
    return not any(inexact)


@attrs.frozen
class Passes:
    """How often a step goes over memory, in arrays of the parameter's size."""

    reads: int
    writes: int
    passes: int

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.reads + other.reads, self.writes + other.writes, self.passes + other.passes)

    def __str__(self) -> str:
        times = "one pass" if self.passes == 1 else f"{self.passes} passes"
        arrays = "array" if self.writes == 1 else "arrays"
        return f"reads {self.reads} and writes {self.writes} {arrays} of the parameter's size, {times}"


def passes_of(rule: Rule, keeps_gradient: bool) -> Passes:
    """Count what a rule, compiled, reads and writes; what it does to the gradient may be for itself alone."""
    stores = [(at, value) for at, value in rule.stores if not (keeps_gradient and rule.inputs[at].name == "grad")]
    depths: dict[Value, int] = {}
    for value in in_order(value for _, value in stores):
        below = max((depths[each] for each in operands_of(value)), default=0)
        depths[value] = below + isinstance(value, Reduction)
    stages = max(depths.values(), default=0)
    reads = 0
    for stage in range(1, stages + 1):
        of_stage = [value for value, depth in depths.items() if isinstance(value, Reduction) and depth == stage]
        reads += len(_loaded(value.operand for value in of_stage))
    written = [at for at, _ in stores if not rule.inputs[at].single]
    last = _loaded(value for _, value in stores)
    return Passes(reads + len(last), len(written), stages + bool(last or written))


def _loaded(values: Iterable[Value]) -> set[int]:
    """The arrays of the parameter's size that values are made of, where reductions are known already."""
    loads = (each for each in in_order(values, known=Reduction) if isinstance(each, Load))
    return {each.array for each in loads if not each.single}


def is_random(owner: Any) -> bool:
    """Whether an optimizer or hook holds a random generator, which goes on from one run to the next."""
    return any(isinstance(value, GENERATORS) for value in attributes_of(owner).values())
