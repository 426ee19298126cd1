"""Averages of the parameters, made after each update: to evaluate with, or to go back to."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from optreg.arrays import Array, compute_dtype, device_of, new_number
from optreg.hook import Hook
from optreg.hyperparameters import fraction, number, whole


def _begin_with_parameter(slot: str, param: Any, state: dict[str, Any]) -> None:
    with device_of(param.data):
        state[slot] = param.data.astype(compute_dtype(param.data.dtype))


@attrs.define(eq=False, repr=False)
class ExponentialMovingAverage(Hook):
    """Keep an average of each parameter that forgets exponentially. ::

        average ← decay·average + (1 − decay)·p        after each update

    Polyak & Juditsky 1992, in the form of Tarvainen & Valpola 2017, arXiv:1703.01780. It begins with the parameters
    as they are at the first step. ``with optimizer.evaluation_weights():`` puts the averages in place.

    Args:
        decay: how much of the average is kept in a step, in [0, 1), or a schedule.

    >>> import numpy as np, optreg
    >>> w = np.zeros(1)
    >>> average = optreg.create_hook("exponential_moving_average", decay=0.5)
    >>> optimizer = optreg.create("sgd", lr=1.0, hooks=[average]).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.ones(1)})
    >>> with optimizer.evaluation_weights():
    ...     print(w)
    [-0.5]
    >>> print(w)
    [-1.]
    """

    timing: ClassVar[Literal["post"]] = "post"
    decay: float = fraction(0.999)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        """Begin with the parameter as it is."""
        _begin_with_parameter("average", param, state)

    def rule(self, param: Array, grad: Array, average: Array) -> None:  # noqa: ARG002 (a rule takes both)
        """Move the average of one parameter on."""
        average += (1 - self.decay) * (param - average)

    def evaluation_weight(self, param: Array, average: Array) -> Array:  # noqa: ARG002 (some need it)
        """The average."""
        return average


@attrs.define(eq=False, repr=False)
class StochasticWeightAverage(Hook):
    """Keep the mean of what each parameter was at the end of every ``every``-th step from step ``start`` on.

    Izmailov et al. 2018, arXiv:1803.05407. Before step ``start`` there is no mean, and the parameters are what they
    are. ``with optimizer.evaluation_weights():`` puts the means in place.

    Args:
        start: the first step that counts, at least 1.
        every: steps from one that counts to the next, at least 1.

    >>> import optreg
    >>> optreg.create_hook("stochastic_weight_average", start=1000, every=100)
    StochasticWeightAverage(start=1000, every=100)
    """

    timing: ClassVar[Literal["post"]] = "post"
    start: int = whole(1, low=1)
    every: int = whole(1, low=1)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        """Begin with nothing."""
        state["seen"] = new_number(param.data, 0.0)

    def rule(self, param: Array, grad: Array, mean: Array, seen: Array) -> None:  # noqa: ARG002 (a rule takes both)
        """Take one parameter into its mean, if this step counts."""
        if self.t >= self.start and (self.t - self.start) % self.every == 0:
            seen += 1
            mean += (param - mean) / seen

    def evaluation_weight(self, param: Array, mean: Array, seen: Array) -> Array:
        """The mean, if there is one."""
        return np.where(seen > 0, mean, param)


@attrs.define(eq=False, repr=False)
class Lookahead(Hook):
    """Follow the optimizer with slow weights, and go back to these after every ``k`` steps. ::

        slow ← slow + alpha·(p − slow),   p ← slow        after every k-th update

    Zhang et al. 2019, arXiv:1907.08610: for any optimizer, whose states stay as they are. The slow weights begin with
    the parameters as they are at the first step; ``with optimizer.evaluation_weights():`` puts them in place.

    Args:
        k: steps of the optimizer for each of the slow weights, at least 1.
        alpha: how far the slow weights go towards the parameters, in [0, 1], or a schedule.

    >>> import optreg
    >>> optreg.create_hook("lookahead")
    Lookahead(k=5, alpha=0.5)
    """

    timing: ClassVar[Literal["post"]] = "post"
    k: int = whole(5, low=1)
    alpha: float = number(0.5, low=0, high=1)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        """Begin with the parameter as it is."""
        _begin_with_parameter("slow", param, state)

    def rule(self, param: Array, grad: Array, slow: Array) -> None:  # noqa: ARG002 (a rule takes both)
        """Bring the slow weights and one parameter together, if this step is one of the k-th."""
        if self.t % self.k == 0:
            slow += self.alpha * (param - slow)
            param[...] = slow

    def evaluation_weight(self, param: Array, slow: Array) -> Array:  # noqa: ARG002 (some need it)
        """The slow weight."""
        return slow
