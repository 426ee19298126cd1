"""L-BFGS: Newton's direction from the last changes of the gradient, and a line search along it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import numpy as np

from optreg.arrays import array_module, compute_dtype, device_of, real_elements, zero_state
from optreg.base import Optimizer
from optreg.errors import ConfigError, GradientError, HyperparameterError, OptregError, SkipStep
from optreg.evaluation import refuse_while_evaluating
from optreg.gradients import fill_gradients, fit_gradients
from optreg.hyperparameters import choice, nonnegative, positive, whole
from optreg.optimizers.line_search import Line, Point, strong_wolfe
from optreg.optimizers.vectors import (
    Vector,
    add_rows_to,
    copy_to,
    dot,
    largest,
    minus,
    parts_of,
    products,
    row_of,
    size_of,
)
from optreg.signatures import holding, values_at
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
    _products: Any = attrs.field(default=None, init=False)
    _paths: tuple[str, ...] = attrs.field(default=(), init=False)

    # What is remembered

    def setup(self, link: Any) -> Any:
        super().setup(link)
        self._forget()
        return self

    def _forget(self) -> None:
        """Have the next direction be down the gradient."""
        self._turns = self._pairs = 0
        self._length = 0.0
        self._products = np.zeros((2, self.history_size, self.history_size))
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
        length = serializer("length", self._length)
        writes = hasattr(serializer, "save")  # else it may fill the array at once, and then fail
        of_pairs = serializer("products", self._products if writes else self._products.copy())
        super().serialize(serializer)
        self._turns, self._pairs, self._length = int(turns), int(pairs), float(length)
        self._products[...] = of_pairs

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

    def _evaluate(self, lossfun: Callable[[], Any]) -> tuple[float, Vector]:
        return _number(self.compute_gradients(lossfun)), self._hooked_gradient()

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
            if not math.isfinite(start.slope):  # what has overflowed would stay in the history
                self._forget()
                return
            if start.slope > -self.tolerance_change:
                return
            line = Line(partial(self._evaluate, lossfun), [parameter.data for _, parameter in parameters], direction)
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

    def _search(self, line: Line, start: Point, most: int, *, is_last: bool) -> Point:
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
        """Note what the last step has changed, and find the next direction.

        By the products of all pairs rather than by two loops over these (Byrd et al. 1994, "Representations of
        quasi-Newton matrices and their use in limited memory methods"): the same, in a few products of matrices.
        """
        direction, before = parts_of(states, "direction"), parts_of(states, "gradient")
        steps, changes = parts_of(states, "steps"), parts_of(states, "changes")
        self._turns += 1
        if self._turns > 1:
            self._note(steps, changes, direction, minus(gradient, before))
        self._length = 0.0  # until a step is made
        copy_to(before, gradient)
        count = min(self._pairs, self.history_size)
        if not count:
            copy_to(direction, gradient, -1.0)
            return direction
        oldest_first = (self._pairs - count + np.arange(count)) % self.history_size
        sy, yy = (each[np.ix_(oldest_first, oldest_first)] for each in self._products)
        upper, curvatures = np.triu(sy), np.diag(sy)
        scale = curvatures[-1] / yy[-1, -1]
        along = np.linalg.solve(upper, -products(steps, count, gradient)[oldest_first])
        across = -products(changes, count, gradient)[oldest_first] - yy @ along
        back = np.linalg.solve(upper.T, curvatures * along - scale * across)
        copy_to(direction, gradient, -scale)
        for factors, rows in ((-scale * along, changes), (back, steps)):
            in_places = np.empty(count)
            in_places[oldest_first] = factors
            add_rows_to(direction, in_places, rows)
        return direction

    def _note(self, steps: Vector, changes: Vector, direction: Vector, change: Vector) -> None:
        curvature = self._length * dot(change, direction)
        if not _LEAST_CURVATURE < curvature < math.inf:
            return
        place = self._pairs % self.history_size
        self._pairs += 1
        count = min(self._pairs, self.history_size)
        step = row_of(steps, place)
        copy_to(step, direction, self._length)
        copy_to(row_of(changes, place), change)
        sy, yy = self._products
        sy[:count, place] = products(steps, count, change)
        sy[place, :count] = products(changes, count, step)
        yy[:count, place] = yy[place, :count] = products(changes, count, change)
        sy[place, place] = curvature


def _number(loss: Any) -> float:
    """What a loss function returned as the loss, as a number."""
    value: Any = loss if hasattr(loss, "__float__") else getattr(loss, "data", None)
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError) as error:
        raise GradientError(
            f"lbfgs compares losses, so each must be a number, or have one as .data; the loss function gave {loss!r}"
        ) from error
