"""Prodigy: Adam that estimates how far it is to the solution, and steps accordingly."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, compute_dtype, device_of
from optreg.errors import SkipStep
from optreg.hyperparameters import boolean, fraction, nonnegative, number, positive, remembered
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class Prodigy(GradientMethod):
    """Prodigy: Adam in units of an estimate d of the distance to the solution, so that ``lr`` may stay 1. ::

        r ← β3·r + d·γ·⟨g, p0 − p⟩ / d0          all parameters together; γ = d·lr
        s ← β3·s + d·γ·g / d0
        d̂ = d_coef·r / ‖s‖₁                      all parameters together
        m ← β1·m + (1 − β1)·d·g
        v ← β2·v + (1 − β2)·d²·g²
        d ← max(d, d̂),  at most growth_rate·d
        p ← p − γ·(m / (√v + d·eps) + weight_decay·p)

    γ is that of the d before, in m, v and the step as well; only eps is multiplied by the new one. r, d and the largest
    d̂ so far are numbers of the optimizer. A step is left out as long as all gradients are zero. Where ``lr`` is zero,
    by a schedule or in ``options``, parameters and their states rest.

    Mishchenko & Defazio 2023, arXiv:2306.06101.

    The form and defaults of the authors' package, but for ``slice_p``, which saves memory by estimating from a part of
    each tensor. There, ``lr`` must be the same for all parameters, or zero.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> prodigy = optreg.create("prodigy", d0=1e-3).setup({"w": w})
    >>> for _ in range(100):
    ...     prodigy.apply_gradients({"w": w - 3})
    >>> w.round(1), round(prodigy.d, 2)
    (array([3., 3.]), 1.44)
    """

    lr: float = positive(1.0)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    beta3: float | None = number(None, low=0, high=1, high_open=True, doc="of the estimate's averages; None: √beta2")
    eps: float = positive(1e-8)
    weight_decay: float = nonnegative(0.0)
    decouple: bool = boolean(True, doc="decay does not pass through the averages")
    use_bias_correction: bool = boolean(False, doc="correct the bias of Adam's averages")
    safeguard_warmup: bool = boolean(False, doc="leave lr out of s, for a warm-up")
    d0: float = positive(1e-6, doc="the first estimate of the distance")
    d_coef: float = positive(1.0, doc="a factor of the estimate: what to tune, rather than lr")
    growth_rate: float | None = number(None, low=1, doc="how many times larger the estimate may become in a step")

    d: float = remembered(lambda self: self.d0)
    d_max: float = remembered(lambda self: self.d0)
    numerator: float = remembered(0.0)
    _d_before: float = attrs.field(default=0.0, init=False, repr=False)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        with device_of(param.data):
            state["p0"] = param.data.astype(compute_dtype(param.data.dtype))

    def measure(self, param: Array, grad: Array, p0: Array, s: Array) -> Any:
        if self.lr == 0:
            return 0.0, 0.0
        grad = self._decayed(grad, param)
        along = self.d / self.d0 * self._rate(self.d) * np.sum(grad * (p0 - param))
        return along, np.sum(np.abs(self._next(s, grad, self.d)))

    def adapt(self, along: float, size: float) -> None:
        """Take the totals into the estimate."""
        if size == 0:
            raise SkipStep
        self.numerator = self._beta3() * self.numerator + along
        found = self.d_coef * self.numerator / size
        self._d_before = self.d
        grown = max(self.d, found) if self.d == self.d0 else self.d
        self.d_max = max(self.d_max, found)
        self.d = self.d_max if self.growth_rate is None else min(self.d_max, grown * self.growth_rate)

    def rule(self, param: Array, grad: Array, m: Array, v: Array, s: Array) -> None:
        if self.lr == 0:
            return
        d, rate = self._d_before, self._rate(self._d_before)
        grad = self._decayed(grad, param)
        s[...] = self._next(s, grad, d)
        m *= self.beta1
        m += d * (1 - self.beta1) * grad
        v *= self.beta2
        v += d * d * (1 - self.beta2) * grad * grad
        if self.decouple:
            param *= 1 - rate * self.weight_decay
        param -= rate * m / (np.sqrt(v) + self.d * self.eps)

    def _decayed(self, grad: Array, param: Array) -> Array:
        return grad if self.decouple else grad + self.weight_decay * param

    def _next(self, s: Array, grad: Array, d: float) -> Array:
        share: Array = d / self.d0 * (d if self.safeguard_warmup else self._rate(d)) * grad
        return self._beta3() * s + share

    def _rate(self, d: float) -> float:
        corrected = (1 - self.beta2**self.t) ** 0.5 / (1 - self.beta1**self.t) if self.use_bias_correction else 1
        return d * self.lr * corrected

    def _beta3(self) -> float:
        return self.beta2**0.5 if self.beta3 is None else self.beta3
