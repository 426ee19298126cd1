"""Squares kept as one number for each row and each column of a matrix: Adafactor and CAME."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import numpy as np

from optreg.arrays import Array, zero_state
from optreg.hyperparameters import fraction, nonnegative, number, positive
from optreg.optimizer import GradientMethod


class Factored:
    """A rule for the matrices in the last two axes of an array, and one for arrays that have none."""

    rules: ClassVar[tuple[str, ...]] = ("rule", "rule_of_vectors")
    elementwise: ClassVar[bool] = False
    tensors_in_parallel: ClassVar[bool] = True

    def rule_for(self, param: Any) -> str:
        """``rule`` for what has rows and columns of real numbers."""
        has_rows = param.data.ndim >= 2 and param.data.size and param.data.dtype.kind != "c"
        return "rule" if has_rows else "rule_of_vectors"


def _factors(param: Any) -> tuple[Array, Array]:
    """Zeros for the rows and for the columns, with the parameter's axes, of which one has the length 1."""
    return zero_state(param.data[..., :1]), zero_state(param.data[..., :1, :])


BLOCK = 524_288
"""Elements that are worked on together: few enough to stay in a cache, many enough that threads seldom take turns."""


def _blocks(array: Array) -> list[Any]:
    """Indices of parts of an array, each of some rows; on a device, of all."""
    rows = array.shape[-2]
    step = max(1, BLOCK * rows // array.size) if isinstance(array, np.ndarray) else rows
    return [np.s_[..., start : start + step, :] for start in range(0, rows, step)]


def _average(parts: Callable[[Any], Array], of: Array, slots: tuple[Array, Array], share: float, eps: float) -> None:
    """Average the mean squares, plus ``eps``, of rows and columns of an array as large as ``of``, given by parts."""
    row, col = slots
    sums = np.zeros_like(col)
    for block in _blocks(of):
        part = parts(block)
        row[block] += share * (np.einsum("...ij,...ij->...i", part, part)[..., None] / of.shape[-1] + eps - row[block])
        sums += np.einsum("...ij,...ij->...j", part, part)[..., None, :]
    col += share * (sums / of.shape[-2] + eps - col)


def _divided(array: Array, row: Array, col: Array, least: float = 0.0) -> Callable[[Any], Array]:
    """Parts of an array over the root of the matrix with these means of rows and columns, or over ``least``."""
    root = np.sqrt(row / np.maximum(np.mean(row, axis=-2, keepdims=True), least))
    root_of_col = np.sqrt(col)

    def part(block: Any) -> Array:
        divisor = root[block] * root_of_col
        return np.divide(array[block], np.maximum(divisor, least, out=divisor), out=divisor)

    return part


def _rms(array: Array) -> Any:
    return np.sqrt(np.mean(array * array))


def _rms_of(parts: Callable[[Any], Array], of: Array) -> Any:
    """The root mean square of an array as large as ``of``, given by parts."""
    return np.sqrt(sum(np.linalg.norm(parts(block)) ** 2 for block in _blocks(of)) / of.size)


@attrs.define(eq=False)
class Adafactor(Factored, GradientMethod):
    """Adafactor: the scale of each element from the mean squares of its row and of its column. ::

        row ← row + t^beta2_decay·(mean of g² over columns − row),  col alike
        v   = row·col / mean(row)
        u   = g / √v
        p   ← p·(1 − lr·weight_decay) − min(lr, 1/√t)·max(eps2, RMS(p))·u / max(1, RMS(u)/d)

    Arrays with fewer than two axes, and complex ones, keep ``v``, the average of g² itself.

    Shazeer & Stern 2018, arXiv:1804.04235.

    The form and defaults of PyTorch: ``eps1`` bounds √v from below, and None stands for the precision of the
    parameter's dtype. optax adds its eps to g², and multiplies by the parameter's RMS only where it is told to.

    >>> import numpy as np, optreg
    >>> w = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> adafactor = optreg.create("adafactor", lr=0.1).setup({"w": w})
    >>> adafactor.apply_gradients({"w": np.array([[1.0, 1.0], [2.0, 2.0]])})
    >>> w.round(3)
    array([[0.726, 1.726],
           [2.726, 3.726]])
    """

    lr: float = positive(1e-2, doc="the longest step, as a fraction of the parameter's root mean square")
    beta2_decay: float = number(-0.8, high=0, doc="the power of t that is the share of the new squares in the average")
    eps1: float | None = positive(None, doc="the least √v; None: the precision of the dtype")
    eps2: float = positive(1e-3, doc="the least root mean square that a parameter is taken to have")
    d: float = number(1.0, low=1, doc="the root mean square of an update beyond which it is scaled down")
    weight_decay: float = nonnegative(0.0)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        """Rows and columns of a matrix."""
        if self.rule_for(param) == "rule":
            state["row"], state["col"] = _factors(param)
        super().init_state(param, state)

    def rule(self, param: Array, grad: Array, row: Array, col: Array) -> None:
        _average(grad.__getitem__, grad, (row, col), self.t**self.beta2_decay, 0.0)
        update = _divided(grad, row, col, self.least(param))
        rate = self.rate(_rms_of(param.__getitem__, param), _rms_of(update, param))
        for block in _blocks(param):
            step = update(block)
            step *= rate
            if self.weight_decay:
                param[block] *= 1 - self.lr * self.weight_decay
            param[block] -= step

    def rule_of_vectors(self, param: Array, grad: Array, v: Array) -> None:
        v += self.t**self.beta2_decay * (grad * grad - v)
        update = grad / np.maximum(np.sqrt(v), self.least(param))
        rate = self.rate(_rms(param), _rms(update))
        param *= 1 - self.lr * self.weight_decay
        param -= rate * update

    def least(self, param: Array) -> float:
        """The least √v."""
        return float(np.finfo(param.dtype).eps) if self.eps1 is None else self.eps1

    def rate(self, rms: Any, rms_of_update: Any) -> Any:
        """What multiplies the update, by the root mean squares of the parameter and of the update."""
        return min(self.lr, 1 / self.t**0.5) * np.maximum(rms, self.eps2) / np.maximum(rms_of_update / self.d, 1)


@attrs.define(eq=False)
class CAME(Factored, GradientMethod):
    """CAME: Adafactor with momentum, in which elements count less where the momentum misses the update. ::

        u   = g / √(row·col / mean(row)),  where row, col are averages of g² + eps1
        u   ← u / max(1, RMS(u) / clip_threshold)
        m   ← β1·m + (1 − β1)·u
        s   = row_res·col_res / mean(row_res),  of averages of (u − m)² + eps2
        p   ← p − lr·(m / √s + weight_decay·p)

    Arrays with fewer than two axes, and complex ones, keep ``v``, the average of g² + eps1, and step along ``m``.

    Luo, Ren, Zheng et al. 2023, arXiv:2307.02047.

    The form and defaults of the authors' code, which has no default for ``lr``: 2e-4 is what it was published with.

    >>> import numpy as np, optreg
    >>> w = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> came = optreg.create("came", lr=0.01).setup({"w": w})
    >>> came.apply_gradients({"w": np.array([[1.0, -1.0], [2.0, -2.0]])})
    >>> w.round(3)
    array([[0.889, 2.111],
           [2.889, 4.111]])
    """

    lr: float = positive(2e-4)
    beta1: float = fraction(0.9)
    beta2: float = fraction(0.999)
    beta3: float = fraction(0.9999, doc="how much of the averages of what the momentum misses is kept at each step")
    eps1: float = positive(1e-30, doc="what is added to squared gradients")
    eps2: float = positive(1e-16, doc="what is added to the squares of what the momentum misses")
    clip_threshold: float = positive(1.0, doc="the root mean square beyond which an update is scaled down")
    weight_decay: float = nonnegative(0.0)

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        """Rows and columns of a matrix."""
        if self.rule_for(param) == "rule":
            state["row"], state["col"] = _factors(param)
            state["row_res"], state["col_res"] = _factors(param)
        super().init_state(param, state)

    def rule(  # noqa: PLR0917 (so many slots)
        self, param: Array, grad: Array, m: Array, row: Array, col: Array, row_res: Array, col_res: Array
    ) -> None:
        _average(grad.__getitem__, grad, (row, col), 1 - self.beta2, self.eps1)
        update = _divided(grad, row, col)
        clip = np.maximum(_rms_of(update, param) / self.clip_threshold, 1)

        def missed(block: Any) -> Array:
            part = update(block) / clip
            m[block] += (1 - self.beta1) * (part - m[block])
            return part - m[block]

        _average(missed, param, (row_res, col_res), 1 - self.beta3, self.eps2)
        step = _divided(m, row_res, col_res)
        for block in _blocks(param):
            param[block] -= self.lr * (step(block) + self.weight_decay * param[block])

    def rule_of_vectors(self, param: Array, grad: Array, m: Array, v: Array) -> None:
        v += (1 - self.beta2) * (grad * grad + self.eps1 - v)
        update = grad / np.sqrt(v)
        update /= np.maximum(_rms(update) / self.clip_threshold, 1)
        m += (1 - self.beta1) * (update - m)
        param -= self.lr * (m + self.weight_decay * param)
