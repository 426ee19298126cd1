"""Join the rules of hooks and of the optimizer into one, which computes every element once."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from optreg.tracing.nodes import HostValue, Input, Load, Rule, Value, cast

SHARED = ("param", "grad")


@attrs.frozen
class Link:
    """A rule of a chain.

    ``keeps_gradient``: what it does to ``grad`` is not meant to be seen, by the user or by the rules after it.
    """

    rule: Rule
    keeps_gradient: bool


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
        for name, each in zip(names, link.rule.inputs, strict=True):
            if name not in inputs:
                values[name] = Load(len(inputs), each.dtype, each.single)
                inputs[name] = attrs.evolve(each, name=name)
        positions = [scalars.setdefault(_of_owner(source, number), len(scalars)) for source in link.rule.scalars]
        guards |= {_of_owner(source, number): truth for source, truth in link.rule.guards}
        present = [cast(values[name], each.dtype) for name, each in zip(names, link.rule.inputs, strict=True)]
        moved: dict[Value, Value] = {}
        stored = {names[at]: _moved(value, present, positions, moved) for at, value in link.rule.stores}
        if link.keeps_gradient:
            stored.pop("grad", None)
        values |= {name: cast(value, inputs[name].dtype) for name, value in stored.items()}
    order = list(inputs)
    stores = tuple(
        (order.index(name), value) for name, value in values.items() if not _is_untouched(value, order, name)
    )
    return Rule(tuple(inputs.values()), tuple(scalars), tuple(guards.items()), stores)


def _is_untouched(value: Value, order: Sequence[str], name: str) -> bool:
    return isinstance(value, Load) and value.array == order.index(name)


def _of_owner(source: str, number: int) -> str:
    return source.replace("self.", f"owners[{number}].")


def _moved(value: Value, present: Sequence[Value], positions: Sequence[int], moved: dict[Value, Value]) -> Value:
    """The value with loads replaced by what the arrays hold by now, and scalars by their places in the chain."""
    if value not in moved:
        if isinstance(value, Load):
            moved[value] = present[value.array]
        elif isinstance(value, HostValue):
            moved[value] = attrs.evolve(value, position=positions[value.position])
        else:
            operands = tuple(_moved(each, present, positions, moved) for each in value.operands)
            moved[value] = attrs.evolve(value, operands=operands)
    return moved[value]
