"""What a backend is given to do: rules, and the tensors that they change, in groups of equal hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import attrs

from optreg.arrays import Array, to_host
from optreg.rule import OwnedRule
from optreg.signatures import holding


class Decision:
    """Whether a step is made, where that is known on a device only.

    Attributes:
        flag: an array of one int64 there, which is 0 where the step is left out; None if it is made. Kernels that are
            given its address do nothing where it is 0.
        may_wait: what comes after the hook that asks can go on without an answer.
    """

    def __init__(self) -> None:
        self.flag: Array | None = None
        self.may_wait = False

    def is_made(self) -> bool:
        """The answer, for which this waits if it is on a device."""
        if self.flag is None:
            return True
        made = bool(to_host(self.flag)[0])
        if made:
            self.flag = None
        return made


@attrs.frozen(eq=False)
class BoundRule:
    """A rule, ready to be called on arrays.

    Attributes:
        rule: a method of its owner, whose hyperparameters hold the values of the step while it runs.
        elementwise: it may be run on the tensor in blocks.
        of_real_elements: it takes complex arrays as pairs of real numbers, and no empty ones; else, arrays as they are.
        changes_gradients: what it does to ``grad`` is meant to be seen.
        overwrites_gradient: it uses ``grad`` as scratch memory, so it must be given a copy.
        changes_parameter: it may change ``param``.
    """

    rule: OwnedRule
    elementwise: bool
    of_real_elements: bool
    changes_gradients: bool
    overwrites_gradient: bool
    changes_parameter: bool

    @property
    def owner(self) -> Any:
        """The optimizer or hook."""
        return self.rule.owner

    @property
    def function(self) -> Callable[..., None]:
        """The rule, called as ``function(param, grad, *slots)``."""
        return self.rule.method


@attrs.frozen(eq=False)
class Tensor:
    """A parameter with ``.data`` and ``.grad``, and for each rule the state that holds its slots.

    ``master_in`` is the state that holds a copy of the parameter in full precision, under the key ``master``, which
    rules are to work on in its place; None if there is none.
    """

    name: str
    parameter: Any
    states: Sequence[dict[str, Any]]
    master_in: dict[str, Any] | None = None

    def slots(self, rules: Sequence[BoundRule]) -> list[list[Array | None]]:
        """The arrays of each rule's slots, in the order of its arguments; None for one that is not in use."""
        return [[state.get(slot) for slot in bound.rule.slots] for bound, state in zip(rules, self.states, strict=True)]


@attrs.frozen(eq=False)
class Group:
    """Tensors with equal hyperparameters and the same rules.

    Attributes:
        values: what the optimizer's attributes become while a rule of the group runs.
        rules: in the order in which they see a tensor.
        tensors: that they change.
        run: the number of the run of parameters with equal hyperparameters that it is a part of; see ``groups_at``.
    """

    values: Mapping[str, Any]
    rules: Sequence[BoundRule]
    tensors: Sequence[Tensor]
    run: int = 0


@attrs.frozen(eq=False)
class Work:
    """A pass over memory, checked and ready: nothing that is wrong with its input can be found out while it runs.

    Attributes:
        optimizer: the owner of one of the rules, or of the hooks that own them all.
        hooks: those among the owners, each with the ``t`` that it sees and the values of its schedules.
        groups: of tensors.
    """

    optimizer: Any
    hooks: Sequence[tuple[Any, int, Mapping[str, Any]]]
    groups: Sequence[Group]

    @property
    def decision(self) -> Decision:
        """Whether the step of which this is a part is made."""
        found: Decision = self.optimizer._decision
        return found

    def only(self, tensors: Sequence[tuple[int, Tensor]]) -> Work:
        """The work on some of the tensors, each given with the number of its group; groups keep their numbers."""
        by_group: list[list[Tensor]] = [[] for _ in self.groups]
        for number, tensor in tensors:
            by_group[number].append(tensor)
        groups = [attrs.evolve(group, tensors=found) for group, found in zip(self.groups, by_group, strict=True)]
        return attrs.evolve(self, groups=groups)

    @contextmanager
    def hooks_held(self) -> Iterator[None]:
        """Give the hooks their ``t`` and their values for a while."""
        with ExitStack() as stack:
            for hook, t, values in self.hooks:
                object.__setattr__(hook, "t", t)  # even where the class is frozen
                stack.enter_context(holding(hook, values))
            yield

    @contextmanager
    def held(self, group: Group) -> Iterator[None]:
        """Give the optimizer the hyperparameters of a group for a while."""
        with holding(self.optimizer, group.values):
            yield


class Repeatable(Protocol):
    """What a backend may return of a step, to make it again on other values of the same arrays."""

    def fit(self) -> bool:
        """Whether the arrays still have the shapes, dtypes and places that it was made for. Changes nothing."""

    def evaluate(self, holding: Callable[[int], Any]) -> bool:
        """Evaluate the scalars of the step; False if the rules are not the same any more. Changes nothing.

        Args:
            holding: a context in which the optimizer has the hyperparameters of the group of that number.
        """

    def run(self) -> None:
        """Change the arrays."""

    def release(self) -> None:
        """Hold the arrays no longer that :meth:`fit` has seen: they are not to be changed now."""


class Backend(Protocol):
    """What a package offers through a ``BackendSpec``: a class without arguments of this shape.

    One that says ``decides_on_device = True`` heeds the work's ``decision``; others are not asked before that is known.
    One for arrays that are not NumPy's says in ``array_module`` whose they are, such as "cupy".
    """

    name: str

    def run(self, work: Work) -> Repeatable | None:
        """Run the rules on every tensor, in place."""
