"""Schedule-free methods: gradients at a point between the steps' and their average, which is what to evaluate with."""

from __future__ import annotations

from typing import Any, Protocol

import attrs
import numpy as np

from optreg.arrays import Array, compute_dtype, device_of, new_number
from optreg.hyperparameters import fraction, nonnegative, number, positive, whole
from optreg.optimizer import GradientMethod

_NEVER_ZERO = 1e-30


class _ScheduleFree(Protocol):
    lr: float
    warmup_steps: int
    r: float
    weight_lr_power: float
    t: int


def _begin(param: Any, state: dict[str, Any]) -> None:
    with device_of(param.data):
        state["z"] = param.data.astype(compute_dtype(param.data.dtype))
    state["lr_max"] = new_number(param.data, 0.0)
    state["weight_sum"] = new_number(param.data, 0.0)


def _warmed_up(method: _ScheduleFree) -> Any:
    return method.lr * min(1.0, method.t / max(method.warmup_steps, 1))


def _share_of_step(method: _ScheduleFree, lr: Any, lr_max: Array, weight_sum: Array) -> Any:
    """The weight of this step's z in the average: equal weights, but for a warm-up or schedules."""
    lr_max[...] = np.maximum(lr_max, lr)
    weight = method.t**method.r * lr_max**method.weight_lr_power
    weight_sum += weight
    return weight / np.maximum(weight_sum, _NEVER_ZERO)


def _move(param: Array, z: Array, step: Any, beta: Any, share: Any) -> None:
    param += share * (z - param)
    param += (beta * (1 - share) - 1) * step
    z -= step


def _average(param: Array, z: Array, beta: Any) -> Array:
    average: Array = param + (1 - 1 / beta) * (z - param)
    return average


@attrs.define(eq=False)
class ScheduleFreeSGD(GradientMethod):
    """Gradient descent that needs no schedule: it evaluates with an average of its steps. ::

        y = (1 − momentum)·z + momentum·x        the parameters, where gradients are taken
        z ← z − lr·(g + weight_decay·y)
        x ← (1 − c)·x + c·z,   c = w_t / Σ w_i,  w_t = tʳ · (highest lr so far)^weight_lr_power

    Defazio et al. 2024, arXiv:2405.15682; the authors' form and defaults.

    ``with optimizer.evaluation_weights():`` puts x into the parameters. The state holds z: x follows from y and z.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0])
    >>> optimizer = optreg.create("schedule_free_sgd", lr=0.5, momentum=0.5).setup({"w": w})
    >>> for _ in range(2):
    ...     optimizer.apply_gradients({"w": np.ones(1)})
    >>> print(w)
    [0.125]
    >>> with optimizer.evaluation_weights():
    ...     print(w)
    [0.25]
    """

    lr: float = positive(1.0)
    momentum: float = number(0.9, low=0, high=1, low_open=True, high_open=True, doc="how near y is to the average")
    weight_decay: float = nonnegative(0.0)
    warmup_steps: int = whole(0, doc="steps of a linear rise of lr")
    r: float = nonnegative(0.0, doc="power of t in the weights of the average")
    weight_lr_power: float = nonnegative(2.0, doc="power of the highest lr in the weights of the average")

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        _begin(param, state)

    def rule(self, param: Array, grad: Array, z: Array, lr_max: Array, weight_sum: Array) -> None:
        lr = _warmed_up(self)
        share = _share_of_step(self, lr, lr_max, weight_sum)
        _move(param, z, lr * (grad + self.weight_decay * param), self.momentum, share)

    def evaluation_weight(self, param: Array, z: Array) -> Array:
        """The average x."""
        return _average(param, z, self.momentum)


@attrs.define(eq=False)
class ScheduleFreeAdamW(GradientMethod):
    """AdamW that needs no schedule: it evaluates with an average of its steps. ::

        v ← beta2·v + (1 − beta2)·g²
        z ← z − lr·(g / (√v̂ + eps) + weight_decay·y),   v̂ = v / (1 − beta2ᵗ)
        x, y and c as in ``schedule_free_sgd``, with beta1 for momentum

    Defazio et al. 2024, arXiv:2405.15682; the form and defaults of the authors' package from 1.3 on, which divides v by
    its bias. They advise a warm-up.

    ``with optimizer.evaluation_weights():`` puts x into the parameters. The state holds z: x follows from y and z.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0])
    >>> optimizer = optreg.create("schedule_free_adamw", lr=0.5, beta1=0.5).setup({"w": w})
    >>> for _ in range(2):
    ...     optimizer.apply_gradients({"w": np.ones(1)})
    >>> with optimizer.evaluation_weights():
    ...     print(w.round(6))
    [0.25]
    """

    lr: float = positive(2.5e-3)
    beta1: float = number(0.9, low=0, high=1, low_open=True, high_open=True, doc="how near y is to the average")
    beta2: float = fraction(0.999)
    eps: float = positive(1e-8)
    weight_decay: float = nonnegative(0.0)
    warmup_steps: int = whole(0, doc="steps of a linear rise of lr")
    r: float = nonnegative(0.0, doc="power of t in the weights of the average")
    weight_lr_power: float = nonnegative(2.0, doc="power of the highest lr in the weights of the average")

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        _begin(param, state)
        super().init_state(param, state)

    def rule(self, param: Array, grad: Array, z: Array, v: Array, lr_max: Array, weight_sum: Array) -> None:  # noqa: PLR0917
        lr = _warmed_up(self)
        v *= self.beta2
        v += (1 - self.beta2) * grad * grad
        direction = grad / (np.sqrt(v / (1 - self.beta2**self.t)) + self.eps) + self.weight_decay * param
        share = _share_of_step(self, lr, lr_max, weight_sum)
        _move(param, z, lr * direction, self.beta1, share)

    def evaluation_weight(self, param: Array, z: Array) -> Array:
        """The average x."""
        return _average(param, z, self.beta1)
