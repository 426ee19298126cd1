"""How the states of a checkpoint fit the optimizer that is to load them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import numpy as np

from optreg.arrays import is_array, zero_state
from optreg.base import Optimizer
from optreg.checkpoints import HOOKS, entries_of
from optreg.dictionaries import DictionaryDeserializer
from optreg.hook import prepare_hook_states
from optreg.masters import MASTER, has_master, wants_master
from optreg.matching import Match
from optreg.memory import remembered_by
from optreg.optimizer import GradientMethod
from optreg.passes import groups_at
from optreg.rule import has_rule, rule_of, slots_of, used_slots
from optreg.signatures import NOTHING, holding
from optreg.states import States, fill, misfits
from optreg.targets import named_parameters, uninitialized_names


def match_counts(found: Match, optimizer: Any, entries: Mapping[str, Any]) -> None:
    """Match ``t`` and ``epoch``, and the numbers that the class remembers."""
    for key in ("t", "epoch"):
        if key not in entries:
            found.differ(f"{key} is missing", missing=True)
            continue
        value = entries[key]
        is_numpys = is_array(value) or isinstance(value, np.generic)  # as in files of Chainer's
        count = value.item() if is_numpys and value.size == 1 and value.dtype.kind in "iu" else value
        if type(count) is int and count >= 0:
            found.set(optimizer, key, count)
        else:
            found.differ(f"{key} is {value!r}, which counts nothing")
    for key in remembered_by(optimizer):
        value = entries.get(key)
        if value is None:
            found.differ(f"{key} is missing", missing=True)
        elif np.ndim(value) or np.asarray(value).dtype.kind not in "iuf":
            found.differ(f"{key} is {value!r}, which is no number")
        else:
            found.set(optimizer, key, float(value))


@attrs.frozen(eq=False)
class Kept:
    """The states of an optimizer or of one of its hooks.

    Attributes:
        owner: the optimizer or hook.
        states: its states.
        prefix: what the names of its entries begin with.
        what: what it is called in an error.
    """

    owner: Any
    states: States
    prefix: str = ""
    what: str = ""


def match_states(found: Match, optimizer: Any, entries: Mapping[str, Any], *, exact: bool) -> None:
    """Match the states of the optimizer and of its hooks, and what its own ``serialize()`` adds to them.

    The hyperparameters are those of the checkpoint by now.
    """
    everything = [Kept(optimizer, optimizer._states)]
    for name, states in prepare_hook_states(optimizer).items():
        kept = Kept(optimizer._hooks[name], states, f"{HOOKS}/{name}/", f"hook {name}: ")
        if exact or any(entry.startswith(kept.prefix) for entry in entries):  # a file of Chainer's knows no hooks
            everything.append(kept)
    used = {"t", "epoch", *remembered_by(optimizer)}
    parameters = named_parameters(optimizer.target)
    for kept in everything:
        wanted = _wanted(optimizer, kept, parameters)
        used |= _match_states_of(found, kept, dict(parameters), wanted, entries, exact=exact)
    if type(optimizer).serialize is not Optimizer.serialize:
        used |= _match_own_serialize(found, optimizer, entries, used)
    _match_rest(
        found,
        everything,
        uninitialized_names(optimizer.target),
        {name: value for name, value in sorted(entries.items()) if name not in used},
    )


@attrs.frozen(eq=False)
class Wanted:
    """What the hyperparameters, which are those of the checkpoint, ask for in the state of a parameter.

    Attributes:
        state: as it is, or a new one where the parameter has another rule now.
        slots: that are in use.
        on_demand: slots of its rule that may be left out.
    """

    state: dict[str, Any]
    slots: tuple[str, ...]
    on_demand: frozenset[str]


def _wanted(optimizer: Any, kept: Kept, parameters: Sequence[tuple[str, Any]]) -> dict[str, Wanted]:
    """What is wanted of each parameter, by path."""
    owner = kept.owner
    groups = groups_at(optimizer, parameters, max(optimizer.t, 1)) if owner is optimizer else [(NOTHING, parameters)]
    found = {}
    for values, members in groups:
        with holding(optimizer, values):
            for path, parameter in members:
                state, slots, on_demand = kept.states[path], used_slots(owner, parameter), frozenset[str]()
                if has_rule(owner):
                    on_demand = slots_of(rule_of(owner, parameter).function).on_demand
                if not set(slots) - on_demand <= state.keys():
                    state = kept.states.new(owner, path, parameter)
                if wants_master(owner, parameter.data):
                    slots = (*slots, MASTER)
                found[path] = Wanted(state, slots, on_demand)
    return found


def _makes_states_late(owner: Any) -> bool:
    """Whether a class without a rule may make its states in an update of its own, at the first step."""
    methods = ("update", "update_one", "update_one_cpu", "update_one_gpu")
    overrides = any(getattr(type(owner), method, None) is not getattr(GradientMethod, method) for method in methods)
    return isinstance(owner, Optimizer) and overrides and not has_rule(owner)


def _match_states_of(
    found: Match,
    kept: Kept,
    parameters: Mapping[str, Any],
    wanted: Mapping[str, Wanted],
    entries: Mapping[str, Any],
    *,
    exact: bool,
) -> set[str]:
    """Match the states of parameters that there are; returns the names of the entries that are theirs."""
    late: dict[str, set[str]] = {}
    if _makes_states_late(kept.owner):
        for name in entries:
            start, _, key = name.rpartition("/")
            late.setdefault(f"{start}/", set()).add(key)
    used = set()
    for path, parameter in parameters.items():
        state, slots = kept.states[path], wanted[path].slots
        start = f"{kept.prefix}{path.strip('/')}/"
        new = dict(wanted[path].state)
        for slot in wanted[path].on_demand:
            if slot not in slots and start + slot not in entries:
                new.pop(slot, None)
            elif slot not in new:
                new[slot] = zero_state(parameter.data)
        if MASTER in slots:
            new.setdefault(MASTER, zero_state(parameter.data))
        elif has_master(kept.owner, new):
            del new[MASTER]
        new = new or dict.fromkeys(late.get(start, ()))
        values = {key: entries[start + key] for key in new if start + key in entries}
        used |= {start + key for key in values}
        for misfit in misfits(new, values, exact=exact):
            found.differ(f"{kept.what}{path}: {misfit}", missing=not new.keys() <= values.keys())
        found.steps.append((partial(_become, state, new, values), partial(_become, state, dict(state), {})))
    return used


def _become(state: dict[str, Any], new: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    for key in state.keys() - new.keys():
        del state[key]
    state.update(new)
    fill(state, values)


def _match_own_serialize(found: Match, optimizer: Any, entries: Mapping[str, Any], used: set[str]) -> set[str]:
    """Match what a class that overrides ``serialize()`` reads; returns the names of what it adds."""
    present = {name: value.copy() if is_array(value) else value for name, value in entries_of(optimizer).items()}
    added = {name for name in present if name not in used and not name.startswith(f"{HOOKS}/")}
    for name in sorted(added - entries.keys()):
        found.differ(f"{name} is missing", missing=True)
    new, old = DictionaryDeserializer(entries), DictionaryDeserializer(present)
    found.steps.append((partial(optimizer.serialize, new), partial(optimizer.serialize, old)))
    return added


def _match_rest(found: Match, everything: list[Kept], coming: list[str] | None, rest: Mapping[str, Any]) -> None:
    """Keep the states of parameters that are not initialized yet; nothing else should be left."""
    waiting: dict[str, dict[str, dict[str, Any]]] = {kept.prefix: {} for kept in everything}
    for name, value in rest.items():
        kept = max((each for each in everything if name.startswith(each.prefix)), key=lambda each: len(each.prefix))
        path, _, key = name.removeprefix(kept.prefix).rpartition("/")
        path = f"/{path}"
        if path not in kept.states and (coming is None or path in coming):
            waiting[kept.prefix].setdefault(path, {})[key] = value
        else:
            found.differ(f"{kept.what}{path}: {key} is unexpected")
    for kept in everything:
        found.set(kept.states, "waiting", waiting[kept.prefix])
