"""AdEMAMix: a fast and a very slow average of the gradient."""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod
from optreg.optimizers.adam import update_moments
from optreg.schedules import Schedule

_DECAY_RATE = [attrs.validators.ge(0), attrs.validators.lt(1)]


@attrs.frozen
class HalfLifeWarmup(Schedule):
    """A decay rate whose half-life rises linearly, from ``initial``'s to ``final``'s at ``steps``.

    The paper's warm-up of AdEMAMix's ``beta3``, with ``beta1`` as ``initial``; the authors' code adds
    1e-8 to every rate.

    >>> schedule = HalfLifeWarmup(initial=0.9, final=0.9999, steps=100)
    >>> [round(schedule(t), 4) for t in (1, 10, 50, 100, 200)]
    [0.9909, 0.999, 0.9998, 0.9999, 0.9999]
    """

    name: ClassVar[str] = "half_life_warmup"
    initial: float = attrs.field(validator=_DECAY_RATE)
    final: float = attrs.field(validator=_DECAY_RATE)
    steps: int = attrs.field(validator=attrs.validators.ge(1))

    def __call__(self, t: int) -> float:
        if t >= self.steps:
            return self.final
        start, end = _half_life(self.initial), _half_life(self.final)
        half_life = start + (end - start) * t / self.steps
        return float(0.5 ** (1 / half_life)) if half_life > 0 else 0.0


def _half_life(beta: float) -> float:
    return math.log(0.5) / math.log(beta) if beta > 0 else 0.0


@attrs.define(eq=False)
class AdEMAMix(GradientMethod):
    """AdEMAMix: AdamW with a second, much slower average of the gradient mixed in. ::

        m1 ← β1·m1 + (1 − β1)·g
        m2 ← β3·m2 + (1 − β3)·g
        v  ← β2·v + (1 − β2)·g²
        p  ← p − lr·((m1 / (1 − β1ᵗ) + alpha·m2) / (√(v / (1 − β2ᵗ)) + eps) + weight_decay·p)

    Pagliardini, Ablin & Grangier 2024, arXiv:2409.03137.

    The form and defaults of the authors' code; optax has an alpha of 5. In long runs the paper raises alpha
    and β3 little by little, which here are schedules: ``alpha=LinearWarmup(steps=n, then=2.0)`` and
    ``beta3=HalfLifeWarmup(0.9, 0.9999, steps=n)``.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> ademamix = optreg.create("ademamix", lr=0.1).setup({"w": w})
    >>> ademamix.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> w.round(3)
    array([ 0.9, -2. ])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    beta3: float = fraction(0.9999)
    alpha: float = nonnegative(2.0, doc="the weight of the slow average")
    eps: float = positive(1e-8)
    weight_decay: float = nonnegative(0.0)

    def rule(self, param: Array, grad: Array, m1: Array, m2: Array, v: Array) -> None:
        update_moments(self, grad, m1, v)
        m2[...] = self.beta3 * m2 + (1 - self.beta3) * grad
        mix = m1 / (1 - self.beta1**self.t) + self.alpha * m2
        root = np.sqrt(v / (1 - self.beta2**self.t))
        param -= self.lr * (mix / (root + self.eps) + self.weight_decay * param)
