"""PSGD with a Kronecker product: a preconditioner that is learned by steps of its own."""

from __future__ import annotations

from math import exp, prod
from typing import Any, ClassVar

import attrs
import numpy as np

from optreg.hyperparameters import boolean, choice, fraction, nonnegative, number, positive, whole
from optreg_matrix.axes import along, gram, size_of, unpacked
from optreg_matrix.method import MatrixMethod

_DAMPING = float(np.finfo(np.float32).eps) ** 0.5
_RMS = 1.1


def usual_probability(t: int) -> float:
    """1 for 500 steps, then falling exponentially, to 0.03 after 4000 steps."""
    return min(1.0, max(0.03, exp(-0.001 * (t - 501))))


def _generator(method: Any) -> np.random.Generator:
    return np.random.default_rng(method.seed)


@attrs.define(eq=False)
class PSGDKron(MatrixMethod):
    """The average gradient times Qᵀ·Q, where Q is learned so that the product is as a whitened gradient. ::

        m  ← b1·m + (1 − b1)·G,   M = m / (1 − b1ᵗ)
        A  = Q·M·Rᵀ,   B = Q⁻ᵀ·V·R⁻¹                     V: random normal numbers;  M with a little of V
        Q  ← Q − precond_lr·triu(A·Aᵀ − B·Bᵀ)·Q / ‖A·Aᵀ + B·Bᵀ‖,   and so on for each axis
        s  = Qᵀ·Q·M·Rᵀ·R,   made smaller where its root mean square is above 1.1
        p  ← p − lr·(s + weight_decay·p)

    Li 2015, arXiv:1512.04202; Pooladzandi & Li 2024, arXiv:2402.11858.

    The form of kron_torch 0.3, by Walters, Pooladzandi & Li, with the ``lr`` of its first versions. Q is updated when
    1 / ``update_probability`` steps have gone by: in each of the first 500 steps, and later in one of 33. There M is
    overwritten with what has a little of V, which so gets into the step; here it does not. What has more axes is folded
    into the most nearly square matrix; there the tallest one is taken for it.

    >>> import numpy as np, optreg
    >>> w = np.ones((2, 2))
    >>> optimizer = optreg.create("matrix/psgd_kron", lr=0.1, seed=0).setup({"w": w})
    >>> optimizer.apply_gradients({"w": np.diag([3.0, -3.0])})
    >>> bool(w[0, 0] < 0.9 < 1.1 < w[1, 1])
    True
    """

    real_only: ClassVar[bool] = True
    tensors_in_parallel: ClassVar[bool] = False  # the order of tensors decides which random numbers each of them gets

    lr: float = positive(1e-3)
    b1: float = fraction(0.9)
    weight_decay: float = nonnegative(0.0)
    update_probability: float | None = number(
        None, low=0, high=1, low_open=True, doc="one over the steps between updates of Q; as usual_probability(t)"
    )
    max_size_triangular: int = whole(8192, "how long an axis may be whose Q is triangular; else, it is diagonal")
    min_ndim_triangular: int = whole(2, "how many axes a parameter has at least whose Q are triangular")
    memory_save_mode: str = choice(
        "none",
        ("none", "one_diag", "smart_one_diag", "all_diag"),
        "which axes have a diagonal Q: the longest, the longest if it is alone, or all",
    )
    momentum_into_precond_update: bool = boolean(True, "learn Q from M, not from G")
    precond_lr: float = positive(0.1, "the learning rate of Q")
    precond_init_scale: float = positive(1.0, "what Q begins as, as a multiple of one")
    merge_dims: bool = boolean(True, "make a matrix of what has more axes, as nearly square as may be")
    seed: int | None = attrs.field(default=None, metadata={"doc": "of the random numbers; None: others each time"})
    generator: np.random.Generator = attrs.field(init=False, default=attrs.Factory(_generator, takes_self=True))

    def slot_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        return {"factors": (size_of(self._factors(self._lengths(shape))),), "steps": (), "waited": ()}

    def rule(self, param: Any, grad: Any, m: Any, factors: Any, steps: Any, waited: Any) -> None:  # noqa: PLR0917
        self.check_slots(param.shape, factors=factors)
        lengths = self._lengths(param.shape)
        qs = unpacked(factors, self._factors(lengths))
        steps += 1
        waited += 1
        t = int(steps)
        if t == 1:
            for q in qs:
                one = np.eye(len(q), like=q) if q.ndim > 1 else 1.0
                q[...] = self.precond_init_scale ** (1 / len(qs)) * one
        m *= self.b1
        m += (1 - self.b1) * grad
        average = m.reshape(lengths) / (1 - self.b1**t)
        probability = usual_probability(t) if self.update_probability is None else self.update_probability
        is_to_be_balanced = self.generator.random() < 0.01
        if waited * probability >= 1:
            waited[...] = 0
            if is_to_be_balanced:
                _balance(qs)
            noise = np.asarray(self.generator.standard_normal(lengths), dtype=average.dtype, like=average)
            self._learn(qs, average if self.momentum_into_precond_update else grad.reshape(lengths), noise)
        step = along(along(average, qs), qs, transposed=True)
        step = step * np.minimum(1.0, _RMS / (np.sqrt(np.mean(step * step)) + 1e-12))
        param -= self.lr * (step.reshape(param.shape) + self.weight_decay * param)

    def _learn(self, qs: list[Any], gradient: Any, noise: Any) -> None:
        a = along(gradient + _DAMPING * np.mean(np.abs(gradient)) * noise, qs)
        b = _along_inverses(noise, qs)
        tiny = np.finfo(gradient.dtype).tiny
        for axis, q in enumerate(qs):
            of_a, of_b = (gram(each, axis) if q.ndim > 1 else _norms(each, axis) for each in (a, b))
            largest = np.max(np.abs(of_a + of_b))
            change = self.precond_lr * (of_a - of_b)
            if q.ndim == 1:
                q[...] -= change * q / np.maximum(largest, tiny)
            else:
                bound = _spectral_norm((of_a + of_b) / np.maximum(largest, tiny)) * largest
                q[...] -= (np.triu(change) / np.maximum(bound, tiny)) @ q

    def _lengths(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not self.merge_dims or len(shape) == 2:
            return shape
        foldings = (prod(shape[:-1]), shape[-1]), (shape[0], prod(shape[1:]))
        return min(foldings, key=lambda folding: abs(folding[0] - folding[1]))

    def _factors(self, lengths: tuple[int, ...]) -> list[tuple[int, ...]]:
        longest = max(range(len(lengths)), key=lambda axis: (lengths[axis], axis))
        is_alone = sorted(lengths)[-1] > sorted(lengths)[-2]
        spared = self.memory_save_mode == "one_diag" or (self.memory_save_mode == "smart_one_diag" and is_alone)
        all_spared = self.memory_save_mode == "all_diag" or len(lengths) < self.min_ndim_triangular
        return [
            (length,)
            if all_spared or length == 1 or length > self.max_size_triangular or (spared and axis == longest)
            else (length, length)
            for axis, length in enumerate(lengths)
        ]


def _balance(qs: list[Any]) -> None:
    """Make the largest numbers of all factors equal, and leave their product as it is."""
    norms = [np.max(np.abs(q)) for q in qs]
    mean = np.exp(sum(np.log(norm) for norm in norms) / len(norms))
    for q, norm in zip(qs, norms, strict=True):
        q[...] *= mean / norm


def _along_inverses(tensor: Any, qs: list[Any]) -> Any:
    """The tensor, along each axis multiplied by the inverse of the transposed factor."""
    for q in qs:
        rows = tensor.reshape(len(q), -1)
        solved = np.linalg.solve(q.T, rows) if q.ndim > 1 else rows / q[:, None]
        tensor = np.moveaxis(solved.reshape(tensor.shape), 0, -1)
    return tensor


def _norms(tensor: Any, axis: int) -> Any:
    slices = np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)
    return np.sum(slices * slices, axis=1)


def _spectral_norm(matrix: Any) -> Any:
    """A cheap lower bound: one step of the power method, from the longest column."""
    longest = np.argmax(np.sum(matrix * matrix, axis=0))
    row = np.take(matrix, longest, axis=1) @ matrix
    return np.linalg.norm(matrix @ (row / np.linalg.norm(row)))
