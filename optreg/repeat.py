"""A step made again: where nothing but the values of the arrays has changed, nothing is planned or looked up anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from optreg.backends import current_backend
from optreg.backends.work import Repeatable, Work
from optreg.contents import Contents
from optreg.errors import OptregError
from optreg.passes import groups_at, step_of
from optreg.rule import measures
from optreg.signatures import NOTHING, holding, signature, values_at
from optreg.targets import ArrayTarget, named_parameters

MOST = 4
"""Forms of a pass that are remembered, for rules that take their branches in turns."""


class Repeats:
    """The passes of an optimizer's steps, each made ready once, for the steps after.

    A pass is known by the owners of its rules. Copies and pickles are None: a copy plans its steps itself.

    Attributes:
        capturing: the step at hand becomes part of a CUDA graph.
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self._forms: dict[tuple[Any, ...], list[Repeat]] = {}
        self._last: Repeat | None = None
        self._captured: list[Repeat] = []
        self.capturing = False

    def __reduce__(self) -> Any:
        return type(None), ()

    def again(self) -> bool:
        """Make the last pass of the optimizer's rule again, if a step begins with it. False if nothing was changed."""
        last = self._last
        if last is None or not (last.comes_first and last.fits() and last.run()):
            return False
        self._note(last)
        return True

    def fit(self) -> bool:
        """Whether all parameters and gradients fit what the last pass with the optimizer's rule was made for."""
        if self._last is None:
            return False
        fits = self._last.fits()
        self._last.release()
        return fits

    def run(self, owners: Sequence[Any], what: str = "rule") -> bool:
        """Make the pass of the rules of these owners. False if it must be planned anew; then nothing was changed."""
        forms = self._forms.get((what, *map(id, owners)), [])
        for place, form in enumerate(forms):
            if form.fits() and form.run():
                forms.insert(0, forms.pop(place))
                self._note(form)
                return True
        return False

    def keep(self, work: Work, prepared: Repeatable | None, what: str = "rule") -> None:
        """Remember a pass that was planned for the optimizer's present ``t``, if the backend can make it again.

        ``what`` tells passes of the same owners from each other.
        """
        if prepared is None:
            return
        owners = [rule.owner for rule in work.groups[0].rules]
        form = Repeat(work, prepared, owners)
        key = (what, *map(id, owners))
        forms = self._forms.pop(key, [])
        self._forms = {key: kept for key, kept in self._forms.items() if kept[0].is_still()}
        self._forms[key] = [form, *(each for each in forms if each.is_still())][:MOST]
        self._note(form)

    def are_captured(self) -> bool:
        """Whether a step becomes part of a CUDA graph now, instead of being made.

        Raises:
            OptregError: a graph cannot hold all of it.
        """
        ask = None if self._last is None else getattr(self._last.prepared, "is_captured", None)
        return ask is not None and ask()

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Remember the passes that become part of a CUDA graph, instead of being made; ``t`` counts no step."""
        t, self._captured, self.capturing = self.optimizer.t, [], True
        try:
            yield
        finally:
            self.optimizer.t, self.capturing = t, False

    def refresh(self) -> None:
        """Count the step that a CUDA graph is to make, and send the graph the scalars of it.

        Raises:
            OptregError: no step was captured, or it would be another one now. Nothing was changed.
        """
        if not self._captured:
            raise OptregError("no update() of this optimizer was captured into a CUDA graph; capture one step first")
        t = self.optimizer.t
        for form in self._captured:
            if not form.refresh():
                self.optimizer.t = t
                raise OptregError(
                    f"step {t + 1} is not the one that was captured: hooks, options or parameters have changed since, "
                    f"or a rule takes another branch now; make this step with update(), and capture the next one anew"
                )

    def _note(self, form: Repeat) -> None:
        if form.moves_on:
            self._last = form
        if self.capturing:
            self._captured.append(form)


class Repeat:
    """A pass made ready.

    Args:
        work: the pass as it was planned, for the optimizer's present ``t``.
        prepared: what the backend made of it.
        owners: of its rules.

    Attributes:
        prepared: what the backend made of it.
        moves_on: the optimizer's rule is in it, so that it is made for the step after ``t``.
        comes_first: nothing comes before it in a step.
    """

    def __init__(self, work: Work, prepared: Repeatable, owners: Sequence[Any]) -> None:
        self._optimizer = optimizer = work.optimizer
        self.prepared = prepared
        self._backend = current_backend()
        self.moves_on = any(owner is optimizer for owner in owners)
        self.comes_first = self.moves_on and optimizer._plan.is_one_pass and not measures(optimizer)
        self._hooks = [(hook, t - optimizer.t) for hook, t, _ in work.hooks]
        self._parameters = named_parameters(optimizer.target)
        rules = {(id(bound.owner), bound.rule.name): bound.rule for group in work.groups for bound in group.rules}
        self._rules = [(rule, type(rule.owner), rule.function) for rule in rules.values()]
        self._choices = [(owner, name, value) for owner in owners for name, value in _choices_of(owner)]
        self._runs = [group.run for group in work.groups]
        self._plain = not any(map(_has_schedules, owners)) and not any(group.values for group in work.groups)
        self._target, self._plan = optimizer.target, optimizer._plan
        self._states, self._options = optimizer._states, optimizer._options
        self._names = list(vars(optimizer))
        self._snapshot = optimizer.target.snapshot() if isinstance(optimizer.target, ArrayTarget) else None
        hooks, hook_states = optimizer._hooks, optimizer._hook_states
        self._counts = len(hooks), len(hook_states)
        kept = [each for each in (hooks, hook_states) if each]
        self._contents = Contents([*kept, optimizer._states, *hook_states.values()])

    def fits(self) -> bool:
        """Whether everything is as it was, but for the values of arrays and numbers."""
        return self.is_still() and self.prepared.fit()

    def release(self) -> None:
        """Hold the arrays no longer that :meth:`fits` has seen."""
        self.prepared.release()

    def run(self) -> bool:
        """Change the arrays, which fit. False if the rules are not the same any more; then nothing was changed."""
        ready = self._is_ready()
        if ready:
            self.prepared.run()
        return ready

    def refresh(self) -> bool:
        """Have a CUDA graph that holds the pass make it for the step now. False if it cannot."""
        refresh = getattr(self.prepared, "refresh", None)
        ready = refresh is not None and self.is_still() and self._is_ready()
        if ready and refresh is not None:
            refresh()
        return ready

    def _is_ready(self) -> bool:
        """Count the step and evaluate its scalars. False if they are not those of the rules any more."""
        optimizer, t = self._optimizer, self._optimizer.t
        ready = False
        try:
            optimizer.t = t + self.moves_on
            ready = self._evaluate(optimizer.t)
        except Exception:  # the planned step meets the same, and says what it is
            pass
        finally:
            if not ready:
                optimizer.t = t
                self.release()
        return ready

    def is_still(self) -> bool:
        """Whether everything that the plan relied on is the same."""
        optimizer = self._optimizer
        return (
            optimizer.target is self._target
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
        for rule, cls, function in self._rules:
            if type(rule.owner) is not cls or rule.function is not function:
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
            return self.prepared.evaluate(_as_it_is)
        of_runs = groups_at(self._optimizer, self._parameters, t) if self.moves_on else [(NOTHING, [])]
        with ExitStack() as stack:
            for hook, offset in self._hooks:
                stack.enter_context(holding(hook, values_at(hook, step_of(hook, t + offset))))
            return self.prepared.evaluate(lambda number: holding(self._optimizer, of_runs[self._runs[number]][0]))


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
