"""Methods that Chainer deprecated in version 1.5 and kept; so does optreg. They become methods of Optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from optreg import registry
from optreg.arrays import device_of, moved_beside, zeros_like
from optreg.errors import GradientError
from optreg.gradients import check_gradient, zero_gradients
from optreg.norms import global_norm
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
    hook = registry.create_hook("weight_decay", rate=decay)
    _fill_cleared(self.target)
    hook(self)


def accumulate_grads(self: Any, grads: Iterable[Any]) -> None:
    """Add arrays, of any device, to the gradients. Deprecated: use ``addgrads()`` of the target.

    Args:
        grads: one array for each parameter, or None, in the order of the target's parameters.

    Raises:
        GradientError: an array does not fit its parameter, or there are too many or too few. Nothing was changed.
    """
    _deprecated("accumulate_grads", "target.addgrads()")
    parameters, grads = named_parameters(self.target), list(grads)
    if len(grads) != len(parameters):
        raise GradientError(
            f"there are {len(grads)} gradients for {len(parameters)} parameters; give one for each, or None"
        )
    added = [
        (name, param, moved_beside(grad, param.data))
        for (name, param), grad in zip(parameters, grads, strict=True)
        if grad is not None
    ]
    for name, param, grad in added:
        check_gradient(name, param.data, grad, integers=True)
    _fill_cleared(self.target)
    for _, param, grad in added:
        with device_of(param.grad):
            param.grad += grad


def _fill_cleared(target: Any) -> None:
    """A gradient that is None counts as zeros."""
    for _, param in named_parameters(target):
        if param.grad is None:
            param.grad = zeros_like(param.data)
