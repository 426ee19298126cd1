"""APOLLO-Mini: gradients scaled as AdamW would scale their random projection onto one dimension."""

from __future__ import annotations

from typing import Any, ClassVar
from zlib import crc32

import attrs
import numpy as np

from optreg.hyperparameters import boolean, choice, fraction, nonnegative, number, positive, whole
from optreg_matrix.low_rank import corrected_rate, direction, is_turned, low_rank_shapes, matrix_shape, which_side
from optreg_matrix.method import MatrixMethod, as_matrix

_NEVER_ZERO = 1e-8


@attrs.define(eq=False)
class APOLLOMini(MatrixMethod):
    """The gradient, as much longer or shorter as AdamW makes a random projection of it. ::

        P   = random normal numbers / √rank                     others every ``update_proj_gap`` steps
        R   = G·P
        m, v as in Adam, of R,   R' = m / (√v + eps)
        s   = G·‖R'‖ / ‖R‖                                       no longer than norm_growth · the last s
        p  ← p − lr·√(1 − beta2ᵗ)/(1 − beta1ᵗ) · √scale·s,   then decoupled decay

    Zhu, Zhang, Cong, Liu, Park, Chandra, Long, Pan, Wang & Lee 2024, arXiv:2412.05270, algorithm 1.

    The form of the authors' package, and its README's values, with a projection of the shorter side. With a ``rank`` of
    256, ``scale=1`` and ``scale_type="channel"``, which has one factor for each row of R, it is their APOLLO. The state
    holds a seed in place of P: the random numbers follow from ``seed``, the parameter's name, and the step.

    >>> import numpy as np, optreg
    >>> w = np.ones((2, 2))
    >>> optimizer = optreg.create("matrix/apollo_mini", lr=0.1, scale=1.0).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.diag([3.0, -3.0])})
    >>> bool(abs(w[0, 0] - 1) == abs(w[1, 1] - 1) > 0)
    True
    """

    real_only: ClassVar[bool] = True

    lr: float = positive(1e-2)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    eps: float = positive(1e-6)
    weight_decay: float = nonnegative(0.0)
    rank: int = whole(1, "how many dimensions gradients are projected onto", low=1)
    update_proj_gap: int = whole(200, "how many steps a projection is kept", low=1)
    scale: float = positive(128.0, "the square of what makes up for the small rank")
    scale_type: str = choice("tensor", ("tensor", "channel"), "what has a factor of its own")
    scale_front: bool = boolean(False, "limit the growth of what is already multiplied by the root of scale")
    norm_growth: float = number(1.01, low=1, doc="by which factor the norm of s may grow in a step")
    proj_type: str = which_side()
    seed: int = whole(0, "of the random numbers")

    def slot_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        _, low = low_rank_shapes(matrix_shape(shape), self.proj_type, self.rank)
        return {"m": low, "v": low, "steps": (), "norm": ()}

    def make_slots(self, param: Any, state: dict[str, Any]) -> None:
        super().make_slots(param, state)
        state["seed"] = np.asarray(crc32(str(getattr(param, "name", "")).encode()), np.int64, like=param.data)

    def rule(self, param: Any, grad: Any, m: Any, v: Any, steps: Any, norm: Any, seed: Any) -> None:  # noqa: PLR0917
        self.check_slots(param.shape, m=m)
        matrix = as_matrix(grad)
        turned = is_turned(matrix.shape, self.proj_type)
        matrix = matrix.T if turned else matrix
        t = int(steps)
        projection = self._projection(matrix, m.shape[1], (int(seed), t // self.update_proj_gap))
        low = matrix @ projection
        axis = 1 if self.scale_type == "channel" else None
        of_adam, of_gradient = (
            np.sqrt(np.sum(each * each, axis=axis, keepdims=True)) for each in (direction(self, low, m, v), low)
        )
        scaled = matrix * (of_adam / (of_gradient + _NEVER_ZERO))
        front = self.scale**0.5 if self.scale_front else 1.0
        scaled *= front
        length = np.linalg.norm(scaled)
        if t:
            excess = np.maximum(length / (norm + _NEVER_ZERO), self.norm_growth) / self.norm_growth
            scaled /= excess
            length = length / excess
        norm[...] = length
        steps += 1
        step = (scaled.T if turned else scaled).reshape(param.shape)
        param -= corrected_rate(self, t + 1) * self.scale**0.5 / front * step
        param *= 1 - self.lr * self.weight_decay

    def _projection(self, matrix: Any, rank: int, numbered: tuple[int, int]) -> Any:
        normal = np.random.default_rng((self.seed, *numbered)).standard_normal((matrix.shape[1], rank))
        return np.asarray(normal / rank**0.5, dtype=matrix.dtype, like=matrix)
