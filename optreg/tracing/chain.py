"""Join the rules of hooks and of the optimizer into one, which computes every element once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from optreg.rule import BEFORE
from optreg.tracing.nodes import (
    DType,
    HostValue,
    Input,
    Load,
    Operation,
    Reduction,
    Rule,
    Size,
    Value,
    cast,
    in_order,
    operation,
)

SHARED = ("param", "grad")


@attrs.frozen
class Link:
    """A rule of a chain.

    ``keeps_gradient``: what it does to ``grad`` is not meant to be seen, by the user or by the rules after it.
    ``sees_before``: its input of that name is the parameter as it was before the first rule.
    """

    rule: Rule
    keeps_gradient: bool
    sees_before: bool = False


def chain(links: Sequence[Link]) -> Rule:
    """One rule that does what the links do, one after another.

    The slots of the link number ``k`` become inputs named ``k.slot``; ``self`` in its scalars and guards becomes
    ``owners[k]``.
    """
    inputs: dict[str, Input] = {}
    values: dict[str, Value] = {}
    scalars: dict[str, int] = {}
    guards: dict[str, bool] = {}
    for number, link in enumerate(links):
        names = [each.name if each.name in SHARED else f"{number}.{each.name}" for each in link.rule.inputs]
        before = f"{number}.{BEFORE}" if link.sees_before else None
        if before is not None:
            values[before] = Load(0, inputs["param"].dtype, inputs["param"].single)
        for name, each in zip(names, link.rule.inputs, strict=True):
            if name not in values:
                values[name] = Load(len(inputs), each.dtype, each.single)
                inputs[name] = attrs.evolve(each, name=name)
        positions = [scalars.setdefault(_of_owner(source, number), len(scalars)) for source in link.rule.scalars]
        guards |= {_of_owner(source, number): truth for source, truth in link.rule.guards}
        present = [cast(values[name], each.dtype) for name, each in zip(names, link.rule.inputs, strict=True)]
        moved = _moved(link.rule, present, positions)
        stored = {names[at]: value for at, value in zip((at for at, _ in link.rule.stores), moved, strict=True)}
        if link.keeps_gradient:
            stored.pop("grad", None)
        values.pop(before or "", None)
        stored.pop(before or "", None)
        values |= {name: cast(value, inputs[name].dtype) for name, value in stored.items()}
    order = list(inputs)
    stores = tuple(
        (order.index(name), value) for name, value in values.items() if not _is_untouched(value, order, name)
    )
    return Rule(tuple(inputs.values()), tuple(scalars), tuple(guards.items()), stores)


def stored_as(rule: Rule, dtypes: Mapping[str, DType]) -> Rule:
    """The rule on arrays of other dtypes: the named inputs are converted as they are loaded and as they are stored."""
    inputs = tuple(attrs.evolve(each, dtype=dtypes.get(each.name, each.dtype)) for each in rule.inputs)
    loads = [
        cast(Load(position, new.dtype, new.single), old.dtype)
        for position, (new, old) in enumerate(zip(inputs, rule.inputs, strict=True))
    ]
    moved = _moved(rule, loads, range(len(rule.scalars)))
    stores = ((at, cast(value, inputs[at].dtype)) for (at, _), value in zip(rule.stores, moved, strict=True))
    return attrs.evolve(rule, inputs=inputs, stores=tuple(stores))


def with_master(rule: Rule, stored: DType) -> Rule:
    """The rule on a copy of the parameter in full precision, a last input ``master``; the parameter gets its rounding.

    As in ``optreg.masters``, the copy counts where it rounds to the parameter.
    """
    wide = rule.inputs[0].dtype
    master, param = Load(len(rule.inputs), wide, single=False), cast(Load(0, stored, single=False), wide)
    is_right = operation("equal", [cast(cast(master, stored), wide), param], np.dtype(bool))
    present = operation("where", [is_right, master, param], wide)
    others = [Load(position, each.dtype, each.single) for position, each in enumerate(rule.inputs)][1:]
    moved = _moved(rule, [present, *others], range(len(rule.scalars)))
    stores: list[tuple[int, Value]] = []
    for (position, _), value in zip(rule.stores, moved, strict=True):
        stores += [(master.array, value), (0, cast(value, stored))] if position == 0 else [(position, value)]
    inputs = (attrs.evolve(rule.inputs[0], dtype=stored), *rule.inputs[1:], Input("master", wide))
    return attrs.evolve(rule, inputs=inputs, stores=tuple(stores))


def _is_untouched(value: Value, order: Sequence[str], name: str) -> bool:
    return isinstance(value, Load) and value.array == order.index(name)


def _of_owner(source: str, number: int) -> str:
    return re.sub(r"\bself\.", f"owners[{number}].", source)


def _moved(rule: Rule, present: Sequence[Value], positions: Sequence[int]) -> list[Value]:
    """What a rule stores, with loads replaced by what the arrays hold by now, and scalars by their new positions."""
    moved: dict[Value, Value] = {}
    stored = [value for _, value in rule.stores]
    for value in in_order(stored):
        if isinstance(value, Operation):
            moved[value] = attrs.evolve(value, operands=tuple(moved[each] for each in value.operands))
        elif isinstance(value, Reduction):
            moved[value] = attrs.evolve(value, operand=moved[value.operand])
        elif isinstance(value, Size):
            moved[value] = value
        elif isinstance(value, HostValue):
            moved[value] = attrs.evolve(value, position=positions[value.position])
        else:
            moved[value] = present[value.array]
    return [moved[value] for value in stored]
