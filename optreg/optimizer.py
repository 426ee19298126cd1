"""``GradientMethod``: optimizers that need the gradient at one point, written as a rule or as ``update_one``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np

from optreg.arrays import device_of
from optreg.base import Optimizer
from optreg.errors import OptregError, SkipStep
from optreg.evaluation import refuse_while_evaluating
from optreg.gradients import fill_gradients, fit_gradients
from optreg.hook import name_of_hook, observes
from optreg.hyperparameters import Hyperparameter, boolean
from optreg.masters import widened
from optreg.measuring import Totals, measure_all, restored_on_error
from optreg.overlaps import check_apart
from optreg.passes import groups_at, keep_before, prepare_pass, run, run_rule
from optreg.plan import Plan, plan_hooks
from optreg.repeat import Repeats
from optreg.rule import OwnedRule, has_rule, measures, sees_before
from optreg.signatures import common, holding
from optreg.targets import check_parameter, named_parameters

__all__ = ["GradientMethod", "Optimizer"]


@attrs.frozen
class _Common:
    """What every optimizer of this base can be made with."""

    master_weights: bool = boolean(
        False, doc="keep a float32 copy of each float16 parameter, so that small updates are not rounded away"
    )


class GradientMethod(Optimizer):
    """The base of all optimizers that need the gradient at one point: most first-order methods.

    A subclass writes ``rule(self, param, grad, *slots)``, or overrides :meth:`update_one`, or
    :meth:`update_one_cpu` and :meth:`update_one_gpu`.

    Attributes:
        elementwise: False if ``rule`` needs whole tensors.
        tensors_in_parallel: a rule that runs as written changes nothing but its arrays, so that it may run on several
            tensors at the same time, on threads.
        multiplies_matrices: such a rule spends its time in products or decompositions of matrices. NumPy's BLAS has
            threads of its own for these, so tensors are shared only where threadpoolctl is installed to stop them.
        rules: the names of the methods that :meth:`rule_for` chooses from.
        changes_gradients: what the rule does to ``grad`` stays visible after the update.
        common_hyperparameters: what every optimizer can be made with, beside the arguments of its class.
    """

    elementwise: ClassVar[bool] = True
    tensors_in_parallel: ClassVar[bool] = False
    multiplies_matrices: ClassVar[bool] = False
    rules: ClassVar[tuple[str, ...]] = ("rule",)
    changes_gradients: ClassVar[bool] = False
    common_hyperparameters: ClassVar[Mapping[str, Hyperparameter]] = common(_Common)
    _master_weights: bool = False
    _plan: Plan | None = None
    _repeats: Repeats | None = None
    _totals: Totals | None = None

    @property
    def master_weights(self) -> bool:
        """Whether float16 parameters have a float32 copy in their states, which rules change in their place.

        The parameter gets the copy's rounding after each pass. Where somebody else has changed an element of the
        parameter since then, the copy takes it over. To be chosen before ``setup()``.
        """
        return self._master_weights

    @master_weights.setter
    def master_weights(self, choice: bool) -> None:
        self._master_weights = self.common_hyperparameters["master_weights"].checked(self, choice)

    def use_cleargrads(self, use: bool = True) -> None:
        """Have ``update(lossfun)`` set gradients to None before it calls ``lossfun``, rather than to zeros."""
        self._use_cleargrads = use

    def update(self, lossfun: Callable[..., Any] | None = None, *args: Any, **kwds: Any) -> Any:
        """Make a step, with the gradients of a loss function or with those that are there.

        A gradient that is None counts as zeros. The hooks run in order and see the old ``t``; then ``t`` is
        increased, and every parameter is updated once, in place.

        Args:
            lossfun: called with ``args`` and ``kwds`` after the gradients were cleared; returns something with
                ``backward()``, or a pair of the loss and the gradients by name.

        Returns:
            The loss that ``lossfun`` returned, or None.

        Raises:
            NotSetUpError: (a RuntimeError) before ``setup()``.
            GradientError: (a ValueError) a gradient does not fit its parameter. Nothing was changed.
        """
        self._require_target()
        refuse_while_evaluating(self, "update()")
        loss = None if lossfun is None else self.compute_gradients(lossfun, *args, **kwds)
        repeats = self._own_repeats()
        try:
            if repeats.are_captured():
                with repeats.captured():
                    self._update()
            else:
                self._update()
        finally:
            self._lossfun = None
        return loss

    def replay(self, graph: Any) -> None:
        """Launch a CUDA graph that holds an ``update()``, as the next step: with its ``t`` and its hyperparameters. ::

            optimizer.update()                      # a step as usual, which makes everything ready
            with stream:
                stream.begin_capture()
                optimizer.update()                  # makes no step, but becomes part of the graph
                graph = stream.end_capture()
                for _ in range(100):
                    gradients[...] = …              # the same arrays as in the capture
                    optimizer.replay(graph)

        Never waits. A graph that is launched without this repeats the step before, with its scalars.

        Args:
            graph: CuPy's, or anything with ``launch()``, in which the last captured ``update()`` stands once.

        Raises:
            OptregError: no step was captured, or the next one would be another. Nothing was changed.
        """
        _ = self.target
        self._own_repeats().refresh()
        graph.launch()

    def _update(self) -> None:
        plan = self._planned()
        if plan.sees_before:
            self._before.clear()
            if plan.keeps_before or not self._runs_rules():
                keep_before(self)
        try:
            self._update_from(plan)
        finally:
            self._before.clear()

    def _update_from(self, plan: Plan) -> None:
        repeats = self._own_repeats()
        if repeats.again():
            self._run_stages(plan.after, self.t)
            return
        if not repeats.fit():
            self._check_parameters()
            self.reallocate_cleared_grads()
            fit_gradients(named_parameters(self.target))
        try:
            self._make_step(self._planned())
        finally:
            self._decision.flag = None

    def _make_step(self, plan: Plan) -> None:
        try:
            fused = self._run_hooks_before(plan)
            with restored_on_error(self):
                if measures(self):
                    measure_all(self, fused)
                    fused = ()
                self._update_parameters(fused, plan.fused_after)
        except SkipStep as skipped:
            self.t += skipped.counts
            return
        self._run_stages(plan.after, self.t)

    def _check_parameters(self) -> None:
        parameters = named_parameters(self.target)
        for name, parameter in parameters:
            check_parameter(name, parameter.data)
        check_apart(parameters)

    def reallocate_cleared_grads(self) -> None:
        """Give parameters whose gradient is None one of zeros; called before the hooks and after each of them."""
        fill_gradients(self.target)

    # Rules

    def rule_for(self, param: Any) -> str:  # noqa: ARG002 (a subclass decides by the parameter)
        """The name of the method that is the rule of a parameter: ``rule``, unless a subclass has several.

        Each rule has slots of its own, so a parameter has only those that its rule asks for. ::

            rules = "rule", "rule_of_vectors"

            def rule_for(self, param):
                return "rule" if param.data.ndim == 2 else "rule_of_vectors"

        Args:
            param: a parameter with ``.data``, whose shape and dtype may decide, and hyperparameters that are True,
                False, None or text, which ``options`` may set by the parameter's path.
        """
        return "rule"

    def run_rule(self, name: str) -> None:
        """Run a method that is written as a rule once over all parameters, between two steps.

        It sees the gradients that are there, and the ``t`` and hyperparameters of the last step; no hook runs.

        Args:
            name: of a method ``(self, param, grad, *slots)``, with slots that the rule has as well.
        """
        self._require_target()
        refuse_while_evaluating(self, "run_rule()")
        self.prepare()
        run(prepare_pass(self, [(self, max(self.t, 1))], OwnedRule(self, name)))

    # Hooks

    def _after_hook(self) -> None:
        self.reallocate_cleared_grads()

    def _planned(self) -> Plan:
        hooks = tuple(self._hooks.values())
        if self._plan is None or list(map(id, hooks)) != list(map(id, self._plan.hooks)):
            self._plan = plan_hooks(hooks)
        return self._plan

    def _run_hooks_before(self, plan: Plan) -> tuple[Any, ...]:
        """Run the hooks but those that share the pass of the optimizer's rule, which are returned."""
        if self._overrides("call_hooks"):
            self.call_hooks()
            return ()
        self._decision.may_wait = True
        try:
            self._run_stages(plan.before, self.t)
        finally:
            self._decision.may_wait = False
        if self._overrides("prepare"):  # which comes after the hooks
            self._run_stages([plan.fused], self.t)
            return ()
        self._observe(plan.fused)
        return plan.fused

    def _run_stages(self, stages: Sequence[Any], t: int) -> None:
        for stage in stages:
            if isinstance(stage, tuple):
                self._observe(stage)
                self._run_rules_of_hooks(stage, t)
            elif self._has_hook(stage):
                if not self._may_run(stage):
                    return
                stage(self)
                self.reallocate_cleared_grads()

    def _may_run(self, hook: Any) -> bool:
        """False where the step is left out, for a hook that would do something then. May wait for a device."""
        if getattr(hook, "stays_on_device", False):
            return True
        if self._own_repeats().capturing:
            raise OptregError(
                f"the hook {name_of_hook(hook)} runs on the host, so it cannot be captured into a CUDA graph; "
                f"remove it, or call it between replays"
            )
        return self._decision.is_made()

    def _run_rules_of_hooks(self, hooks: Sequence[Any], t: int) -> None:
        present = [hook for hook in hooks if self._has_hook(hook)]
        if not self._own_repeats().run(present):
            work = prepare_pass(self, [(hook, t) for hook in present])
            prepared = run(work)
            if not any(map(sees_before, present)):  # whose copies are made anew
                self._own_repeats().keep(work, prepared)

    def _observe(self, stage: tuple[Any, ...]) -> None:
        if stage and observes(stage[0]) and self._has_hook(stage[0]) and self._may_run(stage[0]):
            stage[0].observe(self)

    # The update of the parameters

    def _update_parameters(self, before: Sequence[Any], after: Sequence[Any]) -> None:
        before = [hook for hook in before if self._has_hook(hook)]
        after = [hook for hook in after if self._has_hook(hook)]
        if self._own_repeats().run([*before, self, *after]):
            return
        self.prepare()
        parameters = named_parameters(self.target)
        t = self.t + 1
        if self._runs_rules():
            owners = [*((hook, t - 1) for hook in before), (self, t), *((hook, t) for hook in after)]
            work = prepare_pass(self, owners if parameters else [])
            self.t = t
            try:
                prepared = run(work)
            except BaseException:
                self.t = t - 1
                raise
            if self._keeps_passes():
                self._own_repeats().keep(work, prepared)
            return
        self._run_rules_of_hooks(before, self.t)
        groups = groups_at(self, parameters, t)
        self.t = t
        if not self._decision.is_made():
            return
        for values, members in groups:
            with holding(self, values):
                for name, parameter in members:
                    state = self._states[name]
                    with device_of(parameter.data), widened(self, parameter, state) as changed:
                        self.update_one(changed, state)
        self._run_rules_of_hooks(after, t)

    def _keeps_passes(self) -> bool:
        return not any(map(self._overrides, ("call_hooks", "prepare", "reallocate_cleared_grads")))

    def _own_repeats(self) -> Repeats:
        if self._repeats is None or self._repeats.optimizer is not self:  # (those of a copy's original)
            self._repeats = Repeats(self)
        return self._repeats

    def _runs_rules(self) -> bool:
        return all(self._runs_rule_on(parameter) for _, parameter in named_parameters(self.target))

    def _runs_rule_on(self, parameter: Any) -> bool:
        """Whether the rule is all there is to the update of a parameter."""
        own = "update_one_cpu" if isinstance(parameter.data, np.ndarray) else "update_one_gpu"
        return has_rule(self) and not self._overrides("update_one") and not self._overrides(own)

    def _overrides(self, method: str) -> bool:
        return method in vars(self) or getattr(type(self), method) is not getattr(GradientMethod, method)

    def update_one(self, param: Any, state: dict[str, Any]) -> None:
        """Update one parameter: calls :meth:`update_one_cpu` or :meth:`update_one_gpu`.

        Args:
            param: a parameter with ``.data`` and ``.grad``.
            state: its state, by name.
        """
        if isinstance(param.data, np.ndarray):
            self.update_one_cpu(param, state)
        else:
            self.update_one_gpu(param, state)

    def update_one_cpu(self, param: Any, state: dict[str, Any]) -> None:
        """Update one parameter whose array is NumPy's; by default with the rule."""
        self._update_by_rule(param, state, "update_one_cpu")

    def update_one_gpu(self, param: Any, state: dict[str, Any]) -> None:
        """Update one parameter whose array is CuPy's; by default with the rule."""
        self._update_by_rule(param, state, "update_one_gpu")

    def _update_by_rule(self, param: Any, state: dict[str, Any], method: str) -> None:
        if not has_rule(self):
            raise NotImplementedError(
                f"{type(self).__name__} must write rule(self, param, grad, ...), or override update_one or {method}"
            )
        run_rule(self, param, state)
