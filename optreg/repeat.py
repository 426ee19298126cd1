"""A step made again: where nothing but the values of the arrays has changed, nothing is planned or looked up anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from operator import is_
from typing import Any

from optreg.backends import current_backend
from optreg.backends.work import Repeatable, Work
from optreg.hook import observes
from optreg.hyperparameters import holding, signature, values_at
from optreg.passes import groups_at, step_of
from optreg.targets import ArrayTarget, named_parameters, nested


class Repeat:
    """The pass of an optimizer's rule, made ready once, for the steps after.

    Args:
        work: the pass as it was planned, for the optimizer's present ``t``.
        prepared: what the backend made of it.
    """

    def __init__(self, work: Work, prepared: Repeatable) -> None:
        self._optimizer = work.optimizer
        self._prepared = prepared
        self._backend = current_backend()
        self._same_parameters = _sameness_of(work.optimizer.target)
        self._parameters = named_parameters(work.optimizer.target)
        self._attributes = len(vars(work.optimizer).keys() | {"_repeat"})
        self._held = _held_by(work.optimizer)
        self._hooks = [(hook, t - work.optimizer.t) for hook, t, _ in work.hooks]
        self._observer = next((hook for hook, offset in self._hooks if offset < 0 and observes(hook)), None)
        self._owners = [work.optimizer, *(hook for hook, _ in self._hooks)]
        self._choices = [(owner, name, value) for owner in self._owners for name, value in _choices_of(owner)]
        self._plain = len(work.groups) == 1 and not any(map(_has_schedules, self._owners)) and not work.groups[0].values

    def __reduce__(self) -> Any:
        return type(None), ()  # a copy of an optimizer plans its steps itself

    def run(self, optimizer: Any) -> bool:
        """Make a step. False if it must be planned anew; then nothing was changed."""
        if (
            optimizer is not self._optimizer
            or current_backend() is not self._backend
            or len(vars(optimizer)) != self._attributes
            or any(now is not then for now, then in zip(_held_by(optimizer), self._held, strict=False))
            or not self._same_choices()
            or not self._same_parameters()
            or not self._prepared.fit()
        ):
            return False
        if self._observer is not None:
            self._observer.observe(optimizer)
        t = optimizer.t
        try:
            optimizer.t = t + 1
            ready = self._evaluate(t + 1)
        except TypeError:  # a hyperparameter that was a number is a schedule now, say
            ready = False
        except BaseException:
            optimizer.t = t
            raise
        if not ready:
            optimizer.t = t
            return False
        self._prepared.run()
        return True

    def _same_choices(self) -> bool:
        return all(getattr(owner, name, None) == value for owner, name, value in self._choices)

    def _evaluate(self, t: int) -> bool:
        for hook, offset in self._hooks:
            object.__setattr__(hook, "t", t + offset)
        if self._plain:
            return self._prepared.evaluate(_as_it_is)
        groups = [values for values, _ in groups_at(self._optimizer, self._parameters, t)]
        with ExitStack() as stack:
            for hook, offset in self._hooks:
                stack.enter_context(holding(hook, values_at(hook, step_of(hook, t + offset))))
            return self._prepared.evaluate(lambda number: holding(self._optimizer, groups[number]))


def _held_by(optimizer: Any) -> list[Any]:
    """What a step relies on to be the same objects."""
    return [
        optimizer.target,
        optimizer._plan,
        optimizer._states,
        optimizer._options,
        *optimizer._hook_states.values(),
    ]


def _sameness_of(target: Any) -> Callable[[], bool]:
    """A function that says whether the target still has the parameters that it has now."""
    if not isinstance(target, ArrayTarget):
        parameters = [parameter for _, parameter in named_parameters(target)]
        return lambda: [id(each) for _, each in named_parameters(target)] == list(map(id, parameters))
    nodes = [target.arrays, *(child for _, _, child in nested(target.arrays))]
    contents = [_content(node) for node in nodes]

    def same() -> bool:
        return all(
            len(node) == len(held) and keys == _keys(node) and all(map(is_, _values(node), held))
            for node, (keys, held) in zip(nodes, contents, strict=True)
        )

    return same


def _content(node: Any) -> tuple[Any, list[Any]]:
    return _keys(node), list(_values(node))


def _keys(node: Any) -> list[Any] | None:
    return list(node) if isinstance(node, Mapping) else None


def _values(node: Any) -> Iterable[Any]:
    return node.values() if isinstance(node, Mapping) else node


class _AsItIs(AbstractContextManager[None]):
    def __exit__(self, *exception: object) -> None:
        pass


_AS_IT_IS = _AsItIs()


def _as_it_is(number: int) -> AbstractContextManager[None]:  # noqa: ARG001 (there is one group)
    return _AS_IT_IS


def _choices_of(owner: Any) -> list[tuple[str, Any]]:
    """The hyperparameters that are no numbers: a change of one may change the rule."""
    fields = signature(type(owner)).fields.values()
    values = [(field.attribute, getattr(owner, field.attribute, None)) for field in fields]
    return [(name, value) for name, value in values if value is None or isinstance(value, (bool, str))]


def _has_schedules(owner: Any) -> bool:
    fields = signature(type(owner)).fields.values()
    return any(callable(getattr(owner, field.attribute, None)) for field in fields)
