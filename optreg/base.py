"""``Optimizer``: a target, a step count, states and hooks. Chainer's interface, kept whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from optreg import adapters, deprecated
from optreg.arrays import device_of
from optreg.backends.work import Decision
from optreg.config import config_of
from optreg.errors import NotSetUpError, OptregError
from optreg.evaluation import evaluation_weights, refuse_while_evaluating
from optreg.gradients import assign_gradients, compute_gradients, fit_gradients
from optreg.hook import forget_slots
from optreg.hooked import Hooked
from optreg.memory import begin_anew, remember, remembered_by
from optreg.options import Options
from optreg.overlaps import check_apart
from optreg.passes import groups_at
from optreg.signatures import holding, values_at
from optreg.states import States, fill_slots
from optreg.targets import as_target, check_parameter, named_parameters, uninitialized_names


class Optimizer(Hooked):
    """The base of all optimizers: a target, a step count, states, and hooks.

    A subclass overrides :meth:`update`. If it needs the gradient at one point only, it is a
    :class:`GradientMethod` and writes a ``rule`` instead.

    Attributes:
        target: what ``setup()`` was given; nested arrays are wrapped, so that ``target["/l1/W"].grad`` works.
        t: the number of update steps made.
        epoch: the number of epochs begun with :meth:`new_epoch`.
    """

    target: Any
    t: int = 0
    epoch: int = 0

    _use_cleargrads: bool = False
    _states: States
    _options: Options
    _decision: Decision
    _is_evaluating: bool = False

    def __new__(cls, *args: Any, **kwds: Any) -> Any:  # noqa: ARG004 (they are for __init__)
        # Not in __init__: a subclass need not call it, and classes written for Chainer do not.
        self = super().__new__(cls)
        try:
            self._decision = Decision()
            self._options = Options(self, {})
            self._keep_no_hooks()
        except AttributeError as error:  # of attrs.frozen and of frozen dataclasses
            raise TypeError(
                f"{cls.__name__} is frozen, but an optimizer counts its steps and keeps hooks; "
                f"declare it with attrs.define(eq=False)"
            ) from error
        return self

    def __getattr__(self, name: str) -> Any:
        if hasattr(type(self), name):  # a property that has raised an AttributeError: say which
            return object.__getattribute__(self, name)
        if name == "target":
            raise NotSetUpError(
                f"this {type(self).__name__} has no target yet: call setup(target) first, with the parameters"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # What an optimizer works on

    def setup(self, link: Any) -> Any:
        """Set the target and make new states for its parameters; ``t`` and ``epoch`` begin at 0. Hooks stay.

        Args:
            link: a mapping (nested at will) of arrays, a Chainer link or anything with ``namedparams()`` or
                ``params()``, or what an installed package has an adapter for.

        Returns:
            The optimizer.

        Raises:
            TargetError: (a TypeError) not a target, or parameters that cannot be optimized. Nothing was changed.
            PatternError: a pattern of the options matches no parameter.
        """
        target = as_target(link, adapters.adapt)
        parameters = named_parameters(target)
        for name, parameter in parameters:
            check_parameter(name, parameter.data)
        check_apart(parameters)
        self._check_options(self._options, target)
        before = dict(vars(self))
        try:
            self.target = target
            self.t = 0
            self.epoch = 0
            self._states = States()
            self._hook_states = {}
            if remembered_by(self):
                with holding(self, values_at(self, 1)):
                    begin_anew(self)
            self.prepare()
        except BaseException:  # a subclass could not make its states
            vars(self).clear()
            vars(self).update(before)
            raise
        for hook in self._hooks.values():
            forget_slots(hook)
        return self

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """Hyperparameters by path pattern, ``{"*/b": {"weight_decay": 0.0}}``; assign to change them."""
        return {pattern: dict(overrides) for pattern, overrides in self._options.patterns.items()}

    @options.setter
    def options(self, patterns: Mapping[str, Mapping[str, Any]] | None) -> None:
        options = Options(self, patterns or {})
        if "target" in vars(self):
            self._check_options(options, self.target)
        self._options = options

    def _check_options(self, options: Options, target: Any) -> None:
        coming = uninitialized_names(target)
        if coming is not None:
            options.check_all_match([*(name for name, _ in named_parameters(target)), *coming])

    def prepare(self) -> None:
        """Make missing states, for parameters added after ``setup()``, and move states to their parameters' devices."""
        parameters = named_parameters(self.target)
        new = [(name, parameter) for name, parameter in parameters if name not in self._states]
        for name, parameter in new:
            check_parameter(name, parameter.data)
        for values, members in groups_at(self, new, max(self.t, 1)):  # their options may say which slots there are
            with holding(self, values):
                self._states.prepare(self, members)
        self._states.prepare(self, parameters)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        """Put what the optimizer remembers of a parameter into ``state``: zeros for the slots of the rule.

        Calls :meth:`init_state_cpu` or :meth:`init_state_gpu`, with the parameter's device as the current one.

        Args:
            param: a parameter with ``.data`` and ``.grad``.
            state: an empty dict, to be filled with arrays by name.
        """
        with device_of(param.data):
            if isinstance(param.data, np.ndarray):
                self.init_state_cpu(param, state)
            else:
                self.init_state_gpu(param, state)

    def init_state_cpu(self, param: Any, state: dict[str, Any]) -> None:
        """Make the state of a parameter whose array is NumPy's."""
        fill_slots(self, param, state)

    def init_state_gpu(self, param: Any, state: dict[str, Any]) -> None:
        """Make the state of a parameter whose array is CuPy's."""
        fill_slots(self, param, state)

    def uses_slot(self, name: str) -> bool:  # noqa: ARG002 (a subclass decides by the name)
        """Whether a slot that the rule's signature makes optional is in use."""
        return True

    # A step

    def update(self, lossfun: Callable[..., Any] | None = None, *args: Any, **kwds: Any) -> Any:
        """Update the parameters and states; each subclass says how.

        Args:
            lossfun: called with ``args`` and ``kwds``; returns something with ``backward()``, or a pair of the loss
                and the gradients by name. Without it, the gradients of the parameters are taken as they are.

        Returns:
            What ``lossfun`` returned as the loss, or None.
        """
        raise NotImplementedError(f"{type(self).__name__} must override update(), or be a GradientMethod with a rule")

    def compute_gradients(self, lossfun: Callable[..., Any], *args: Any, **kwds: Any) -> Any:
        """Have the gradients of a loss function in the parameters, for an :meth:`update` of one's own.

        Args:
            lossfun: called with ``args`` and ``kwds`` after the gradients were cleared; returns something with
                ``backward()``, or a pair of the loss and the gradients by name.

        Returns:
            What ``lossfun`` returned as the loss.

        Raises:
            TypeError: not a function.
            GradientError: (a ValueError) no gradients, or some that do not fit.
        """
        self._lossfun = None  # should this raise
        loss = compute_gradients(self.target, lossfun, args, kwds, cleared=self._use_cleargrads)
        self._lossfun = partial(lossfun, *args, **kwds)
        return loss

    def recompute_gradients(self) -> Any:
        """Have the gradients of this step's loss function again, at the parameters as they are now, for a hook.

        Returns:
            What the loss function returned as the loss.

        Raises:
            OptregError: there is no loss function: this is not within ``update(lossfun)``, before the update.
            GradientError: (a ValueError) no gradients, or some that do not fit.
        """
        if self._lossfun is None:
            raise OptregError(
                "a hook needs the gradients at other parameters, but update() was called without a loss function, or "
                "the update is made already; call update(lossfun)"
            )
        loss = compute_gradients(self.target, self._lossfun, (), {}, cleared=self._use_cleargrads)
        fit_gradients(named_parameters(self.target))
        return loss

    def apply_gradients(self, gradients: Mapping[str, Any]) -> None:
        """Make a step with gradients at hand.

        Args:
            gradients: arrays by name, nested as the parameters are or by path; parameters left out count as zeros.

        Raises:
            GradientError: a name without a parameter, or a shape or dtype that does not fit. Nothing was changed.
        """
        assign_gradients(self.target, gradients)
        self.update()

    @contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        """For a ``with`` block, put the weights to evaluate with into the parameters' arrays.

        These are an average of the parameters, where the optimizer or one of its hooks keeps one; else the parameters
        as they are. At the end of the block, and if it raises, the parameters are what they were, bit for bit. Inside,
        no step is made, and nothing saved or loaded: that would mix the two.

        Raises:
            OptregError: two hooks keep such weights; or the block is inside of another one.
        """
        self._require_target()
        with evaluation_weights(self):
            yield

    def new_epoch(self) -> None:
        """Count a new epoch."""
        self._require_target()
        self.epoch += 1

    def _require_target(self) -> None:
        _ = self.target

    # What is written down

    def config(self) -> dict[str, Any]:
        """The optimizer as plain data, which :func:`optreg.create` turns into the same optimizer again.

        Raises:
            ConfigError: something that cannot be written down, such as a lambda as a schedule or hook.
        """
        return config_of(self)

    def serialize(self, serializer: Any) -> None:
        """Save or load ``t``, ``epoch``, the states, and numbers that a class remembers.

        Neither the parameters nor the hyperparameters.

        Args:
            serializer: a Chainer serializer or deserializer, or anything that works like one.

        Raises:
            KeyError: what is loaded lacks a value. The optimizer is as it was.
        """
        self._require_target()
        refuse_while_evaluating(self, "serialize()")
        t, epoch = serializer("t", self.t), serializer("epoch", self.epoch)
        t, epoch = (self.t if t is None else int(t)), (self.epoch if epoch is None else int(epoch))
        present = remembered_by(self)
        numbers = {name: serializer(name, value) for name, value in present.items()}
        self._states.serialize(serializer)
        self.t, self.epoch = t, epoch
        remember(self, {name: present[name] if value is None else float(value) for name, value in numbers.items()})

    if not TYPE_CHECKING:  # a subclass may have a hyperparameter of such a name: weight_decay
        zero_grads = deprecated.zero_grads
        compute_grads_norm = deprecated.compute_grads_norm
        clip_grads = deprecated.clip_grads
        weight_decay = deprecated.weight_decay
        accumulate_grads = deprecated.accumulate_grads
