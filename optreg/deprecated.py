"""Methods that Chainer deprecated in version 1.5 and kept; so does optreg. They become methods of Optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from optreg import registry
from optreg.arrays import moved_beside
from optreg.gradients import global_norm, zero_gradients
from optreg.targets import named_parameters


def _deprecated(method: str, replacement: str) -> None:
    warnings.warn(f"Optimizer.{method}() is deprecated; use {replacement}", DeprecationWarning, stacklevel=3)


def zero_grads(self: Any) -> None:
    """Fill all gradients with zeros. Deprecated: use ``zerograds()`` or ``cleargrads()`` of the target."""
    _deprecated("zero_grads", "target.cleargrads()")
    zero_gradients(self.target)


def compute_grads_norm(self: Any) -> float:
    """Return the L2 norm of all gradients together, as a float on the host. Deprecated."""
    _deprecated("compute_grads_norm", "the hook GradientClipping, or numpy.linalg.norm of the gradients")
    return global_norm(param.grad for _, param in named_parameters(self.target))


def clip_grads(self: Any, maxnorm: float) -> None:
    """Scale all gradients so that their norm is at most ``maxnorm``. Deprecated: use GradientClipping."""
    _deprecated("clip_grads", "the hook GradientClipping")
    registry.create_hook("gradient_clipping", threshold=maxnorm)(self)


def weight_decay(self: Any, decay: float) -> None:
    """Add the parameters, scaled by ``decay``, to their gradients. Deprecated: use WeightDecay."""
    _deprecated("weight_decay", "the hook WeightDecay")
    registry.create_hook("weight_decay", rate=decay)(self)


def accumulate_grads(self: Any, grads: Iterable[Any]) -> None:
    """Add arrays, of any device, to the gradients. Deprecated: use ``addgrads()`` of the target.

    Args:
        grads: one array for each parameter, in the order of the target's parameters.
    """
    _deprecated("accumulate_grads", "target.addgrads()")
    for (_, param), grad in zip(named_parameters(self.target), grads, strict=False):
        param.grad += moved_beside(grad, param.grad)
