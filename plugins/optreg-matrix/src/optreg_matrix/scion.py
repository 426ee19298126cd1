"""Scion: each layer moves towards the end of a ball, in a norm of its own."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import attrs
import numpy as np

from optreg import GradientMethod
from optreg.hyperparameters import boolean, choice, fraction, positive, whole
from optreg_matrix.method import as_matrix
from optreg_matrix.newton_schulz import EPS, coefficients, orthogonalized, steps_of


@attrs.define(eq=False)
class Scion(GradientMethod):
    """Scion: steps of equal length in a norm that suits the layer, or towards the end of a ball in that norm. ::

        buf ← momentum·buf + (1 − momentum)·g
        o   = of the matrices in the unit ball of the norm, the one farthest along buf
        p   ← p − lr·scale·o,   or (1 − lr)·p − lr·scale·o if it is constrained

    Pethick, Xie, Antonakopoulos, Zhu, Silveti-Falls & Cevher 2025, arXiv:2502.07529.

    What o is for a matrix of ``out`` rows and ``in`` columns, where buf = U·S·Vᵀ:

    - by the norm ``spectral``: √(out / in)·U·Vᵀ, nearly, by Newton–Schulz steps; ``spectral_max``: max(1, √(out / in)).
      For filters of a convolution, out and in are the channels, and o is divided by the number of elements of a filter
    - ``sign``: signs, divided by in
    - ``column``: columns, each divided by its root mean square, and by in
    - ``row``: rows, each divided by its norm, and by √in

    Where ``normalized`` is False, as first layers want it, in is left out of these. Arrays of fewer than two axes are
    divided by their root mean square, or are signs.

    The form of the authors' code, but for its bfloat16, as in Muon. There, ``momentum`` is one minus this one; by
    default there is none, and parameters are constrained. The defaults here are pytorch_optimizer's: to be
    constrained, a layer needs a radius that was chosen for it. The norm ``Auto`` of both is ``spectral`` here.

    >>> import numpy as np, optreg
    >>> weights = {"hidden": np.zeros((2, 2)), "head": np.zeros((2, 2))}
    >>> options = {"head": {"norm": "sign", "scale": 10.0}}
    >>> optimizer = optreg.create("matrix/scion", lr=0.1, options=options).setup(weights)
    >>> optimizer.apply_gradients({name: np.array([[3.0, 0.0], [0.0, 0.1]]) for name in weights})
    >>> weights["head"] + 0.0
    array([[-0.5,  0. ],
           [ 0. , -0.5]])
    """

    elementwise: ClassVar[bool] = False
    tensors_in_parallel: ClassVar[bool] = True
    multiplies_matrices: ClassVar[bool] = True
    rules: ClassVar[tuple[str, ...]] = ("rule", "rule_of_vectors")

    lr: float = positive(1e-3, "the length of a step, as a part of the radius")
    momentum: float = fraction(0.9, "how much of the average of gradients is kept at each step")
    scale: float = positive(1.0, "the radius of the ball")
    constrained: bool = boolean(False, "whether the parameter stays in the ball")
    norm: str = choice(
        "spectral", ("spectral", "spectral_max", "sign", "column", "row"), "in which steps have equal length; see above"
    )
    normalized: bool = boolean(True, "whether o is smaller where there are more inputs")
    transposed: bool = boolean(
        False, "whether the rows are the inputs, as in a table of embeddings; for column and row"
    )
    ns_steps: int = whole(5, "the number of Newton–Schulz steps", low=1)
    ns_coefficients: Any = coefficients()
    eps: float = positive(1e-8, "what is added to the divisors of columns, rows and vectors")

    def rule_for(self, param: Any) -> str:
        return "rule" if param.data.ndim > 1 and param.data.size else "rule_of_vectors"

    def rule(self, param: Any, grad: Any, buf: Any) -> None:
        buf *= self.momentum
        buf += (1 - self.momentum) * grad
        if self.norm.startswith("spectral"):
            grad[...] = buf
            direction = self._spectral(grad)
        elif self.norm == "sign":
            direction = np.sign(buf) / (as_matrix(buf).shape[1] if self.normalized else 1)
        else:
            matrix = as_matrix(buf)
            direction = self._divided(matrix.T).T if self.transposed else self._divided(matrix)
        if self.constrained:
            param *= 1 - self.lr
        param -= (self.lr * self.scale) * direction.reshape(param.shape)

    def _spectral(self, tensor: Any) -> Any:
        """The direction of a step along a tensor, which is overwritten."""
        outputs, inputs, *filters = tensor.shape
        length = (outputs / inputs if self.normalized else outputs) ** 0.5
        if self.norm == "spectral_max":
            length = max(1.0, length)
        direction = orthogonalized(as_matrix(tensor), steps_of(self.ns_coefficients, self.ns_steps), EPS)
        direction *= length / prod(filters)
        return direction

    def _divided(self, matrix: Any) -> Any:
        outputs, inputs = matrix.shape
        if self.norm == "column":
            axis, factor = 0, (inputs if self.normalized else 1) / outputs**0.5
        else:
            axis, factor = 1, inputs**0.5 if self.normalized else 1
        return matrix / (factor * np.sqrt(np.sum(np.abs(matrix) ** 2, axis=axis, keepdims=True)) + self.eps)

    def rule_of_vectors(self, param: Any, grad: Any, buf: Any) -> None:
        """The rule of arrays of fewer than two axes."""
        buf *= self.momentum
        buf += (1 - self.momentum) * grad
        direction = np.sign(buf) if self.norm == "sign" else buf / (np.sqrt(np.mean(buf * buf)) + self.eps)
        if self.constrained:
            param *= 1 - self.lr
        param -= self.lr * self.scale * direction
