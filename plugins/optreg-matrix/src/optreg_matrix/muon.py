"""Muon: momentum, orthogonalized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from optreg.errors import HyperparameterError
from optreg.hyperparameters import boolean, choice, fraction, nonnegative, positive, whole
from optreg_matrix.method import MatrixMethod, as_matrix
from optreg_matrix.newton_schulz import Coefficients, orthogonalized

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Jordan's coefficients: the steepest at zero, at the price of singular values that end between 0.7 and 1.2."""


def _as_tuples(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(_as_tuples, value))
    return value


def _check_coefficients(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    steps = value if value and all(isinstance(each, tuple) for each in value) else (value,)
    for each in steps:
        if not isinstance(each, tuple) or len(each) != 3 or not all(isinstance(one, (int, float)) for one in each):
            raise HyperparameterError(
                f"{type(instance).__name__}: {attribute.name} must be three numbers, or three for each of the first "
                f"steps, but it is {value!r}"
            )


@attrs.define(eq=False)
class Muon(MatrixMethod):
    """Momentum whose singular values are all made nearly one. ::

        buf ← momentum·buf + (1 − momentum)·g
        u   = momentum·buf + (1 − momentum)·g   (nesterov)
        o   = Newton–Schulz(u)
        p   ← (1 − lr·weight_decay)·p − lr·scale·o

    Jordan, Jin, Boza, You, Cesista, Newhouse & Bernstein 2024, https://kellerjordan.github.io/posts/muon.
    """

    lr: float = positive(0.02, "the length of a step, as a spectral norm")
    momentum: float = fraction(0.95, "how much of the average of gradients is kept at each step")
    weight_decay: float = nonnegative(0.0, "how fast parameters shrink towards zero")
    nesterov: bool = boolean(True, "whether the gradient is added once more to its average")
    ns_steps: int = whole(5, "how many Newton–Schulz steps are made", low=1)
    ns_coefficients: Any = attrs.field(
        default=QUINTIC,
        converter=_as_tuples,
        validator=_check_coefficients,
        metadata={"doc": "three numbers for every Newton–Schulz step, or a list of three for each; its last stay"},
    )
    scale: str = choice(
        "original",
        ("original", "match_rms_adamw"),
        "what a step is multiplied by: √max(1, rows / columns), Jordan's; or 0.2·√max(rows, columns), Moonlight's",
    )
    eps: float = positive(1e-7, "what is added to the norm that the matrix is divided by")

    def rule(self, param: Any, grad: Any, buf: Any) -> None:
        buf *= self.momentum
        buf += (1 - self.momentum) * grad
        update = self.momentum * buf + (1 - self.momentum) * grad if self.nesterov else buf
        matrix = as_matrix(update)
        direction = orthogonalized(matrix, self._steps(), self.eps)
        param *= 1 - self.lr * self.weight_decay
        param -= (self.lr * self._scale(*matrix.shape)) * direction.reshape(param.shape)

    def _steps(self) -> list[Coefficients]:
        given = self.ns_coefficients
        each = given if isinstance(given[0], tuple) else (given,)
        return [each[min(step, len(each) - 1)] for step in range(self.ns_steps)]

    def _scale(self, rows: int, columns: int) -> float:
        if self.scale == "original":
            return float(max(1, rows / columns) ** 0.5)
        return float(0.2 * max(rows, columns) ** 0.5)
