"""Muon and NorMuon: momentum whose singular values are all made nearly one."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import numpy as np

from optreg.hyperparameters import boolean, choice, fraction, nonnegative, positive, whole
from optreg_matrix.method import MatrixMethod, as_matrix, in_blocks
from optreg_matrix.newton_schulz import EPS, coefficients, orthogonalized, steps_of


@attrs.define(eq=False)
class OrthogonalizedMomentum(MatrixMethod):
    """What the methods of this module share: their hyperparameters, the momentum, and the end of a step."""

    lr: float = positive(0.02, "the length of a step, as a spectral norm")
    momentum: float = fraction(0.95, "how much of the average of gradients is kept at each step")
    weight_decay: float = nonnegative(0.0)
    nesterov: bool = boolean(True, "whether the gradient is put into its average twice for a step")
    ns_steps: int = whole(5, "the number of Newton–Schulz steps", low=1)
    ns_coefficients: Any = coefficients()
    scale: str = choice(
        "original",
        ("original", "match_rms_adamw"),
        "what makes steps of all shapes alike: √max(1, rows / columns), or 0.2·√max(rows, columns), which is as long "
        "as AdamW's",
    )
    eps: float = positive(EPS, "what is added to the norm that a matrix is divided by")

    def orthogonalized_momentum(self, grad: Any, buf: Any) -> Any:
        """The direction of a step, as a matrix; moves ``buf``, the average of gradients, on; overwrites ``grad``."""
        in_blocks(self._average, grad, buf)
        return orthogonalized(as_matrix(grad), steps_of(self.ns_coefficients, self.ns_steps), self.eps)

    def _average(self, grad: Any, buf: Any) -> None:
        grad *= 1 - self.momentum
        buf *= self.momentum
        buf += grad
        if self.nesterov:
            grad += self.momentum * buf
        else:
            grad[...] = buf

    def move(self, param: Any, direction: Any) -> None:
        """Make a step; ``direction`` is overwritten."""
        rows, columns = direction.shape
        longer = max(1, rows / columns) if self.scale == "original" else 0.04 * max(rows, columns)
        rate, kept = self.lr * longer**0.5, 1 - self.lr * self.weight_decay

        def change(param: Any, direction: Any) -> None:
            direction *= rate
            param *= kept
            param -= direction

        in_blocks(change, param, direction.reshape(param.shape))


@attrs.define(eq=False)
class Muon(OrthogonalizedMomentum):
    """Muon: momentum whose singular values are all made nearly one; AdamW for what is no matrix. ::

        buf ← momentum·buf + (1 − momentum)·g
        u   = momentum·buf + (1 − momentum)·g,   or buf without nesterov
        o   = Newton–Schulz(u), about U·Vᵀ where u = U·S·Vᵀ
        p   ← (1 − lr·weight_decay)·p − lr·scale·o

    Jordan, Jin, Boza, You, Cesista, Newhouse & Bernstein 2024, https://kellerjordan.github.io/posts/muon; the scale
    ``match_rms_adamw`` is that of Liu, Su et al. 2025, arXiv:2502.16982.

    The form and defaults of Jordan's code, but for its bfloat16: the Newton–Schulz steps are made in the dtype of the
    arithmetic on the parameter, float32 mostly. Of arrays with more than two axes, the first one is the rows, and what
    the others make up is the columns, for the scale as well; Jordan's code takes the last two axes for the scale, and
    makes a batch of matrices of an array with three. optax corrects the average for its start, and Jordan does not.

    >>> import numpy as np, optreg
    >>> w = np.zeros((2, 2))
    >>> optimizer = optreg.create("matrix/muon", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([[3.0, 0.0], [0.0, 0.1]])})
    >>> w.round(2) + 0.0
    array([[-0.07,  0.  ],
           [ 0.  , -0.11]])
    """

    def rule(self, param: Any, grad: Any, buf: Any) -> None:
        self.move(param, self.orthogonalized_momentum(grad, buf))


@attrs.define(eq=False)
class NorMuon(OrthogonalizedMomentum):
    """Muon whose rows, one for each neuron, are divided by the root of an average of their squares. ::

        buf, o as in Muon
        v ← beta2·v + (1 − beta2)·mean(o²) of each row
        o ← o / (√v + 1e-10), then made as long as it was
        p ← (1 − lr·weight_decay)·p − lr·scale·o

    Li, Liu, Liang, Chen & Zhao 2025, arXiv:2510.05491.

    The form and defaults of the authors' code, but for its bfloat16, as in Muon. Filters of convolutions are rows, as
    in the paper; in that code, what is averaged there are rows of the filters.

    >>> import numpy as np, optreg
    >>> w = np.zeros((2, 2))
    >>> optimizer = optreg.create("matrix/normuon", lr=0.1).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.array([[3.0, 0.0], [0.0, 0.1]])})
    >>> w.round(2) + 0.0
    array([[-0.09,  0.  ],
           [ 0.  , -0.09]])
    """

    real_only: ClassVar[bool] = True

    beta2: float = fraction(0.95, "how much of the average of squares is kept at each step")

    def slot_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        return {"v": (shape[0], 1)}

    def rule(self, param: Any, grad: Any, buf: Any, v: Any) -> None:
        direction = self.orthogonalized_momentum(grad, buf)
        norm = np.linalg.norm(direction)
        v *= self.beta2
        v += (1 - self.beta2) * np.mean(direction * direction, axis=1, keepdims=True)
        direction /= np.sqrt(v) + 1e-10
        direction *= norm / (np.linalg.norm(direction) + 1e-10)
        self.move(param, direction)
