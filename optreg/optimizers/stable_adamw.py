"""StableAdamW: AdamW that slows down where its average of squares lags behind the gradient."""

from __future__ import annotations

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import fraction, nonnegative, positive
from optreg.optimizer import GradientMethod
from optreg.optimizers.adam import update_moments


@attrs.define(eq=False)
class StableAdamW(GradientMethod):
    """AdamW whose rate is divided, tensor by tensor, by the RMS of g / √v̂ where that is above 1. ::

        m, v as in Adam,  m̂ = m / (1 − β1ᵗ),  v̂ = v / (1 − β2ᵗ)
        RMS  = √mean(g² / max(v̂, eps²))
        rate = lr / max(1, RMS)
        p   ← p − rate·(m̂ / (√v̂ + eps) + weight_decay·p)

    Wortsman, Dettmers, Zettlemoyer et al. 2023, arXiv:2304.13013, algorithm 2.

    The paper's form, which pytorch_optimizer and optimi share: the decay is multiplied by the clipped rate. There the
    averages are kept as m̂ and v̂. ``eps`` is the paper's; ``beta2`` and ``weight_decay`` are those of the packages.

    >>> import numpy as np, optreg
    >>> w = np.array([1.0, 2.0])
    >>> optimizer = optreg.create("stable_adamw", lr=0.1, weight_decay=0.0).setup({"w": w})
    >>> for gradient in ([3.0, -0.01], [300.0, -0.01]):
    ...     optimizer.apply_gradients({"w": np.array(gradient)})
    ...     print(w.round(4))
    [0.9 2.1]
    [0.8387 2.1818]
    """

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.99)
    eps: float = positive(1e-6)
    weight_decay: float = nonnegative(1e-2)

    def rule(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        update_moments(self, grad, m, v)
        squares = v / (1 - self.beta2**self.t)
        rms = np.sqrt(np.mean(grad * grad / np.maximum(squares, self.eps * self.eps)))
        rate = self.lr / np.maximum(rms, 1)
        param *= 1 - rate * self.weight_decay
        param -= rate * (m / (1 - self.beta1**self.t)) / (np.sqrt(squares) + self.eps)
