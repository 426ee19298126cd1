"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import numpy as np

from optreg.hyperparameters import boolean, fraction, nonnegative, positive, whole
from optreg_matrix.axes import along, eigh, gram, merged, size_of, unpacked
from optreg_matrix.method import MatrixMethod


@attrs.define(eq=False)
class SOAP(MatrixMethod):
    """Adam in the basis of the eigenvectors of an average of G·Gᵀ, and, from the right, of Gᵀ·G. ::

        g' = Qᵀ·G·R                               Q, R: the bases
        m  ← beta1·m + (1 − beta1)·G,  m' = Qᵀ·m·R
        v  ← beta2·v + (1 − beta2)·g'²
        p  ← p − lr·√(1 − beta2ᵗ)/(1 − beta1ᵗ) · Q·(m' / (√v + eps))·Rᵀ,   then decoupled decay
        A  ← shampoo_beta·A + (1 − shampoo_beta)·G·Gᵀ,  and so on for each axis
        Q  ← the orthogonal factor of A·Q, every ``precondition_frequency`` steps, by falling eigenvalues

    Vyas, Morwani, Zhao et al. 2024, arXiv:2409.11321, algorithm 3.

    The authors' form and defaults, for any number of axes. The first step only finds the bases: it moves no parameter,
    and t counts from the second one. Here m is kept in the basis of the parameters, which is the same but for rounding.

    >>> import numpy as np, optreg
    >>> w = np.ones((2, 2))
    >>> optimizer = optreg.create("matrix/soap", lr=0.1, weight_decay=0.0).setup({"w": w})
    >>> for _ in range(2):
    ...     optimizer.apply_gradients({"w": np.diag([3.0, -0.1])})
    >>> w.round(4)
    array([[0.9, 1. ],
           [1. , 1.1]])
    """

    real_only: ClassVar[bool] = True

    lr: float = positive(3e-3)
    beta1: float = fraction(0.95)
    beta2: float = fraction(0.95)
    shampoo_beta: float | None = fraction(None, "how much of the averages of products is kept at each step; as beta2")
    eps: float = positive(1e-8)
    weight_decay: float = nonnegative(1e-2)
    precondition_frequency: int = whole(10, "how many steps the bases are kept", low=1)
    max_precond_dim: int = whole(10000, "how long an axis may be to have a basis", low=1)
    merge_dims: bool = boolean(False, "make neighbouring axes one as far as max_precond_dim allows")
    normalize_grads: bool = boolean(False, "divide each step by its root mean square, which helps where bases are old")
    correct_bias: bool = boolean(True, "correct m and v for their start at zero")

    def slot_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        size = size_of(self._squares(self._lengths(shape)))
        return {"factors": (size,), "bases": (size,), "steps": ()}

    def rule(self, param: Any, grad: Any, m: Any, v: Any, factors: Any, bases: Any, steps: Any) -> None:  # noqa: PLR0917
        self.check_slots(param.shape, factors=factors, bases=bases)
        lengths = self._lengths(param.shape)
        tensor, squares = grad.reshape(lengths), v.reshape(lengths)
        averages, rotation = self._by_axis(factors, lengths), self._by_axis(bases, lengths)
        t = int(steps)
        steps += 1
        if t == 0:
            self._average(averages, tensor)
            for basis, average in zip(rotation, averages, strict=True):
                if basis is not None:
                    basis[...] = eigh(average)[1][:, ::-1]
            return
        m *= self.beta1
        m += (1 - self.beta1) * grad
        rotated = along(tensor, rotation, transposed=True)
        squares = self.beta2 * squares + (1 - self.beta2) * rotated * rotated
        adam = along(m.reshape(lengths), rotation, transposed=True) / (np.sqrt(squares) + self.eps)
        step = along(adam, rotation).reshape(param.shape)
        if self.normalize_grads:
            step = step / (1e-30 + np.sqrt(np.mean(step * step)))
        rate = (1 - self.beta2**t) ** 0.5 / (1 - self.beta1**t) if self.correct_bias else 1.0
        param -= self.lr * rate * step
        param *= 1 - self.lr * self.weight_decay
        self._average(averages, tensor)
        if t % self.precondition_frequency == 0:
            squares = _turn(rotation, averages, squares)
        v[...] = squares.reshape(param.shape)

    def _lengths(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return merged(shape, self.max_precond_dim) if self.merge_dims else shape

    def _squares(self, lengths: tuple[int, ...]) -> list[tuple[int, int]]:
        return [(length, length) for length in lengths if length <= self.max_precond_dim]

    def _by_axis(self, flat: Any, lengths: tuple[int, ...]) -> list[Any]:
        matrices = iter(unpacked(flat, self._squares(lengths)))
        return [next(matrices) if length <= self.max_precond_dim else None for length in lengths]

    def _average(self, averages: list[Any], tensor: Any) -> None:
        beta = self.beta2 if self.shampoo_beta is None else self.shampoo_beta
        for axis, average in enumerate(averages):
            if average is not None:
                average[...] = beta * average + (1 - beta) * gram(tensor, axis)


def _turn(rotation: list[Any], averages: list[Any], squares: Any) -> Any:
    """Bring the bases nearer to the eigenvectors, by falling eigenvalues; returns the squares in that order."""
    for axis, (basis, average) in enumerate(zip(rotation, averages, strict=True)):
        if basis is not None:
            power = average @ basis
            order = np.argsort(-np.sum(basis * power, axis=0))
            basis[...] = np.linalg.qr(power[:, order])[0]
            squares = np.take(squares, order, axis=axis)
    return squares
