"""The plan of a step: which rules run together in one pass over memory, and what has to run between the passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from optreg.hook import is_rule_hook, observes, timing_of
from optreg.rule import sees_before


@attrs.frozen
class Plan:
    """The hooks of a step in their order, as stages.

    Attributes:
        hooks: all of them, as they were registered.
        before: what runs before the update: tuples of rule hooks that share a pass, and callables that run alone.
        fused: the last elementwise rule hooks before the update, in the pass of the optimizer's rule.
        fused_after: the first rule hooks after the update, in that pass as well.
        after: what runs after the update.
        is_one_pass: nothing happens before the pass of the optimizer's rule.
        sees_before: a hook wants the parameters as they were before the update.
        keeps_before: one of these hooks does not share the pass of the optimizer's rule.
    """

    hooks: tuple[Any, ...]
    before: tuple[Any, ...]
    fused: tuple[Any, ...]
    fused_after: tuple[Any, ...]
    after: tuple[Any, ...]
    is_one_pass: bool
    sees_before: bool
    keeps_before: bool


def plan_hooks(hooks: Iterable[Any]) -> Plan:
    """Order the hooks into the fewest passes that keep what each of them sees."""
    hooks = tuple(hooks)
    before = _stages([hook for hook in hooks if timing_of(hook) == "pre"])
    after = _stages([hook for hook in hooks if timing_of(hook) == "post"])
    fused = before.pop() if before and _may_be_fused(before[-1]) else ()
    fused_after = after.pop(0) if after and _may_be_fused(after[0]) and not observes(after[0][0]) else ()
    is_one_pass = not before and not (fused and observes(fused[0]))
    seeing = [hook for hook in hooks if sees_before(hook)]
    apart = any(hook not in fused_after for hook in seeing)
    return Plan(hooks, tuple(before), fused, fused_after, tuple(after), is_one_pass, bool(seeing), apart)


def _stages(hooks: Sequence[Any]) -> list[Any]:
    """Rule hooks that run together as tuples, of which only the first may observe; other callables alone.

    A rule that needs whole tensors shares no pass: nothing is gained by it, and what it raises comes before any change.
    """
    stages: list[Any] = []
    for hook in hooks:
        if not is_rule_hook(hook):
            stages.append(hook)
        elif stages and _may_be_fused(stages[-1]) and _is_elementwise(hook) and not observes(hook):
            stages[-1] += (hook,)
        else:
            stages.append((hook,))
    return stages


def _may_be_fused(stage: Any) -> bool:
    return isinstance(stage, tuple) and all(map(_is_elementwise, stage))


def _is_elementwise(hook: Any) -> bool:
    return getattr(hook, "elementwise", True) is not False
