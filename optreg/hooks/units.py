"""Gradients unit by unit: of each neuron or filter of a layer by itself."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import numpy as np

from optreg.arrays import Array
from optreg.hook import Hook
from optreg.hyperparameters import positive, whole


def _within_units(array: Array, axis: int) -> tuple[int, ...] | None:
    """The axes inside of a unit; None for an array that is one unit, as a bias is."""
    return None if array.ndim < 2 else tuple(each for each in range(array.ndim) if each != axis % array.ndim)


@attrs.define(eq=False, repr=False)
class AdaptiveGradientClipping(Hook):
    """Scale the gradient of each unit so that its norm is at most a fraction of the unit's own. ::

        g ← g · min(1, threshold · max(‖p‖, eps) / ‖g‖)        norms of one unit each

    Brock et al. 2021, arXiv:2102.06171, with the authors' defaults. Vectors and single numbers are one unit.

    Args:
        threshold: the largest norm allowed, as a fraction of the parameter's; > 0, or a schedule.
        eps: what the parameter's norm counts at least; > 0, or a schedule.
        axis: along which units stand: 0 for the weights of Chainer and PyTorch (out, in, …), -1 for those of ``x @ W``.

    >>> import optreg
    >>> optreg.create_hook("adaptive_gradient_clipping")
    AdaptiveGradientClipping(threshold=0.01, eps=0.001, axis=0)
    """

    elementwise: ClassVar[bool] = False
    threshold: float = positive(0.01)
    eps: float = positive(1e-3)
    axis: int = whole(0, low=-1)

    def rule(self, param: Array, grad: Array) -> None:
        """Clip one gradient."""
        axes = _within_units(param, self.axis)
        norm, of_gradient = (np.sqrt(np.sum(np.square(np.abs(each)), axes, keepdims=True)) for each in (param, grad))
        most = self.threshold * np.maximum(norm, self.eps)
        grad *= np.where(of_gradient > most, most / np.where(of_gradient > 0, of_gradient, 1), 1)


@attrs.define(eq=False, repr=False)
class GradientCentralization(Hook):
    """Subtract from the gradient of each unit its mean, so that the mean of a unit's weights stays what it is. ::

        g ← g − mean(g)        of one unit each

    Yong et al. 2020, arXiv:2004.01461. Vectors and single numbers (biases, scales) are left as they are.

    Args:
        axis: along which units stand: 0 for the weights of Chainer and PyTorch (out, in, …), -1 for those of ``x @ W``.

    >>> import optreg
    >>> optreg.create_hook("gradient_centralization", axis=-1)
    GradientCentralization(axis=-1)
    """

    elementwise: ClassVar[bool] = False
    axis: int = whole(0, low=-1)

    def rule(self, param: Any, grad: Array) -> None:  # noqa: ARG002 (a rule takes both)
        """Centralize one gradient."""
        axes = _within_units(grad, self.axis)
        if axes is not None and grad.size:
            grad -= np.mean(grad, axes, keepdims=True)
