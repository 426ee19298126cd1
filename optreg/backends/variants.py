"""Forms of the rules of a pass, joined into one: one for each combination of dtypes, slots and branches taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import attrs
import numpy as np

from optreg.arrays import compute_dtype
from optreg.backends.work import BoundRule
from optreg.rule import BEFORE, OwnedRule, flags_of, sees_before
from optreg.tracing.chain import Link, chain, stored_as, with_master
from optreg.tracing.nodes import DType, Input, Rule
from optreg.tracing.trace import Inputs, condition, guard, trace, traced, types_of

SlotType: TypeAlias = tuple[DType, bool] | None
"""The dtype of a slot, and whether it is one number for the whole tensor; None for one that is not in use."""


@attrs.frozen
class Signature:
    """What a kernel depends on of a tensor: the dtypes of its arrays, those of complex ones by their real parts.

    They are those in which the arrays are stored; the arithmetic may be that of wider ones.
    Complex tensors have two numbers an element, so they are no job of the same kernel with real ones. With a master,
    rules work on a copy of the parameter in full precision.
    """

    param: DType
    grad: DType
    slots: tuple[tuple[SlotType, ...], ...]
    is_complex: bool
    has_master: bool


Kernels = TypeVar("Kernels")
"""What a backend compiles a rule to."""


@attrs.define(eq=False)
class Variant(Generic[Kernels]):
    """The rules of a pass, joined into one and compiled, for as long as the guards hold.

    Attributes:
        rule: the joined rule.
        kernels: what the backend has made of it.
        lasts: it is right for longer than this step.
        types: of the scalars; None if they could not be evaluated.
        holds: whether the rules would take the same branches now, with numbers of the same types, given their owners.
    """

    rule: Rule
    kernels: Kernels
    lasts: bool
    holds: Callable[[Sequence[Any]], bool]
    types: tuple[type, ...] | None
    _scalars: Callable[..., tuple[float, ...]] = attrs.field(init=False)
    _now: Callable[..., tuple[Any, ...] | None] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        text = "".join(f"{source}, " for source in self.rule.scalars)
        self._scalars = eval(f"lambda owners, np: ({text})")
        self._now = eval(f"lambda owners, np: ({text}) if {condition(self.rule.guards)} else None")

    def scalars(self, owners: Sequence[Any]) -> tuple[float, ...]:
        """The scalars of this step."""
        return self._scalars(owners, np)

    def scalars_if_right(self, owners: Sequence[Any]) -> tuple[Any, ...] | None:
        """The scalars of this step; None if the rules would take other branches, or the numbers are of other types."""
        scalars = self._now(owners, np)
        return scalars if scalars is not None and tuple(map(type, scalars)) == self.types else None


_VARIANTS: dict[Any, list[Variant[Any]]] = {}


def variant_of(
    bound: Sequence[BoundRule], signature: Signature, compiled: Callable[[Rule], Kernels]
) -> Variant[Kernels]:
    """The variant that the owners' present hyperparameters and ``t`` ask for, traced and compiled where it is new.

    Raises:
        UntraceableRuleError: a rule cannot be compiled.
    """
    owners, rules = [each.owner for each in bound], [each.rule for each in bound]
    keeps_gradient = tuple(not each.changes_gradients for each in bound)
    texts = tuple((type(rule.owner), rule.function, flags_of(rule.owner)) for rule in rules)
    known = _VARIANTS.setdefault((compiled, texts, keeps_gradient, signature), [])
    for variant in known:
        if variant.holds(owners):
            return variant
    inputs = [_inputs(rule, signature, slots) for rule, slots in zip(rules, signature.slots, strict=True)]
    together = list(zip(rules, inputs, strict=True))
    befores = [_is_before(rule, slots) for rule, slots in zip(rules, signature.slots, strict=True)]
    links = zip(together, keeps_gradient, befores, strict=True)
    joined = chain([Link(trace(*each), keeps, before) for each, keeps, before in links])
    if signature.has_master:
        joined = with_master(joined, signature.param)
    joined = stored_as(joined, _stored(rules, signature))
    lasts = not any(traced(*each).fleeting for each in together)
    same_branches, types = guard(joined.guards, "owners"), types_of(joined.scalars, "owners")
    known_types = types(owners)
    variant = Variant(
        rule=joined,
        kernels=compiled(joined),
        lasts=lasts,
        holds=lambda owners: same_branches(owners) and types(owners) in (known_types, None),
        types=known_types,
    )
    if variant.lasts:
        known.append(variant)
    return variant


def _is_before(rule: OwnedRule, slots: Sequence[SlotType]) -> bool:
    """Whether the rule is to see the parameter as it was at the beginning of the pass."""
    return sees_before(rule.owner) and slots[rule.slots.index(BEFORE)] is None


def _inputs(rule: OwnedRule, signature: Signature, slots: Sequence[SlotType]) -> Inputs:
    if _is_before(rule, slots):
        at = rule.slots.index(BEFORE)
        slots = [*slots[:at], (signature.param, False), *slots[at + 1 :]]
    return (
        Input("param", compute_dtype(signature.param)),
        Input("grad", compute_dtype(signature.grad)),
        *(
            None if slot is None else Input(name, compute_dtype(slot[0]), slot[1])
            for name, slot in zip(rule.slots, slots, strict=True)
        ),
    )


def _stored(rules: Sequence[OwnedRule], signature: Signature) -> dict[str, DType]:
    """The dtypes of the arrays, by the names of the joined rule."""
    dtypes = {"param": signature.param, "grad": signature.grad}
    for number, (rule, slots) in enumerate(zip(rules, signature.slots, strict=True)):
        named = zip(rule.slots, slots, strict=True)
        dtypes |= {f"{number}.{name}": slot[0] for name, slot in named if slot is not None}
    return dtypes
