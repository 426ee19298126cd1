"""A pass: rules of hooks and of the optimizer, run one after another on every parameter, once over memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from typing import Any

import attrs

from optreg.arrays import Array
from optreg.backends import BoundRule, Tensor, current_backend
from optreg.errors import HyperparameterError, OptregError
from optreg.gradients import changeable_gradients, fit_gradients
from optreg.hyperparameters import NOTHING, holding, overrides_at, values_at
from optreg.rule import slots_of, traits_of, used_slots
from optreg.states import States
from optreg.targets import named_parameters


@attrs.frozen
class Pass:
    """A pass, checked and ready: nothing that is wrong with its input can be found out while it runs.

    Attributes:
        optimizer: whose hyperparameters hold the values of each group while it runs.
        hooks: the hooks among the owners of the rules, with the ``t`` and the values of this step.
        groups: runs of tensors with equal hyperparameters, with what these are at this step, and the rules in the
            order in which they see a tensor.
    """

    optimizer: Any
    hooks: Sequence[tuple[Any, int, Mapping[str, Any]]]
    groups: Sequence[tuple[Mapping[str, Any], Sequence[BoundRule], Sequence[Tensor]]]

    def run(self) -> None:
        """Change the arrays, in place."""
        backend = current_backend()
        with _holding_hooks(self.hooks):
            for values, rules, tensors in self.groups:
                with holding(self.optimizer, values):
                    backend.run(rules, tensors)


@contextmanager
def _holding_hooks(hooks: Sequence[tuple[Any, int, Mapping[str, Any]]]) -> Iterator[None]:
    with ExitStack() as stack:
        for hook, t, values in hooks:
            object.__setattr__(hook, "t", t)  # even where the class is frozen
            stack.enter_context(holding(hook, values))
        yield


def prepare_pass(optimizer: Any, timed: Sequence[tuple[Any, int]]) -> Pass:
    """Make a pass ready over every parameter that has a gradient.

    Args:
        optimizer: whose target, states and options count.
        timed: the owners of the rules in their order, each with the ``t`` that its rule sees.

    Raises:
        GradientError: a gradient does not fit its parameter.
        HyperparameterError: a schedule gives a value out of bounds.
    """
    parameters = [(name, each) for name, each in named_parameters(optimizer.target) if each.grad is not None]
    fit_gradients(parameters)
    states = [_states_of(owner, optimizer, parameters) for owner, _ in timed]
    hooks = [(owner, t, values_at(owner, step_of(owner, t))) for owner, t in timed if owner is not optimizer]
    own_t = next((t for owner, t in timed if owner is optimizer), None)
    groups = [(NOTHING, parameters)] if own_t is None else groups_at(optimizer, parameters, own_t)
    ready = []
    with _holding_hooks(hooks):
        for values, members in groups:
            with holding(optimizer, values):
                ready.append((values, *_rules_and_tensors([owner for owner, _ in timed], states, members)))
    return Pass(optimizer, hooks, ready)


def _rules_and_tensors(
    owners: Sequence[Any], states: Sequence[States | None], members: Sequence[tuple[str, Any]]
) -> tuple[list[BoundRule], list[Tensor]]:
    if not members:
        return [], []
    for owner, each in zip(owners, states, strict=True):
        if each is not None:
            _check_slots(owner, members[0][0], each[members[0][0]])
    # A tensor with axes tells the slots that follow them from those that are one number.
    like_name, like = max(members, key=lambda pair: pair[1].data.ndim)
    rules = [
        _bound(owner, like.data, {} if each is None else each[like_name])
        for owner, each in zip(owners, states, strict=True)
    ]
    if any(rule.changes_gradients for rule in rules):
        changeable_gradients(members)
    return rules, [Tensor(name, each.data, each.grad, _slots(rules, name, states)) for name, each in members]


def _check_slots(owner: Any, name: str, state: Mapping[str, Any]) -> None:
    missing = [slot for slot in used_slots(owner) if slot not in state]
    if missing:
        raise HyperparameterError(
            f"{type(owner).__name__} now uses the slot {missing[0]!r}, but the state of {name} was made without it; "
            f"choose the hyperparameters that need it before setup(), or call setup() again"
        )


def run_rule(optimizer: Any, parameter: Any, state: Mapping[str, Any]) -> None:
    """Run the optimizer's rule on one parameter, with the hyperparameters as they are."""
    rule = _bound(optimizer, parameter.data, state)
    slots = [state.get(slot) for slot in slots_of(type(optimizer).rule).names]
    current_backend().run([rule], [Tensor("", parameter.data, parameter.grad, [slots])])


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


def _states_of(owner: Any, optimizer: Any, parameters: Sequence[tuple[str, Any]]) -> States | None:
    """The states of the optimizer itself, or of one of its hooks, made where missing; None if there are none."""
    if owner is optimizer:
        states: States = optimizer._states
        return states
    if not used_slots(owner):
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


def _bound(owner: Any, like: Array, state: Mapping[str, Any]) -> BoundRule:
    traits = traits_of(owner, like, state)
    changes = bool(getattr(owner, "changes_gradients", False))
    return BoundRule(owner, owner.rule, traits.elementwise, changes, traits.overwrites_gradient)


def _slots(rules: Sequence[BoundRule], name: str, states: Sequence[States | None]) -> list[list[Array | None]]:
    return [
        [None if each is None else each[name].get(slot) for slot in slots_of(type(rule.owner).rule).names]
        for rule, each in zip(rules, states, strict=True)
    ]
