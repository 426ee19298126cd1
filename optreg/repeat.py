"""A step made again: where nothing but the values of the arrays has changed, nothing is planned or looked up anew."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from optreg.backends import current_backend
from optreg.backends.work import Repeatable, Work
from optreg.contents import Contents
from optreg.hook import observes
from optreg.hyperparameters import holding, signature, values_at
from optreg.passes import groups_at, step_of
from optreg.targets import ArrayTarget, named_parameters

MOST = 4
"""Forms of a step that are remembered."""


class Repeat:
    """The pass of an optimizer's rule, made ready once, for the steps after.

    Args:
        work: the pass as it was planned, for the optimizer's present ``t``.
        prepared: what the backend made of it.

    Attributes:
        after: the stages that come after the pass.
        observed: in the last call of :meth:`run`, the hook that observes has done so.
    """

    def __init__(self, work: Work, prepared: Repeatable) -> None:
        self.observed = False
        self._siblings = [self]
        self._optimizer = optimizer = work.optimizer
        self._prepared = prepared
        self._backend = current_backend()
        self._hooks = [(hook, t - optimizer.t) for hook, t, _ in work.hooks]
        self._observer = next((hook for hook, offset in self._hooks if offset < 0 and observes(hook)), None)
        self._parameters = named_parameters(optimizer.target)
        owners = [optimizer, *(hook for hook, _ in self._hooks)]
        self._classes = [(owner, type(owner), type(owner).rule) for owner in owners]
        self._choices = [(owner, name, value) for owner in owners for name, value in _choices_of(owner)]
        self._plain = len(work.groups) == 1 and not any(map(_has_schedules, owners)) and not work.groups[0].values
        self._target, self._plan, self.after = optimizer.target, optimizer._plan, optimizer._plan.after
        self._states, self._options = optimizer._states, optimizer._options
        self._names = list({**vars(optimizer), "_repeat": self})
        self._snapshot = optimizer.target.snapshot() if isinstance(optimizer.target, ArrayTarget) else None
        hooks, hook_states = optimizer._hooks, optimizer._hook_states
        self._counts = len(hooks), len(hook_states)
        kept = [each for each in (hooks, hook_states) if each]
        self._contents = Contents([*kept, optimizer._states, *hook_states.values()])

    def __reduce__(self) -> Any:
        return type(None), ()  # a copy of an optimizer plans its steps itself

    def join(self, former: Repeat) -> None:
        """Remember what was repeated before, for when it is right again: a rule may take its branches in turns."""
        if former._is_still(self._optimizer):
            self._siblings = former._siblings
            self._siblings.append(self)
            del self._siblings[:-MOST]

    def run(self, optimizer: Any) -> bool:
        """Make a step. False if it must be planned anew; then nothing was changed."""
        self.observed = False
        if self._step(optimizer, self):
            return True
        for sibling in self._siblings:
            if sibling is not self and sibling._step(optimizer, self):
                optimizer._repeat = sibling
                return True
        return False

    def _step(self, optimizer: Any, asked: Repeat) -> bool:
        if not (self._is_still(optimizer) and self._prepared.fit()):
            return False
        if self._observer is not None and not asked.observed:
            asked.observed = True
            self._observer.observe(optimizer)
        t = optimizer.t
        ready = False
        try:
            optimizer.t = t + 1
            ready = self._evaluate(t + 1)
        except Exception:  # the planned step meets the same, and says what it is
            pass
        finally:
            if not ready:
                optimizer.t = t
        if ready:
            self._prepared.run()
        return ready

    def _is_still(self, optimizer: Any) -> bool:
        """Whether everything that the plan relied on is the same."""
        return (
            optimizer is self._optimizer
            and optimizer.target is self._target
            and optimizer._plan is self._plan
            and optimizer._states is self._states
            and optimizer._options is self._options
            and [*vars(optimizer)] == self._names
            and (len(optimizer._hooks), len(optimizer._hook_states)) == self._counts
            and current_backend() is self._backend
            and self._has_same_rules()
            and self._contents.are_still()
            and self._has_same_parameters()
        )

    def _has_same_rules(self) -> bool:
        # Loops, because all() of a generator takes longer than all the rest.
        for owner, cls, rule in self._classes:
            if type(owner) is not cls or cls.rule is not rule:
                return False
        for owner, name, value in self._choices:  # noqa: SIM110
            if getattr(owner, name, None) != value:
                return False
        return True

    def _has_same_parameters(self) -> bool:
        if self._snapshot is not None:
            return self._target.snapshot() is self._snapshot
        now = named_parameters(self._target)
        return len(now) == len(self._parameters) and all(
            a is b and name == known for (name, a), (known, b) in zip(now, self._parameters, strict=True)
        )

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


_AS_IT_IS = nullcontext()


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
