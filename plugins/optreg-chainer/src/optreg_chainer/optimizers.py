"""The nine methods of Chainer 1.24, with its formulas, defaults and attribute names, and the states that it saved."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg import GradientMethod
from optreg.hyperparameters import fraction, nonnegative, positive


@attrs.define(eq=False)
class SGD(GradientMethod):
    """Stochastic gradient descent. ::

        p ← p − lr·g

    Robbins & Monro 1951.
    """

    lr: float = nonnegative(0.01, "the length of a step, as a multiple of the gradient")

    def rule(self, param: Any, grad: Any) -> None:
        param -= self.lr * grad


@attrs.define(eq=False)
class MomentumSGD(GradientMethod):
    """SGD with momentum, which sums steps: a new ``lr`` acts on the gradients to come only. ::

        v ← momentum·v − lr·g
        p ← p + v

    Polyak 1964.
    """

    lr: float = nonnegative(0.01, "what a new gradient is multiplied by")
    momentum: float = fraction(0.9, "how much of the last step is made again")

    def rule(self, param: Any, grad: Any, v: Any) -> None:
        v *= self.momentum
        v -= self.lr * grad
        param += v


@attrs.define(eq=False)
class NesterovAG(GradientMethod):
    """Nesterov's accelerated gradient with the coefficients of Chainer. ::

        v ← momentum·v − lr·g
        p ← p + momentum²·v − (1 + momentum)·lr·g

    Nesterov 1983; Bengio, Boulanger-Lewandowski & Pascanu 2012, arXiv:1212.0901.
    """

    lr: float = nonnegative(0.01, "what a new gradient is multiplied by")
    momentum: float = fraction(0.9, "how much of the last step is made again")

    def rule(self, param: Any, grad: Any, v: Any) -> None:
        v *= self.momentum
        v -= self.lr * grad
        param += self.momentum * self.momentum * v
        param -= (1 + self.momentum) * self.lr * grad


@attrs.define(eq=False)
class AdaGrad(GradientMethod):
    """AdaGrad. ::

        h ← h + g²
        p ← p − lr·g / (√h + eps)

    Duchi, Hazan & Singer 2011.
    """

    lr: float = nonnegative(0.001, "the length of the first step")
    eps: float = positive(1e-8, "keeps the divisor from zero")

    def rule(self, param: Any, grad: Any, h: Any) -> None:
        h += grad * grad
        param -= self.lr * grad / (np.sqrt(h) + self.eps)


@attrs.define(eq=False)
class AdaDelta(GradientMethod):
    """ADADELTA, without a learning rate, as in the paper. ::

        msg  ← rho·msg + (1 − rho)·g²
        d    = √((msdx + eps) / (msg + eps)) · g
        msdx ← rho·msdx + (1 − rho)·d²
        p    ← p − d

    Zeiler 2012, arXiv:1212.5701.
    """

    rho: float = fraction(0.95, "how much of the averages is kept in a step")
    eps: float = positive(1e-6, "what the averages start from")

    def rule(self, param: Any, grad: Any, msg: Any, msdx: Any) -> None:
        msg *= self.rho
        msg += (1 - self.rho) * grad * grad
        step = np.sqrt((msdx + self.eps) / (msg + self.eps)) * grad
        msdx *= self.rho
        msdx += (1 - self.rho) * step * step
        param -= step


@attrs.define(eq=False)
class RMSprop(GradientMethod):
    """RMSprop. ::

        ms ← alpha·ms + (1 − alpha)·g²
        p  ← p − lr·g / (√ms + eps)

    Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6.5.
    """

    lr: float = nonnegative(0.01, "the length of a step")
    alpha: float = fraction(0.99, "how much of the average is kept in a step")
    eps: float = positive(1e-8, "keeps the divisor from zero")

    def rule(self, param: Any, grad: Any, ms: Any) -> None:
        ms *= self.alpha
        ms += (1 - self.alpha) * grad * grad
        param -= self.lr * grad / (np.sqrt(ms) + self.eps)


@attrs.define(eq=False)
class RMSpropGraves(GradientMethod):
    """Graves's RMSprop: centered, with momentum. ::

        n     ← alpha·n + (1 − alpha)·g²
        ḡ     ← alpha·ḡ + (1 − alpha)·g
        delta ← momentum·delta − lr·g / √(n − ḡ² + eps)
        p     ← p + delta

    Graves 2013, arXiv:1308.0850, equations 38 to 45. The average ḡ is the state ``g``. A variance n − ḡ² that rounding
    has made negative counts as zero; Chainer's could become nan there.
    """

    lr: float = nonnegative(1e-4, "the length of a step")
    alpha: float = fraction(0.95, "how much of the averages is kept in a step")
    momentum: float = fraction(0.9, "how much of the last step is made again")
    eps: float = positive(1e-4, "keeps the divisor from zero")

    def rule(self, param: Any, grad: Any, n: Any, g: Any, delta: Any) -> None:
        n *= self.alpha
        n += (1 - self.alpha) * grad * grad
        g *= self.alpha
        g += (1 - self.alpha) * grad
        delta *= self.momentum
        delta -= self.lr * grad / np.sqrt(np.maximum(n - g * g, 0) + self.eps)
        param += delta


@attrs.define(eq=False)
class Adam(GradientMethod):
    """Adam in the form of the end of its paper's section 2, with eps added to the uncorrected √v. ::

        m  ← m + (1 − β1)·(g − m)
        v  ← v + (1 − β2)·(g² − v)
        lr = alpha·√(1 − β2ᵗ) / (1 − β1ᵗ)
        p  ← p − lr·m / (√v + eps)

    Kingma & Ba 2015, arXiv:1412.6980.
    """

    alpha: float = nonnegative(0.001, "the length of a step, in the long run")
    beta1: float = fraction(0.9, "how much of the average of gradients is kept in a step")
    beta2: float = fraction(0.999, "how much of the average of squares is kept in a step")
    eps: float = positive(1e-8, "keeps the divisor from zero")

    @property
    def lr(self) -> float:
        """The rate of the last step; as in Chainer, a ZeroDivisionError before the first one."""
        rate: float = self.alpha * (1 - self.beta2**self.t) ** 0.5 / (1 - self.beta1**self.t)
        return rate

    def rule(self, param: Any, grad: Any, m: Any, v: Any) -> None:
        m += (1 - self.beta1) * (grad - m)
        v += (1 - self.beta2) * (grad * grad - v)
        param -= self.lr * m / (np.sqrt(v) + self.eps)


@attrs.define(eq=False)
class SMORMS3(GradientMethod):
    """SMORMS3: averages that get longer where the gradient is noisy. ::

        r   = 1 / (mem + 1)
        ḡ   ← (1 − r)·ḡ + r·g
        g2  ← (1 − r)·g2 + r·g²
        x   = ḡ² / (g2 + eps)
        p   ← p − min(x, lr)·g / (√g2 + eps)
        mem ← 1 + mem·(1 − x)

    Funk 2015. The average ḡ is the state ``g``; ``mem`` starts at one.
    """

    lr: float = nonnegative(0.001, "the longest step")
    eps: float = positive(1e-16, "keeps the divisors from zero")

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        super().init_state(param, state)
        state["mem"] += 1

    def rule(self, param: Any, grad: Any, mem: Any, g: Any, g2: Any) -> None:
        r = 1 / (mem + 1)
        g *= 1 - r
        g += r * grad
        g2 *= 1 - r
        g2 += r * grad * grad
        x = g * g / (g2 + self.eps)
        param -= grad * np.minimum(x, self.lr) / (np.sqrt(g2) + self.eps)
        mem *= 1 - x
        mem += 1
