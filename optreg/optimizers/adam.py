"""Adam and its nearest kin: averages of the gradient and of its square, corrected for their start at zero."""

from __future__ import annotations

from typing import Any, Protocol

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod


class TwoMoments(Protocol):
    """What the formulas below read of a method: its hyperparameters and the step being made."""

    lr: float
    beta1: float
    beta2: float
    eps: float
    t: int


def update_moments(method: TwoMoments, grad: Array, m: Array, v: Array) -> None:
    """Move the averages of the gradient and of its square on by one step."""
    # Not m += (1 − β)(g − m): that loses a small gradient beside a large average, all of it when β is zero.
    m *= method.beta1
    m += (1 - method.beta1) * grad
    v *= method.beta2
    v += (1 - method.beta2) * grad * grad


def corrected_step(method: TwoMoments, m: Array, v: Array) -> Any:
    """``lr · m̂ / (√v̂ + eps)``, where m̂ = m / (1 − β1ᵗ) and v̂ = v / (1 − β2ᵗ)."""
    rate = method.lr / (1 - method.beta1**method.t)
    return rate * m / (np.sqrt(v / (1 - method.beta2**method.t)) + method.eps)


@attrs.define(eq=False)
class Adam(GradientMethod):
    """Adam: steps along an average of the gradient, divided by the root of an average of its square. ::

        m ← β1·m + (1 − β1)·g
        v ← β2·v + (1 − β2)·g²
        p ← p − lr·m̂ / (√v̂ + eps),   m̂ = m / (1 − β1ᵗ),  v̂ = v / (1 − β2ᵗ)

    Kingma & Ba 2015, arXiv:1412.6980, algorithm 1.

    PyTorch's and optax's form and defaults. Chainer 1 and TensorFlow 1 use the shortcut at the end of the
    paper's section 2, where eps is added to the uncorrected √v and so weighs more in the first steps.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("adam", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([3.0, -0.01])})
    >>> w.round(4)
    array([0.9, 2.1])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-8)

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        update_moments(self, grad, m, v)
        param -= corrected_step(self, m, v)


@attrs.define(eq=False)
class AdamW(GradientMethod):
    """Adam with weight decay that does not pass through the averages. ::

        p ← (1 − lr·weight_decay)·p,   then Adam's step

    Loshchilov & Hutter 2019, arXiv:1711.05101.

    PyTorch's form and defaults: the decay is multiplied by ``lr``, schedule included, and is 0.01; optax has
    1e-4 and Keras 0.004. In the paper the decay is multiplied by the schedule alone, not by the base rate.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("adamw", lr=0.1, weight_decay=0.5).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([3.0, 0.0])})
    >>> w.round(4)
    array([0.85, 1.9 ])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-8)
    weight_decay: float = nonnegative(1e-2)

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        update_moments(self, grad, m, v)
        param *= 1 - self.lr * self.weight_decay
        param -= corrected_step(self, m, v)


@attrs.define(eq=False)
class AMSGrad(GradientMethod):
    """Adam whose divisor never falls: it takes the largest average of squares so far. ::

        m, v as in Adam
        vhat ← max(vhat, v)
        p    ← p − lr·m̂ / (√(vhat / (1 − β2ᵗ)) + eps)

    Reddi, Kale & Kumar 2018, arXiv:1904.09237.

    PyTorch's ``Adam(amsgrad=True)``: the maximum is that of the raw v, and is corrected afterwards. optax
    keeps the maximum of the corrected v, which holds on to the first steps; the paper has no correction.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("amsgrad", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([3.0, -0.01])})
    >>> w.round(4)
    array([0.9, 2.1])
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-8)

    def rule(self, param: Array, grad: Array, m: Array, v: Array, vhat: Array) -> None:
        update_moments(self, grad, m, v)
        vhat[...] = np.maximum(vhat, v)
        param -= corrected_step(self, m, vhat)


@attrs.define(eq=False)
class Adamax(GradientMethod):
    """Adam with the largest recent gradient in place of the root mean square. ::

        m ← β1·m + (1 − β1)·g
        u ← max(β2·u, |g| + eps)
        p ← p − lr / (1 − β1ᵗ) · m / u

    Kingma & Ba 2015, arXiv:1412.6980, algorithm 2.

    PyTorch's and optax's form, with PyTorch's default ``lr``. The paper has no eps, and divides zero by zero
    where the gradient has always been zero.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("adamax", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([3.0, -0.01])})
    >>> w.round(4)
    array([0.9, 2.1])
    """

    lr: float = positive(2e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-8)

    def rule(self, param: Array, grad: Array, m: Array, u: Array) -> None:
        m *= self.beta1
        m += (1 - self.beta1) * grad
        u[...] = np.maximum(self.beta2 * u, np.abs(grad) + self.eps)
        param -= self.lr / (1 - self.beta1**self.t) * m / u
