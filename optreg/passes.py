"""A pass: rules of hooks and of the optimizer, run one after another on every parameter, once over memory."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import attrs

from optreg.arrays import Array, are_captured, compute_dtype, device_of
from optreg.backends import current_backend
from optreg.backends.work import BoundRule, Group, Repeatable, Tensor, Work
from optreg.errors import HyperparameterError, OptregError
from optreg.gradients import fit_gradients
from optreg.masters import MASTER, has_master, present, wants_master
from optreg.overlaps import part_gradients
from optreg.rule import BEFORE, OwnedRule, keeps_states, rule_of, sees_before, used_slots
from optreg.signatures import NOTHING, holding, overrides_at, values_at
from optreg.states import States
from optreg.targets import named_parameters
from optreg.tracing.nodes import Input
from optreg.tracing.trace import Inputs, traced


def run(work: Work) -> Repeatable | None:
    """Change the arrays, in place, with the backend of the moment; returns what the backend can do again."""
    backend = current_backend()
    if not getattr(backend, "decides_on_device", False) and not work.decision.is_made():
        return None
    return backend.run(work)


def prepare_pass(
    optimizer: Any,
    timed: Sequence[tuple[Any, int]],
    further: OwnedRule | None = None,
    numbers: Mapping[str, dict[str, Any]] = NOTHING,
) -> Work:
    """Make a pass ready over every parameter that has a gradient.

    Args:
        optimizer: whose target, states and options count.
        timed: the owners of the rules in their order, each with the ``t`` that its rule sees.
        further: what the optimizer does in this pass, in place of the rule that it has for a parameter.
        numbers: slots of that which are not in the states, by path.

    Raises:
        GradientError: a gradient does not fit its parameter.
        HyperparameterError: a schedule gives a value out of bounds.
    """
    parameters = [(name, each) for name, each in named_parameters(optimizer.target) if each.grad is not None]
    if are_captured(each.data for _, each in parameters):
        raise OptregError(
            "this step cannot be captured into a CUDA graph, because it was not made before as it is now, or not by "
            "compiled kernels alone; make a step with update() before the capture begins"
        )
    fit_gradients(parameters)
    part_gradients(parameters, changing=any(getattr(owner, "changes_gradients", False) for owner, _ in timed))
    states = [_states_of(owner, optimizer, parameters) for owner, _ in timed]
    if numbers:
        of_both = {name: ChainMap(numbers[name], optimizer._states[name]) for name, _ in parameters}
        states = [of_both if owner is optimizer else each for (owner, _), each in zip(timed, states, strict=True)]
    hooks = [(owner, t, values_at(owner, step_of(owner, t))) for owner, t in timed if owner is not optimizer]
    own_t = next((t for owner, t in timed if owner is optimizer), None)
    if own_t is None:
        names = [name for name, _ in parameters]
        states = [_with_before(optimizer, owner, each, names) for (owner, _), each in zip(timed, states, strict=True)]
    groups = [(NOTHING, parameters)] if own_t is None else groups_at(optimizer, parameters, own_t)
    work = Work(optimizer, hooks, [])
    kept = [(owner, each) for (owner, _), each in zip(timed, states, strict=True)]
    with work.hooks_held(), holding(optimizer, {} if own_t is None else {"t": own_t}):
        ready = [
            attrs.evolve(_group(optimizer, values, kept, alike, further), run=run)
            for run, (values, members) in enumerate(groups)
            if members and kept
            for alike in _with_equal_rules(optimizer, values, members, own_t)
        ]
    return attrs.evolve(work, groups=ready)


def _with_equal_rules(
    optimizer: Any, values: Mapping[str, Any], members: list[tuple[str, Any]], own_t: int | None
) -> list[list[tuple[str, Any]]]:
    """The members, parted by the optimizer's rule for them, if that is in the pass."""
    if own_t is None or not optimizer._overrides("rule_for"):
        return [members]
    parts: dict[str, list[tuple[str, Any]]] = {}
    with holding(optimizer, values):
        for member in members:
            parts.setdefault(rule_of(optimizer, member[1]).name, []).append(member)
    return list(parts.values())


def _group(
    optimizer: Any,
    values: Mapping[str, Any],
    kept: Sequence[tuple[Any, Mapping[str, Any] | None]],
    members: Sequence[tuple[str, Any]],
    further: OwnedRule | None,
) -> Group:
    with holding(optimizer, values):
        for owner, each in kept:
            if each is not None:
                _check_slots(owner, *members[0], each[members[0][0]])
            if owner is optimizer:
                _check_masters(optimizer, members)
        # A tensor with axes tells the slots that follow them from those that are one number.
        like_name, like = max(members, key=lambda pair: pair[1].data.ndim)
        rules = [
            _bound(
                further if further is not None and owner is optimizer else rule_of(owner, like),
                like,
                {} if each is None else each[like_name],
            )
            for owner, each in kept
        ]
    tensors = [
        Tensor(name, parameter, [{} if each is None else each[name] for _, each in kept], _master_of(optimizer, name))
        for name, parameter in members
    ]
    return Group(values, rules, tensors)


def _master_of(optimizer: Any, name: str) -> dict[str, Any] | None:
    """The state that holds the copy of a parameter in full precision, if there is one."""
    state = optimizer._states.get(name, NOTHING)
    return state if has_master(optimizer, state) else None


def _check_masters(optimizer: Any, members: Sequence[tuple[str, Any]]) -> None:
    for name, parameter in members:
        wanted = wants_master(optimizer, parameter.data)
        if wanted != (_master_of(optimizer, name) is not None):
            raise HyperparameterError(
                f"{type(optimizer).__name__}: master_weights is now {wanted}, but the state of {name} was made "
                f"with{'out' if wanted else ''} a copy of it; choose it before setup(), or call setup() again"
            )


def _check_slots(owner: Any, name: str, parameter: Any, state: Mapping[str, Any]) -> None:
    missing = [slot for slot in used_slots(owner, parameter) if slot not in state]
    if missing:
        raise HyperparameterError(
            f"{type(owner).__name__} now uses the slot {missing[0]!r}, but the state of {name} was made without it; "
            f"choose the hyperparameters that need it before setup(), or call setup() again"
        )


def run_rule(optimizer: Any, parameter: Any, state: dict[str, Any]) -> None:
    """Run the optimizer's rule on one parameter, with the hyperparameters as they are."""
    bound = _bound(rule_of(optimizer, parameter), parameter, state)
    group = Group(NOTHING, [bound], [Tensor("", parameter, [state])])
    run(Work(optimizer, [], [group]))


def groups_at(
    optimizer: Any, parameters: Sequence[tuple[str, Any]], t: int
) -> list[tuple[Mapping[str, Any], list[tuple[str, Any]]]]:
    """The parameters in their order, in runs of equal hyperparameters, with what these are at step ``t``."""
    if not parameters:
        return []
    runs = [list(run) for _, run in groupby(parameters, lambda pair: id(optimizer._options.at(pair[0])))]
    own = values_at(optimizer, t)  # once a step, so that a schedule gives every parameter the same
    values: dict[int, Mapping[str, Any]] = {id(NOTHING): own}
    for run in runs:
        overrides = optimizer._options.at(run[0][0])
        if id(overrides) not in values:
            values[id(overrides)] = own | overrides_at(optimizer, t, overrides)
    return [(values[id(optimizer._options.at(run[0][0]))], run) for run in runs]


def step_of(hook: Any, t: int) -> int:
    """The step that is being made, on which schedules depend, when a hook sees the count ``t``."""
    return t if getattr(hook, "timing", "pre") == "post" else t + 1


def _with_before(
    optimizer: Any, owner: Any, states: Mapping[str, Any] | None, names: Sequence[str]
) -> Mapping[str, Any] | None:
    """The states of a hook in a pass without the update, with the copies of the parameters from before it."""
    if not sees_before(owner):
        return states
    if not all(name in optimizer._before for name in names):
        raise OptregError(
            f"the hook {type(owner).__name__} needs to know what the parameters were before the update, which is known "
            f"in a step alone: let update() call it, or have an update() of your own call call_hooks() before and after"
        )
    return {name: ChainMap({BEFORE: optimizer._before[name]}, (states or {}).get(name, {})) for name in names}


def keep_before(optimizer: Any) -> None:
    """Copy all parameters, for hooks that are to see them as they were before the update; until they are forgotten."""
    for name, parameter in named_parameters(optimizer.target):
        if name not in optimizer._before:
            state, data = _master_of(optimizer, name), parameter.data
            with device_of(data):
                wide = data.astype(compute_dtype(data.dtype))
                optimizer._before[name] = wide if state is None else present(state[MASTER], data, data.dtype)


def _states_of(owner: Any, optimizer: Any, parameters: Sequence[tuple[str, Any]]) -> Mapping[str, Any] | None:
    """The states of the optimizer itself, or of one of its hooks, made where missing; None if there are none."""
    if owner is optimizer:
        states: States = optimizer._states
        return states
    if not keeps_states(owner):
        return None
    name = next((name for name, hook in optimizer._hooks.items() if hook is owner), None)
    if name is None:
        raise OptregError(
            f"the hook {type(owner).__name__} keeps states, so it must be added with add_hook() before it is called"
        )
    return hook_states(optimizer, name, owner, parameters)


def hook_states(optimizer: Any, name: str, hook: Any, parameters: Sequence[tuple[str, Any]]) -> States:
    """The states of a registered hook, made where missing."""
    states: States = optimizer._hook_states.setdefault(name, States())
    states.prepare(hook, parameters)
    return states


def _bound(owned: OwnedRule, parameter: Any, state: Mapping[str, Any]) -> BoundRule:
    changes = bool(getattr(owned.owner, "changes_gradients", False))
    if owned.needs_whole_tensors:
        return BoundRule(owned, False, False, changes, not changes, True)
    rule = traced(owned, rule_inputs(owned, parameter, state)).rule
    # A rule that cannot be traced may write to the gradient in ways that nobody has seen.
    writes = rule is None or "grad" in rule.changed
    in_blocks = rule is not None and not rule.reductions
    moves = rule is None or "param" in rule.changed
    return BoundRule(owned, in_blocks, rule is not None, changes, writes and not changes, moves)


def rule_inputs(rule: OwnedRule, parameter: Any, state: Mapping[str, Any]) -> Inputs:
    """What a rule is traced with, given a parameter with its gradient, and its state."""
    data = parameter.data
    slots = [(name, state.get(name)) for name in rule.slots]
    if sees_before(rule.owner):
        slots = [(name, data if name == BEFORE and slot is None else slot) for name, slot in slots]
    of_slots = (None if slot is None else _input(name, slot, data) for name, slot in slots)
    return _input("param", data, data), _input("grad", parameter.grad, data), *of_slots


def _input(name: str, array: Array, data: Array) -> Input:
    return Input(name, compute_dtype(array.real.dtype), array.ndim == 0 and data.ndim > 0)
