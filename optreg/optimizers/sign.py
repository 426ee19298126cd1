"""Steps of the same size in every direction: only the sign of a gradient, or of an average of it, counts."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class SignSGD(GradientMethod):
    """SignSGD: a step of size ``lr`` against the sign of the gradient; none where the gradient is zero. ::

        p ← p − lr·sign(g)

    Bernstein, Wang, Azizzadenesheli & Anandkumar 2018, arXiv:1802.04434.

    optax's form, which has no default ``lr``; this one is Lion's.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0, 3.0])
    >>> signsgd = optreg.create("signsgd", lr=0.1).setup({"w": w})
    >>> signsgd.apply_gradients({"w": np.array([5.0, -0.01, 0.0])})
    >>> w
    array([ 0.9, -1.9,  3. ])
    """

    lr: float = positive(1e-4)

    def rule(self, param: Array, grad: Array) -> None:
        param -= self.lr * np.sign(grad)


@attrs.define(eq=False)
class Signum(GradientMethod):
    """Signum: signSGD on a moving average of the gradient. ::

        m ← momentum·m + (1 − momentum)·g
        p ← p − lr·sign(m)

    Bernstein, Wang, Azizzadenesheli & Anandkumar 2018, arXiv:1802.04434.

    optax's form and momentum; the ``lr`` is Lion's. MXNet adds a decoupled weight decay. With a momentum of
    0 this is ``signsgd``.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> signum = optreg.create("signum", lr=0.1).setup({"w": w})
    >>> signum.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> signum.apply_gradients({"w": np.array([-1.0, 0.0])})
    >>> w
    array([ 0.8, -2. ])
    """

    lr: float = positive(1e-4)
    momentum: float = fraction(0.9)

    def rule(self, param: Array, grad: Array, m: Array) -> None:
        m[...] = self.momentum * m + (1 - self.momentum) * grad
        param -= self.lr * np.sign(m)


@attrs.define(eq=False)
class Lion(GradientMethod):
    """Lion: the sign of one average of the gradient, with another one remembered. ::

        p ← p − lr·(sign(β1·m + (1 − β1)·g) + weight_decay·p)
        m ← β2·m + (1 − β2)·g

    Chen, Liang, Huang, Real et al. 2023, arXiv:2302.06675.

    The form and defaults of the authors' code; optax has a weight decay of 1e-3. The paper advises an
    ``lr`` three to ten times smaller than AdamW's, and a weight decay larger by the same factor.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, -2.0])
    >>> lion = optreg.create("lion", lr=0.1, weight_decay=0.5).setup({"w": w})
    >>> lion.apply_gradients({"w": np.array([5.0, 0.0])})
    >>> w
    array([ 0.85, -1.9 ])
    """

    lr: float = positive(1e-4)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.99)
    weight_decay: float = nonnegative(0.0)

    def rule(self, param: Array, grad: Array, m: Array) -> None:
        direction = np.sign(self.beta1 * m + (1 - self.beta1) * grad)
        param -= self.lr * (direction + self.weight_decay * param)
        m[...] = self.beta2 * m + (1 - self.beta2) * grad
