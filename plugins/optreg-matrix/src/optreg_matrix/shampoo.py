"""Shampoo: preconditioned on each axis by a root of the sum of the gradients' products."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, ClassVar

import attrs
import numpy as np

from optreg.hyperparameters import boolean, choice, fraction, nonnegative, number, positive, whole
from optreg_matrix.axes import along, eigh, gram, merged, size_of, unpacked
from optreg_matrix.method import MatrixMethod

_NEVER_ZERO = 1e-16


@attrs.define(eq=False)
class Shampoo(MatrixMethod):
    """Gradients multiplied, along each axis, by a root of the sum of their own products. ::

        L  ← L + G·Gᵀ,  R ← R + Gᵀ·G              from matrix_eps·I; averages where beta2 < 1
        d  = L^(−1/4)·G·R^(−1/4)                   roots found every ``precondition_frequency`` steps
        d  ← d·‖step of the grafted method‖ / ‖d‖
        m  ← momentum·m + d
        p  ← (1 − lr·weight_decay)·p − lr·(momentum·m + d)     (nesterov), or − lr·m

    Gupta, Koren & Singer 2018, arXiv:1802.09568, for any number k of axes, with −1/2k; blocks, grafting and roots that
    are kept for some steps are those of Anil, Gupta, Koren, Regan & Singer 2020, arXiv:2002.09018.

    The form of pytorch_optimizer's ``ScalableShampoo``, which is google-research's, with exact roots by eigenvalues and
    with matrix_eps added when roots are found, so that averages do not forget it. Until then they count as 1. The
    defaults are the papers' sum, and steps as long as AdaGrad's; google-research has averages (0.999), and SGD's. The
    default ``lr`` and ``block_size`` are those of Meta's distributed Shampoo.

    >>> import numpy as np, optreg
    >>> w = np.ones((2, 2))
    >>> choices = dict(lr=0.1, momentum=0.0, graft="none", precondition_frequency=1)
    >>> optimizer = optreg.create("matrix/shampoo", **choices).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.diag([3.0, -0.1])})
    >>> w.round(4)
    array([[0.9, 1. ],
           [1. , 1.1]])
    """

    real_only: ClassVar[bool] = True

    lr: float = positive(1e-2)
    momentum: float = fraction(0.9)
    beta2: float = number(1.0, low=0, high=1, doc="how much of the products is kept at each step; 1 sums them up")
    matrix_eps: float = positive(1e-6, "what the products begin with, on the diagonal, and their least eigenvalue")
    weight_decay: float = nonnegative(0.0)
    exponent: float = nonnegative(0.0, "e in the roots X^(−1/e); 0 stands for twice the number of axes")
    precondition_frequency: int = whole(10, "how many steps the roots are kept", low=1)
    block_size: int = whole(1024, "how long an axis may be; longer ones are cut into blocks", low=1)
    merge_dims: bool = boolean(False, "make neighbouring axes one as far as block_size allows")
    graft: str = choice("adagrad", ("none", "sgd", "adagrad", "rmsprop"), "whose length the steps have")
    graft_eps: float = positive(1e-10, "what is added to the divisor of the grafted method")
    nesterov: bool = boolean(True, "look one step ahead")

    def slot_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        size = size_of(self._squares(self._lengths(shape)))
        return {"factors": (size,), "roots": (size,), "steps": ()}

    def uses_slot(self, name: str) -> bool:
        return name != "v" or self.graft in {"adagrad", "rmsprop"}

    def rule(self, param: Any, grad: Any, m: Any, factors: Any, roots: Any, steps: Any, v: Any = None) -> None:  # noqa: PLR0917
        self.check_slots(param.shape, factors=factors, roots=roots)
        lengths = self._lengths(param.shape)
        sums, found = (unpacked(flat, self._squares(lengths)) for flat in (factors, roots))
        tensor = grad.reshape(lengths)
        steps += 1
        t = int(steps)
        self._add(sums, tensor)
        if t % self.precondition_frequency == 0:
            exponent = -1 / (self.exponent or 2 * len(lengths))
            for each, root in zip(sums, found, strict=True):
                values, vectors = eigh(each)
                root[...] = (vectors * (np.maximum(values, 0) + self.matrix_eps) ** exponent) @ vectors.T
        if t >= self.precondition_frequency:
            tensor = self._preconditioned(tensor, found)
        step = self._grafted(tensor.reshape(param.shape), grad, v)
        m *= self.momentum
        m += step
        param *= 1 - self.lr * self.weight_decay
        param -= self.lr * (self.momentum * m + step if self.nesterov else m)

    def _add(self, sums: list[Any], tensor: Any) -> None:
        new = (gram(tensor[block], axis) for block in self._blocks(tensor.shape) for axis in range(tensor.ndim))
        for each, products in zip(sums, new, strict=True):
            each[...] = self.beta2 * each + (products if self.beta2 == 1 else (1 - self.beta2) * products)

    def _preconditioned(self, tensor: Any, roots: list[Any]) -> Any:
        result = np.empty_like(tensor)
        of_block = iter(roots)
        for block in self._blocks(tensor.shape):
            result[block] = along(tensor[block], [next(of_block) for _ in tensor.shape])
        return result

    def _grafted(self, direction: Any, grad: Any, v: Any) -> Any:
        if self.graft == "none":
            return direction
        step = grad
        if v is not None:
            v *= self.beta2 if self.graft == "rmsprop" else 1
            v += (1 - self.beta2 if self.graft == "rmsprop" else 1) * grad * grad
            step = grad / (np.sqrt(v) + self.graft_eps)
        return direction * (np.linalg.norm(step) / (np.linalg.norm(direction) + _NEVER_ZERO))

    def _lengths(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return merged(shape, self.block_size) if self.merge_dims else shape

    def _blocks(self, lengths: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
        cuts = (range(0, length, self.block_size) for length in lengths)
        for begins in product(*cuts):
            yield tuple(slice(begin, begin + self.block_size) for begin in begins)

    def _squares(self, lengths: tuple[int, ...]) -> list[tuple[int, int]]:
        pairs = ((length, cut) for block in self._blocks(lengths) for length, cut in zip(lengths, block, strict=True))
        rows = [len(range(*cut.indices(length))) for length, cut in pairs]
        return [(each, each) for each in rows]
