"""A rule: the update of one parameter, written once as the NumPy lines of the paper.

``rule(self, param, grad, *slots)`` changes arrays in place. The arguments after ``param`` and ``grad`` name the
state's slots; one whose default is None exists only where the class says so in ``uses_slot(name)``.
"""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.copying import attributes_of
from optreg.errors import OptregError
from optreg.hyperparameters import values_of


@attrs.frozen
class Slots:
    """The slot arguments of a rule, in order, and which of them exist only on demand."""

    names: tuple[str, ...]
    on_demand: frozenset[str]


@cache
def slots_of(rule: Callable[..., None]) -> Slots:
    """Read the slots from the signature of a rule (the function, not the bound method).

    Raises:
        OptregError: the signature is not ``rule(self, param, grad, *slots)``.
    """
    arguments = list(inspect.signature(rule).parameters.values())
    fixed = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY
    if len(arguments) < 3 or any(argument.kind not in fixed for argument in arguments):
        raise OptregError(
            f"{rule.__qualname__} must be written as rule(self, param, grad, ...), with one argument for each "
            f"state slot after grad; it takes {', '.join(map(str, arguments))}"
        )
    slots = arguments[3:]
    return Slots(
        names=tuple(slot.name for slot in slots),
        on_demand=frozenset(slot.name for slot in slots if slot.default is not slot.empty),
    )


def has_rule(owner: object) -> bool:
    """Whether an optimizer or hook says what it does by a rule."""
    return callable(getattr(type(owner), "rule", None))


def used_slots(owner: Any) -> tuple[str, ...]:
    """The slots that an optimizer or hook allocates for every parameter; none without a rule."""
    if not has_rule(owner):
        return ()
    slots = slots_of(type(owner).rule)
    return tuple(name for name in slots.names if name not in slots.on_demand or owner.uses_slot(name))


_ELEMENTWISE_FUNCTIONS = {
    np.clip, np.where, np.copyto, np.nan_to_num, np.zeros_like, np.ones_like, np.full_like, np.empty_like, np.copy,
}  # fmt: skip


class _Probe(np.lib.mixins.NDArrayOperatorsMixin):
    """Two elements that can do arithmetic, element by element, and nothing else."""

    def __init__(self, elements: Array) -> None:
        self._elements = elements
        self.dtype = elements.dtype

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or ufunc.signature is not None:
            return NotImplemented
        return self._on_elements(ufunc, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function not in _ELEMENTWISE_FUNCTIONS:
            return NotImplemented
        return self._on_elements(function, args, kwargs)

    def _on_elements(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        result = function(*map(_elements, args), **{key: _elements(value) for key, value in kwargs.items()})
        return kwargs["out"][0] if isinstance(kwargs.get("out"), tuple) else _probe(result)

    def __getitem__(self, key: Any) -> _Probe:
        return _Probe(self._elements[_checked_key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._elements[_checked_key(key)] = _elements(value)

    def __bool__(self) -> bool:
        raise TypeError("a probe has no truth value: a rule cannot branch on an array")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        # Otherwise NumPy would take it for one object, whose sum is itself.
        raise TypeError("a probe is no array: a rule that asks for one needs the whole tensor")

    def astype(self, dtype: Any, **kwargs: Any) -> _Probe:
        """As of an array."""
        return _Probe(self._elements.astype(dtype, **kwargs))

    def copy(self) -> _Probe:
        """As of an array."""
        return _Probe(self._elements.copy())

    def clip(self, *args: Any, **kwargs: Any) -> _Probe:
        """As of an array."""
        return _Probe(self._elements.clip(*map(_elements, args), **kwargs))


def _elements(value: Any) -> Any:
    if isinstance(value, _Probe):
        return value._elements
    if isinstance(value, _Step):
        return int(value)
    return tuple(map(_elements, value)) if isinstance(value, tuple) else value


def _probe(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_probe, value))
    return _Probe(value) if isinstance(value, (np.ndarray, np.generic)) else value


def _checked_key(key: Any) -> Any:
    if key is Ellipsis or (isinstance(key, slice) and key == slice(None)):
        return Ellipsis
    raise TypeError("a probe has no positions: only [...] and [:] are elementwise")


class _Step(int):  # noqa: PLW1641 (it must not be hashed)
    """``t`` on a probe. What a rule does at every tenth step, say, the few steps of a probe do not show."""

    def _shifted(self, value: Any) -> Any:
        return _Step(value) if isinstance(value, int) else value

    def __add__(self, other: Any) -> Any:
        return self._shifted(int(self) + other)

    def __sub__(self, other: Any) -> Any:
        return self._shifted(int(self) - other)

    def __mul__(self, other: Any) -> Any:
        return self._shifted(int(self) * other)

    __radd__ = __add__
    __rmul__ = __mul__

    def _recurring(self, *others: Any) -> Any:  # noqa: ARG002 (the signatures of several operators)
        raise TypeError("a rule that singles out steps is given whole tensors")

    __mod__ = __floordiv__ = __divmod__ = __and__ = __rand__ = __hash__ = _recurring

    def __eq__(self, other: object) -> Any:
        return int(self) == other if other in (0, *_STEPS) else self._recurring()

    def __ne__(self, other: object) -> Any:
        return not self == other


_STEPS = 1, 2, 10**5
"""The steps at which a rule is probed: the first ones and a late one."""


@attrs.frozen
class Traits:
    """What a probe has found out about a rule.

    ``elementwise``: it treats every element alike, so that it may run on the tensor in blocks.
    ``overwrites_gradient``: it uses ``grad`` as scratch memory without saying ``changes_gradients = True``.
    """

    elementwise: bool
    overwrites_gradient: bool


_TRAITS: dict[Any, Traits] = {}


def traits_of(owner: Any, like: Array, state: Mapping[str, Array]) -> Traits:
    """Find out about the rule of an optimizer or hook by running it on a probe.

    That happens once for each combination of the hyperparameters that choose between its variants, at the first
    step, at the second and at a late one. A rule that can do without a probe says ``elementwise = False``; one that
    changes its owner's attributes (a counter, a random generator) or singles out steps is given whole tensors.

    Args:
        owner: the optimizer or hook.
        like: a parameter's array.
        state: the slots of that parameter; those with no axes stay single numbers.
    """
    whole = getattr(owner, "elementwise", True) is False
    changes = bool(getattr(owner, "changes_gradients", False))
    key = (type(owner), type(owner).rule, whole, changes, _variant_of(owner))
    if key not in _TRAITS:
        found = [None] if whole else [_overwrites_gradient(owner, like, state, t) for t in _STEPS]
        elementwise = None not in found
        scratch = True in found or not elementwise
        _TRAITS[key] = Traits(elementwise, scratch and not changes)
    return _TRAITS[key]


def _overwrites_gradient(owner: Any, like: Array, state: Mapping[str, Array], t: int) -> bool | None:
    """Whether the rule writes to ``grad``; None if it cannot run on a probe."""
    real = np.zeros(0, like.dtype).real.dtype

    def probe(name: str) -> _Probe | None:
        slot = state.get(name)
        return None if slot is None else _Probe(np.full(() if slot.ndim < like.ndim else 2, 0.5, real))

    for writeable in (False, True):
        grad = np.full(2, 0.25, real)
        grad.flags.writeable = writeable
        try:
            alone = _alone(owner, t)
            before = dict(_fingerprints(alone))
            with np.errstate(all="ignore"):
                slots = map(probe, slots_of(type(owner).rule).names)
                alone.rule(_Probe(np.full(2, 0.5, real)), _Probe(grad), *slots)
        except Exception:  # whatever it cannot do on a probe, it is given whole tensors for
            continue
        return writeable if before == dict(_fingerprints(alone)) else None
    return None


_NOT_ITS_OWN = {"t", "epoch", "target", "_hooks", "_states", "_hook_states", "_options", "_plan"}
"""What an optimizer holds as an optimizer."""


def _alone(owner: Any, t: int) -> Any:
    """A copy of an optimizer or hook, on which a rule can do no harm."""
    alone = copy.copy(owner)
    for name, value in attributes_of(owner).items():
        if name not in _NOT_ITS_OWN and not callable(value):
            object.__setattr__(alone, name, copy.deepcopy(value))
    object.__setattr__(alone, "t", _Step(t))
    return alone


def _fingerprints(alone: Any) -> Iterator[tuple[str, Any]]:
    """Every attribute of an object's own, in a form that shows whether its contents have changed."""
    for name, value in attributes_of(alone).items():
        if name not in _NOT_ITS_OWN:
            try:
                yield name, pickle.dumps(value)
            except Exception:  # what cannot be pickled
                yield name, id(value)


def _variant_of(owner: Any) -> tuple[tuple[str, Any], ...]:
    """What a rule may branch on: :func:`flags_of`, and which of the numbers are zero."""
    numbers = tuple((name, not value) for name, value in values_of(owner).items() if isinstance(value, float))
    return flags_of(owner) + numbers


def flags_of(owner: Any) -> tuple[tuple[str, Any], ...]:
    """The hyperparameters that choose between variants of a rule: those that are True, False, None or text."""
    values = values_of(owner).items()
    return tuple((name, value) for name, value in values if value is None or isinstance(value, (bool, str)))
