"""A line search: how far to go in a direction, by the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from optreg.arrays import Array, real_elements
from optreg.errors import OptregError, SkipStep
from optreg.optimizers.vectors import Vector, add_to, copy_to, dot

FALL = 1e-4
FLATTENING = 0.9


@attrs.frozen(eq=False)
class Point:
    """A point of the line.

    Attributes:
        step: how far it is from the start.
        loss: there; infinite where there is no number.
        slope: of the loss, along the line.
        gradient: the gradients there.
    """

    step: float
    loss: float
    slope: float
    gradient: Any


class Line:
    """A line through the parameters, along which the loss is evaluated.

    Args:
        evaluate: gives the loss and the gradients at the parameters as they are.
        arrays: the parameters.
        direction: of the line, which begins at the parameters as they are.

    Attributes:
        direction: the same.
        evaluations: of the loss, so far.
    """

    def __init__(
        self, evaluate: Callable[[], tuple[float, Vector]], arrays: Sequence[Array], direction: Vector
    ) -> None:
        self._evaluate = evaluate
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
        try:
            loss, gradient = self._evaluate()
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


def strong_wolfe(evaluate: Callable[[float], Point], start: Point, step: float, *, most: int, narrow: float) -> Point:
    """Look for a step after which the loss has fallen enough, and become flat enough. ::

        loss(step) ≤ loss(0) + 1e-4·step·slope(0),   |slope(step)| ≤ 0.9·|slope(0)|

    Nocedal & Wright 2006, algorithms 3.5 and 3.6, with the choices of PyTorch: the next step is the minimum of a cubic,
    kept away from the ends of the bracket where it comes too near to these again and again. Other than there, a bracket
    that ends where the loss is no number is halved.

    Args:
        evaluate: gives the point of a step.
        start: the point of no step; the slope there is < 0.
        step: the first to try.
        most: evaluations after the first, at which it gives up.
        narrow: the width below which a bracket is not divided any more.

    Returns:
        The point, or the lowest that was found.
    """
    before, now = start, evaluate(step)
    for tries in range(most):
        if _is_too_high(now, start) or (tries > 1 and now.loss >= before.loss):
            return _zoom(evaluate, start, [before, now], most - tries, narrow)
        if _is_flat(now, start):
            return now
        if now.slope >= 0:
            return _zoom(evaluate, start, [before, now], most - tries, narrow)
        low, high = now.step + 0.01 * (now.step - before.step), now.step * 10
        before, now = now, evaluate(_lowest(before, now, low, high))
    return min(start, now, key=_loss)


def _zoom(evaluate: Callable[[float], Point], start: Point, ends: list[Point], most: int, narrow: float) -> Point:
    """Narrow a bracket until it holds a point that will do, which becomes its lower end."""
    low = ends.index(min(ends, key=_loss))
    is_stuck = False
    for _ in range(most):
        left, right = sorted(end.step for end in ends)
        if right - left < narrow:
            break
        step = _lowest(ends[0], ends[1], left, right)
        margin = 0.1 * (right - left)
        is_near = min(right - step, step - left) < margin
        if is_near and (is_stuck or not left < step < right):
            step = right - margin if right - step < step - left else left + margin
            is_near = False
        is_stuck = is_near
        now = evaluate(step)
        if _is_too_high(now, start) or now.loss >= ends[low].loss:
            ends[1 - low] = now
            low = ends.index(min(ends, key=_loss))
            continue
        is_done = _is_flat(now, start)
        if not is_done and now.slope * (ends[1 - low].step - ends[low].step) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = now
        if is_done:
            break
    return ends[low]


def _loss(point: Point) -> float:
    return point.loss


def _is_too_high(point: Point, start: Point) -> bool:
    return point.loss > start.loss + FALL * point.step * start.slope


def _is_flat(point: Point, start: Point) -> bool:
    return abs(point.slope) <= -FLATTENING * start.slope


def _lowest(one: Point, other: Point, low: float, high: float) -> float:
    """Where the cubic through two points, with their slopes, has its minimum, within bounds; or else the middle."""
    left, right = (one, other) if one.step <= other.step else (other, one)
    mean = left.slope + right.slope - 3 * (left.loss - right.loss) / (left.step - right.step)
    under_root = mean * mean - left.slope * right.slope
    if under_root >= 0:
        root = math.sqrt(under_root)
        divisor = right.slope - left.slope + 2 * root
        if divisor != 0 and math.isfinite(root):
            found = right.step - (right.step - left.step) * ((right.slope + root - mean) / divisor)
            return min(max(found, low), high)
    return (low + high) / 2
