"""Steps divided by a running root mean square of the gradient: RMSprop, Graves's form of it, and SMORMS3."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, real_elements
from optreg.hyperparameters import boolean, fraction, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class RMSprop(GradientMethod):
    """RMSprop: steps divided by a running root mean square of the gradient. ::

        ms ← alpha·ms + (1 − alpha)·g²
        p  ← p − lr·g / (√ms + eps)

    ``centered`` divides by the standard deviation, with an average ``mg`` of the gradient: √(ms − mg²) + eps.
    ``momentum`` steps along a decaying sum: buf ← momentum·buf + g / (√ms + eps), p ← p − lr·buf; None does
    without. The slots ``mg`` and ``buf`` exist only where they are used, so set the two before ``setup()``.

    Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6.5; centered, Graves 2013,
    arXiv:1308.0850.

    The form and defaults of PyTorch, and of Chainer, which has neither option: eps stands outside the root.
    optax and TensorFlow have it inside by default, and an alpha of 0.9. A variance ms − mg² that rounding has
    made negative counts as zero here, where PyTorch gives nan.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("rmsprop", lr=0.1, alpha=0.75).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([3.0, -0.01])})
    >>> w.round(4)
    array([0.8, 2.2])
    """

    lr: float = positive(1e-2)
    alpha: float = fraction(0.99)
    eps: float = positive(1e-8)
    momentum: float | None = fraction(None)
    centered: bool = boolean(False)

    def uses_slot(self, name: str) -> bool:
        return self.centered if name == "mg" else self.momentum is not None

    def rule(self, param: Array, grad: Array, ms: Array, mg: Array = None, buf: Array = None) -> None:
        ms *= self.alpha
        ms += (1 - self.alpha) * grad * grad
        variance = ms
        if self.centered:
            mg *= self.alpha
            mg += (1 - self.alpha) * grad
            variance = np.maximum(ms - mg * mg, 0)
        step = grad / (np.sqrt(variance) + self.eps)
        if self.momentum is not None:
            buf *= self.momentum
            buf += step
            step = buf
        param -= self.lr * step


@attrs.define(eq=False)
class RMSpropGraves(GradientMethod):
    """Graves's RMSprop: centered, with momentum, and with eps inside the root. ::

        n     ← alpha·n + (1 − alpha)·g²
        ḡ     ← alpha·ḡ + (1 − alpha)·g
        delta ← momentum·delta − lr·g / √(n − ḡ² + eps)
        p     ← p + delta

    Graves 2013, arXiv:1308.0850, equations 38 to 45. The average ḡ is the slot ``g``.

    The form and defaults of Chainer. A variance n − ḡ² that rounding has made negative counts as zero.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("rmsprop_graves", lr=0.1, alpha=0.5, eps=1e-8).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([3.0, -0.01])})
    >>> w.round(2)
    array([0.8, 2.2])
    """

    lr: float = positive(1e-4)
    alpha: float = fraction(0.95)
    momentum: float = fraction(0.9)
    eps: float = positive(1e-4)

    def rule(self, param: Array, grad: Array, n: Array, g: Array, delta: Array) -> None:
        n *= self.alpha
        n += (1 - self.alpha) * grad * grad
        g *= self.alpha
        g += (1 - self.alpha) * grad
        delta *= self.momentum
        delta -= self.lr * grad / np.sqrt(np.maximum(n - g * g, 0) + self.eps)
        param += delta


@attrs.define(eq=False)
class SMORMS3(GradientMethod):
    """SMORMS3: RMSprop whose averages get longer where the gradient is noisy, and whose steps get shorter. ::

        r   = 1 / (mem + 1)
        ḡ   ← (1 − r)·ḡ + r·g
        g2  ← (1 − r)·g2 + r·g²
        x   = ḡ² / (g2 + eps)
        p   ← p − min(x, lr)·g / (√g2 + eps)
        mem ← 1 + mem·(1 − x)

    Funk 2015, "RMSprop loses to SMORMS3 — beware the epsilon!". The average ḡ is the slot ``g``; ``mem``, the
    length of the averages, starts at one. ``lr`` is an upper bound of x, which is near one where the gradient
    keeps its sign and near zero where it is noise.

    The form and defaults of Chainer.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("smorms3", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([3.0, -0.01])})
    >>> w.round(4)
    array([0.8586, 2.1414])
    """

    lr: float = positive(1e-3)
    eps: float = positive(1e-16)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        real_elements(state["mem"])[...] = 1

    def rule(self, param: Array, grad: Array, mem: Array, g: Array, g2: Array) -> None:
        r = 1 / (mem + 1)
        g *= 1 - r
        g += r * grad
        g2 *= 1 - r
        g2 += r * grad * grad
        x = g * g / (g2 + self.eps)
        param -= np.minimum(x, self.lr) * grad / (np.sqrt(g2) + self.eps)
        mem *= 1 - x
        mem += 1
