"""D-Adaptation: SGD and Adam that estimate how far it is to the solution, and step accordingly."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, compute_dtype, device_of
from optreg.errors import SkipStep
from optreg.hyperparameters import boolean, fraction, nonnegative, number, positive, remembered
from optreg.optimizer import GradientMethod

_GROWTH = "how many times larger the estimate may become in a step"


def _grown(d: float, found: float, growth_rate: float | None) -> float:
    """The estimate never falls, and grows no faster than it may."""
    return max(d, found if growth_rate is None else min(found, d * growth_rate))


@attrs.define(eq=False)
class DAdaptSGD(GradientMethod):
    """SGD by D-Adaptation: steps in units of an estimate d of the distance to the solution. ::

        γ = d·lr / ‖g₁‖                          g₁: the first gradient, of all parameters together
        r ← r + γ·⟨g, s⟩                         all parameters together
        s ← s + γ·g
        p ← momentum·p + (1 − momentum)·(p0 − s)
        d ← max(d, 2·r / ‖s‖),  at most growth_rate·d

    The new d serves the next step. r, d and ‖g₁‖ are numbers of the optimizer; s and p0, where it began, are slots.
    Steps are left out as long as all gradients are zero.

    Defazio & Mishchenko 2023, arXiv:2301.07733.

    The form and defaults of the authors' package. Weight decay is added to the gradient, but not to g₁.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> optimizer = optreg.create("dadapt_sgd").setup({"w": w})
    >>> for _ in range(150):
    ...     optimizer.apply_gradients({"w": w - 3})
    >>> w.round(1)
    array([3., 3.])
    """

    lr: float = positive(1.0)
    momentum: float = fraction(0.0)
    weight_decay: float = nonnegative(0.0)
    d0: float = positive(1e-6, doc="the first estimate of the distance")
    growth_rate: float | None = number(None, low=1, doc=_GROWTH)

    d: float = remembered(lambda self: self.d0)
    numerator: float = remembered(0.0)
    first_norm: float = remembered(0.0)
    _rate: float = attrs.field(default=0.0, init=False)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        with device_of(param.data):
            state["p0"] = param.data.astype(compute_dtype(param.data.dtype))

    def measure(self, param: Array, grad: Array, s: Array) -> Any:
        if self.first_norm == 0:
            return np.sum(grad * grad), 0.0
        step = self.d / self.first_norm * self.lr * (grad + self.weight_decay * param)
        return np.sum(step * s), np.sum(np.square(s + step))

    def adapt(self, along: float, size: float) -> None:
        """Take the totals into the estimate."""
        first = self.first_norm == 0
        if first:
            if along == 0:
                raise SkipStep
            self.first_norm = along**0.5
        self._rate = self.d / self.first_norm
        if not first and size > 0:
            self.numerator += along
            self.d = _grown(self.d, 2 * self.numerator / size**0.5, self.growth_rate)

    def rule(self, param: Array, grad: Array, p0: Array, s: Array) -> None:
        s += self._rate * self.lr * (grad + self.weight_decay * param)
        param *= self.momentum
        param += (1 - self.momentum) * (p0 - s)


@attrs.define(eq=False)
class DAdaptAdam(GradientMethod):
    """Adam by D-Adaptation: steps in units of an estimate d of the distance to the solution. ::

        γ = d·lr
        r ← √β2·r + (1 − √β2)·γ·⟨g, s / (√v + eps)⟩      all parameters together
        s ← √β2·s + (1 − √β2)·γ·g
        m ← β1·m + (1 − β1)·γ·g
        v ← β2·v + (1 − β2)·g²
        p ← p − m / (√v + eps) − γ·weight_decay·p
        d ← max(d, r / ((1 − √β2)·‖s‖₁)),  at most growth_rate·d

    The new d serves the next step. r and d are numbers of the optimizer; s is a slot. A step is left out as long as all
    gradients are zero.

    Defazio & Mishchenko 2023, arXiv:2301.07733.

    The form and defaults of the authors' package. There, ``lr`` must be the same for all parameters, or zero;
    ``layer_scale``, in ``options``, is the factor of some of them.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> optimizer = optreg.create("dadapt_adam").setup({"w": w})
    >>> for _ in range(150):
    ...     optimizer.apply_gradients({"w": w - 3})
    >>> w.round(1)
    array([3., 3.])
    """

    lr: float = positive(1.0)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-8)
    weight_decay: float = nonnegative(0.0)
    decouple: bool = boolean(False, doc="decay does not pass through the averages")
    use_bias_correction: bool = boolean(False, doc="correct the bias of Adam's averages")
    layer_scale: float = positive(1.0, doc="a factor of lr, for options")
    d0: float = positive(1e-6, doc="the first estimate of the distance")
    growth_rate: float | None = number(None, low=1, doc=_GROWTH)

    d: float = remembered(lambda self: self.d0)
    numerator: float = remembered(0.0)
    _d_before: float = attrs.field(default=0.0, init=False, repr=False)

    def measure(self, param: Array, grad: Array, v: Array, s: Array) -> Any:
        step = self._rate(self.d) * self._decayed(grad, param)
        along = self.layer_scale * np.sum(step * (s / (np.sqrt(v) + self.eps)))
        return along, self.layer_scale * np.sum(np.abs(self._next(s, step)))

    def adapt(self, along: float, size: float) -> None:
        """Take the totals into the estimate."""
        if size == 0:
            raise SkipStep
        kept = self.beta2**0.5
        self.numerator = kept * self.numerator + (1 - kept) * along
        self._d_before = self.d
        self.d = _grown(self.d, self.numerator / ((1 - kept) * size), self.growth_rate)

    def rule(self, param: Array, grad: Array, m: Array, v: Array, s: Array) -> None:
        grad = self._decayed(grad, param)
        step = self._rate(self._d_before) * grad
        m *= self.beta1
        m += self.layer_scale * (1 - self.beta1) * step
        v *= self.beta2
        v += (1 - self.beta2) * grad * grad
        s[...] = self._next(s, step)
        if self.decouple:
            param *= 1 - self._rate(self._d_before) * self.weight_decay
        param -= m / (np.sqrt(v) + self.eps)

    def _decayed(self, grad: Array, param: Array) -> Array:
        return grad if self.decouple else grad + self.weight_decay * param

    def _next(self, s: Array, step: Array) -> Array:
        kept = self.beta2**0.5
        found: Array = kept * s + (1 - kept) * step
        return found

    def _rate(self, d: float) -> float:
        corrected = (1 - self.beta2**self.t) ** 0.5 / (1 - self.beta1**self.t) if self.use_bias_correction else 1
        rate: float = d * self.lr * corrected
        return rate
