"""Tiger: the sign of one average, with a rate for each parameter."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hyperparameters import boolean, fraction, nonnegative, positive
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class Tiger(GradientMethod):
    """Tiger: steps along the sign of the average gradient, as long as the parameter's root mean square says. ::

        m ← beta·m + (1 − beta)·g
        p ← p − lr·RMS(p)·(sign(m) + weight_decay·p)

    Arrays with fewer than two axes, as biases are, step by lr/2·sign(m), without decay. With ``layerwise=False`` every
    parameter steps by lr·(sign(m) + weight_decay·p).

    Su 2023, https://github.com/bojone/tiger.

    The form and defaults of the author's code, which knows biases by their names, takes the RMS of embeddings row by
    row, and lets parameters shrink where a gradient is not a number: the hook ``skip_nonfinite`` leaves such steps out.
    ``layerwise=False`` is pytorch_optimizer's Tiger.

    >>> import numpy as np, optreg
    >>> w = np.array([[3.0, -4.0]])
    >>> tiger = optreg.create("tiger", lr=0.1, weight_decay=0.0).setup({"w": w})
    >>> tiger.apply_gradients({"w": np.array([[1.0, -5.0]])})
    >>> w.round(4)
    array([[ 2.6464, -3.6464]])
    """

    rules = "rule", "rule_of_vectors"

    lr: float = positive(1e-3)
    beta: float = fraction(0.965)
    weight_decay: float = nonnegative(1e-2)
    layerwise: bool = boolean(True, doc="scale steps by the parameter's root mean square, and biases otherwise")

    def rule_for(self, param: Any) -> str:
        """``rule_of_vectors`` for biases and the like."""
        return "rule_of_vectors" if self.layerwise and param.data.ndim < 2 else "rule"

    def rule(self, param: Array, grad: Array, m: Array) -> None:
        m += (1 - self.beta) * (grad - m)
        rate = self.lr * np.sqrt(np.mean(param * param)) if self.layerwise else self.lr
        param -= rate * (np.sign(m) + self.weight_decay * param)

    def rule_of_vectors(self, param: Array, grad: Array, m: Array) -> None:
        m += (1 - self.beta) * (grad - m)
        param -= self.lr / 2 * np.sign(m)
