"""GaLore: AdamW on gradients that are projected onto their leading singular directions."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import numpy as np

from optreg.hyperparameters import fraction, nonnegative, positive, whole
from optreg_matrix.axes import not_finite
from optreg_matrix.low_rank import corrected_rate, direction, is_turned, low_rank_shapes, matrix_shape, which_side
from optreg_matrix.method import MatrixMethod, as_matrix


@attrs.define(eq=False)
class GaLore(MatrixMethod):
    """AdamW in the space of the ``rank`` leading singular directions of the gradient, found now and then. ::

        P   = the first ``rank`` columns of V, G = U·S·Vᵀ      every ``update_proj_gap`` steps
        R   = G·P
        m, v as in Adam, of R
        p  ← p − lr·√(1 − beta2ᵗ)/(1 − beta1ᵗ) · scale·(m / (√v + eps))·Pᵀ,   then decoupled decay

    Zhao, Zhang, Chen, Wang, Anandkumar & Tian 2024, arXiv:2403.03507, algorithm 2.

    The form of the authors' package, for matrices whose columns are no more than their rows; the others are transposed,
    so that m and v have ``rank`` numbers for each of the longer side. What has more axes is taken as the rows of its
    first one. m stays as it is when P changes, so the signs of P's columns matter then: they are chosen so that the
    largest number of a column is positive, where the authors take what LAPACK gives.

    >>> import numpy as np, optreg
    >>> w = np.ones((2, 2))
    >>> optimizer = optreg.create("matrix/galore", lr=0.1, rank=1, scale=1.0).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.diag([3.0, -0.1])})
    >>> w.round(4)
    array([[0.9, 1. ],
           [1. , 1. ]])
    """

    real_only: ClassVar[bool] = True

    lr: float = positive(1e-3)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-6)
    weight_decay: float = nonnegative(0.0)
    rank: int = whole(128, "how many directions there are at most", low=1)
    update_proj_gap: int = whole(200, "how many steps the directions are kept", low=1)
    scale: float = positive(0.25, "the length of the steps, as a multiple of AdamW's")
    proj_type: str = which_side()

    def slot_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        projector, low = low_rank_shapes(matrix_shape(shape), self.proj_type, self.rank)
        return {"m": low, "v": low, "projector": projector, "steps": ()}

    def rule(self, param: Any, grad: Any, m: Any, v: Any, projector: Any, steps: Any) -> None:  # noqa: PLR0917
        self.check_slots(param.shape, m=m, projector=projector)
        matrix = as_matrix(grad)
        turned = is_turned(matrix.shape, self.proj_type)
        matrix = matrix.T if turned else matrix
        t = int(steps)
        if t % self.update_proj_gap == 0:
            projector[...] = _leading_directions(matrix, projector.shape[1])
        step = direction(self, matrix @ projector, m, v) @ projector.T
        steps += 1
        step = (step.T if turned else step).reshape(param.shape)
        param -= corrected_rate(self, t + 1) * self.scale * step
        param *= 1 - self.lr * self.weight_decay


def _leading_directions(matrix: Any, rank: int) -> Any:
    try:
        rows = np.linalg.svd(matrix, full_matrices=False)[2][:rank]
    except np.linalg.LinAlgError as error:
        raise not_finite(matrix.shape) from error
    largest = np.take_along_axis(rows, np.argmax(np.abs(rows), axis=1)[:, None], axis=1)
    return (rows * np.copysign(1, largest)).T
