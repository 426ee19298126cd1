"""L-BFGS: Newton's direction from the last changes of the gradient, and a line search along it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, array_module, compute_dtype, device_of, real_elements, zero_state
from optreg.base import Optimizer
from optreg.errors import ConfigError, GradientError, HyperparameterError, OptregError, SkipStep
from optreg.evaluation import refuse_while_evaluating
from optreg.gradients import fill_gradients, fit_gradients
from optreg.hyperparameters import choice, holding, nonnegative, positive, values_at, whole
from optreg.optimizers.line_search import Point, strong_wolfe
from optreg.optimizers.vectors import Vector, add_to, copy_to, dot, largest, minus, parts_of, row_of, size_of
from optreg.targets import named_parameters

_LEAST_CURVATURE = 1e-10
_ENOUGH = 25


@attrs.define(eq=False)
class LBFGS(Optimizer):
    """Newton's direction, from the last changes of the gradient, and a line search along it. ::

        d = −H·g,   H from the last history_size pairs of s = Δp, y = Δg with s·y > 0, beginning with (s·y / y·y)·I
        p ← p + a·d,   a by the strong Wolfe conditions          again and again, up to max_iter times in a step

    Liu & Nocedal 1989; the choices and defaults of PyTorch, but for the line search, which is on by default, and has 25
    evaluations where max_iter is small. A direction in which the loss does not fall is not remembered as a step.

    A step evaluates the loss several times, so it needs ``update(lossfun)``, with a loss that is the same each time: of
    all examples, or of one batch that is large. Hooks before the update run on every gradient; what they add to it is
    not in the loss that the line search compares, so a penalty belongs into the loss. Where the loss is no number, or a
    hook skips it, the line search comes back. All parameters are one vector, so ``options`` are refused.

    The state has room for all pairs from the start; on the host, memory is taken as they come.

    >>> import numpy as np, optreg
    >>> x = np.array([-1.2, 1.0])
    >>> def rosenbrock():
    ...     valley = x[1] - x[0] ** 2
    ...     slope = np.array([-2 * (1 - x[0]) - 400 * x[0] * valley, 200 * valley])
    ...     return (1 - x[0]) ** 2 + 100 * valley**2, {"x": slope}
    >>> optimizer = optreg.create("lbfgs").setup({"x": x})
    >>> losses = [optimizer.update(rosenbrock) for _ in range(3)]
    >>> print(x.round(3))
    [1. 1.]
    """

    lr: float = positive(1.0, doc="the first step that a line search tries; without one, the length of steps")
    max_iter: int = whole(20, low=1, doc="directions in a step, at most")
    max_eval: int | None = whole(
        None, low=1, doc="evaluations of the loss after which a step ends; None: 25, or a quarter more than max_iter"
    )
    tolerance_grad: float = nonnegative(1e-7, doc="the step ends where no element of the gradient is larger")
    tolerance_change: float = nonnegative(1e-9, doc="the step ends where the loss or all parameters change by less")
    history_size: int = whole(100, low=1, doc="pairs that are remembered")
    line_search: str = choice("strong_wolfe", ("strong_wolfe", "none"), doc="how the length of steps is found")

    _turns: int = attrs.field(default=0, init=False)
    _pairs: int = attrs.field(default=0, init=False)
    _length: float = attrs.field(default=0.0, init=False)
    _scale: float = attrs.field(default=1.0, init=False)
    _curvatures: Any = attrs.field(default=None, init=False)
    _paths: tuple[str, ...] = attrs.field(default=(), init=False)

    # What is remembered

    def setup(self, link: Any) -> Any:
        super().setup(link)
        self._forget()
        return self

    def _forget(self) -> None:
        """Have the next direction be down the gradient."""
        self._turns = self._pairs = 0
        self._length, self._scale = 0.0, 1.0
        self._curvatures = np.zeros(self.history_size)
        self._paths = tuple(name for name, _ in named_parameters(self.target))

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        data = param.data
        with device_of(data):
            for name in ("steps", "changes"):
                shape = (self.history_size, *data.shape)
                state[name] = array_module(data).zeros(shape, compute_dtype(data.dtype))
        state["direction"], state["gradient"] = zero_state(data), zero_state(data)

    def serialize(self, serializer: Any) -> None:
        turns, pairs = serializer("turns", self._turns), serializer("pairs", self._pairs)
        length, scale = serializer("length", self._length), serializer("scale", self._scale)
        writes = hasattr(serializer, "save")  # else it may fill the array at once, and then fail
        curvatures = serializer("curvatures", self._curvatures if writes else self._curvatures.copy())
        super().serialize(serializer)
        self._turns, self._pairs = int(turns), int(pairs)
        self._length, self._scale = float(length), float(scale)
        self._curvatures[...] = curvatures

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """None: all parameters are one vector."""
        return {}

    @options.setter
    def options(self, patterns: Mapping[str, Mapping[str, Any]] | None) -> None:
        if patterns:
            raise ConfigError(
                "lbfgs goes in one direction with all parameters, so its hyperparameters cannot differ between them; "
                "leave options out"
            )

    # A step

    def update(self, lossfun: Callable[..., Any] | None = None, *args: Any, **kwds: Any) -> Any:
        self._require_target()
        refuse_while_evaluating(self, "update()")
        if lossfun is None:
            raise OptregError(
                "lbfgs evaluates the loss at several points in a step, so the gradients at one of them are not enough; "
                "call update(lossfun)"
            )
        loss = self.compute_gradients(lossfun, *args, **kwds)
        try:
            gradient = self._hooked_gradient()
        except SkipStep as skipped:
            self.t += skipped.counts
            return loss
        self.prepare()
        self._check_history()
        with holding(self, values_at(self, self.t + 1)):
            self._minimize(partial(lossfun, *args, **kwds), _number(loss), gradient)
        self.t += 1
        self.call_hooks("post")
        return loss

    def _hooked_gradient(self) -> Vector:
        """A copy of the gradients, after the hooks."""
        fill_gradients(self.target)
        self.call_hooks()
        fill_gradients(self.target)
        parameters = named_parameters(self.target)
        fit_gradients(parameters)
        gradient = []
        for _, parameter in parameters:
            with device_of(parameter.data):
                gradient.append(real_elements(parameter.grad.astype(compute_dtype(parameter.data.dtype))))
        return gradient

    def _check_history(self) -> None:
        paths = tuple(name for name, _ in named_parameters(self.target))
        if any(self._states[path]["steps"].shape[0] != self.history_size for path in paths):
            raise HyperparameterError(
                f"LBFGS: history_size is now {self.history_size}, but the states were made for another one; choose it "
                f"before setup(), or call setup() again"
            )
        if paths != self._paths:  # pairs of fewer parameters say nothing of all
            self._forget()

    def _minimize(self, lossfun: Callable[[], Any], loss: float, gradient: Vector) -> None:
        parameters = named_parameters(self.target)
        states = [self._states[name] for name, _ in parameters]
        evaluations, most = 1, self.max_eval or max(self.max_iter * 5 // 4, _ENOUGH)
        if largest(gradient) <= self.tolerance_grad:
            return
        for number in range(1, self.max_iter + 1):
            direction = self._turn(states, gradient)
            start = Point(0.0, loss, dot(gradient, direction), gradient)
            if not start.slope <= -self.tolerance_change:  # (NaN as well)
                return
            line = _Line(self, lossfun, [parameter.data for _, parameter in parameters], direction)
            end = self._search(line, start, most - evaluations, is_last=number == self.max_iter)
            evaluations += line.evaluations
            self._length = end.step
            if (
                evaluations >= most
                or largest(end.gradient) <= self.tolerance_grad
                or abs(end.step) * largest(direction) <= self.tolerance_change
                or abs(end.loss - loss) < self.tolerance_change
            ):
                return
            loss, gradient = end.loss, end.gradient

    def _search(self, line: _Line, start: Point, most: int, *, is_last: bool) -> Point:
        """Go to a point of the line; back to where it begins if anything is raised."""
        length = self.lr if self._turns > 1 else self.lr * min(1.0, 1 / size_of(start.gradient))
        try:
            if self.line_search == "strong_wolfe":
                narrow = self.tolerance_change / largest(line.direction)
                end = strong_wolfe(line.at, start, length, most=most, narrow=narrow)
            elif is_last:  # the next step begins with its evaluation
                end = Point(length, start.loss, start.slope, start.gradient)
            else:
                end = line.at(length)
                end = end if end.gradient else start
        except BaseException:
            line.go(0.0)
            raise
        line.go(end.step)
        return end

    # A direction

    def _turn(self, states: Sequence[Mapping[str, Any]], gradient: Vector) -> Vector:
        """Note what the last step has changed, and find the next direction."""
        direction, before = parts_of(states, "direction"), parts_of(states, "gradient")
        steps, changes = parts_of(states, "steps"), parts_of(states, "changes")
        self._turns += 1
        if self._turns > 1:
            self._note(steps, changes, direction, minus(gradient, before))
        self._length = 0.0  # until a step is made
        copy_to(before, gradient)
        copy_to(direction, gradient, -1.0)
        remembered = min(self._pairs, self.history_size)
        newest_first = [(self._pairs - 1 - back) % self.history_size for back in range(remembered)]
        shares = {}
        for place in newest_first:
            shares[place] = self._curvatures[place] * dot(row_of(steps, place), direction)
            add_to(direction, -shares[place], row_of(changes, place))
        copy_to(direction, direction, self._scale)
        for place in reversed(newest_first):
            share = self._curvatures[place] * dot(row_of(changes, place), direction)
            add_to(direction, shares[place] - share, row_of(steps, place))
        return direction

    def _note(self, steps: Vector, changes: Vector, direction: Vector, change: Vector) -> None:
        curvature = self._length * dot(change, direction)
        if curvature > _LEAST_CURVATURE:
            place = self._pairs % self.history_size
            copy_to(row_of(steps, place), direction, self._length)
            copy_to(row_of(changes, place), change)
            self._curvatures[place] = 1 / curvature
            self._scale = curvature / dot(change, change)
            self._pairs += 1


class _Line:
    """A line through the parameters, along which the loss is evaluated."""

    def __init__(
        self, optimizer: LBFGS, lossfun: Callable[[], Any], arrays: Sequence[Array], direction: Vector
    ) -> None:
        self._optimizer = optimizer
        self._lossfun = lossfun
        self._arrays = [real_elements(array) for array in arrays]
        self._begin = [array.astype(part.dtype) for array, part in zip(self._arrays, direction, strict=True)]
        self.direction = direction
        self.evaluations = 0

    def go(self, step: float) -> None:
        """Put the parameters a step away from where the line begins."""
        copy_to(self._arrays, self._begin)
        if step:
            add_to(self._arrays, step, self.direction)

    def at(self, step: float) -> Point:
        """Evaluate the loss a step away from where the line begins."""
        self.go(step)
        self.evaluations += 1
        loss = _number(self._optimizer.compute_gradients(self._lossfun))
        try:
            gradient = self._optimizer._hooked_gradient()
        except SkipStep as skipped:
            if not skipped.counts:
                raise OptregError(
                    "a hook says that there is no step to be made, in the middle of one: lbfgs evaluates the loss "
                    "several times in a step; do without gradient_accumulation, with the loss of all parts at once"
                ) from skipped
            return Point(step, math.inf, math.nan, [])
        slope = dot(gradient, self.direction)
        is_number = math.isfinite(loss) and math.isfinite(slope)
        return Point(step, loss if is_number else math.inf, slope, gradient)


def _number(loss: Any) -> float:
    """What a loss function returned as the loss, as a number."""
    value: Any = loss if hasattr(loss, "__float__") else getattr(loss, "data", None)
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError) as error:
        raise GradientError(
            f"lbfgs compares losses, so each must be a number, or have one as .data; the loss function gave {loss!r}"
        ) from error
