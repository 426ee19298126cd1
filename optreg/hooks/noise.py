"""Noise that is added to gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from optreg.arrays import Array, array_module, device_of
from optreg.gradients import changeable_gradients
from optreg.hook import Hook
from optreg.hyperparameters import nonnegative
from optreg.passes import step_of
from optreg.signatures import holding, values_at
from optreg.targets import named_parameters


def exponential_decay_noise(xp: Any, shape: tuple[int, ...], dtype: Any, hook: Any, opt: Any) -> Array:
    """Gaussian noise whose variance decays with the step: σ² = η / (1 + t)^0.55.

    Neelakantan et al. 2015, arXiv:1511.06807.

    Args:
        xp: ``numpy`` or ``cupy``, the module of the gradient.
        shape: the gradient's shape.
        dtype: the gradient's dtype; complex noise has independent real and imaginary parts.
        hook: the :class:`GradientNoise`, with ``eta`` and a ``generator``; the global one serves a hook without.
        opt: the optimizer, whose ``t`` is the number of steps made.

    Returns:
        An array of ``shape`` and ``dtype``, on the current device.
    """
    std = np.sqrt(hook.eta / (1 + opt.t) ** 0.55)
    generator = getattr(hook, "generator", xp.random)
    if xp is not np and isinstance(generator, np.random.Generator):
        # The state of a device's generator cannot be saved, so it is seeded anew from the one that can.
        generator = xp.random.default_rng(int(generator.integers(2**63)))
    if np.dtype(dtype).kind == "c":
        parts = generator.standard_normal((*shape, 2)) * std
        return (parts[..., 0] + 1j * parts[..., 1]).astype(dtype)
    return (generator.standard_normal(shape) * std).astype(dtype)


def _noise_func(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not callable(value):
        raise TypeError(
            f"{type(instance).__name__}: {attribute.name} must be a function "
            f"noise_func(xp, shape, dtype, hook, opt), but it is {value!r}"
        )


def _generator(hook: Any) -> np.random.Generator:
    return np.random.default_rng(hook.seed)


@attrs.define(eq=False, repr=False)
class GradientNoise(Hook):
    """Add noise to every gradient; by default annealed Gaussian noise.

    ``grad += noise_func(xp, shape, dtype, hook, opt)`` (Neelakantan et al. 2015, arXiv:1511.06807).

    Args:
        eta: the scale of the noise, >= 0; the paper selects from 0.01, 0.3 and 1.0.
        noise_func: makes the noise of one gradient.
        seed: of the hook's own random generator, which is saved with the optimizer; None: not reproducible.

    Attributes:
        generator: a ``numpy.random.Generator``, for ``noise_func`` to draw from.

    >>> import optreg
    >>> optreg.create_hook("gradient_noise", eta=0.01, seed=0).eta
    0.01
    """

    eta: float = nonnegative()
    noise_func: Callable[..., Array] = attrs.field(default=exponential_decay_noise, validator=_noise_func)
    seed: int | None = attrs.field(default=None)
    generator: np.random.Generator = attrs.field(init=False, default=attrs.Factory(_generator, takes_self=True))

    def __call__(self, opt: Any) -> None:
        """Add noise to the gradients of the optimizer's target."""
        with holding(self, values_at(self, step_of(self, opt.t))):
            for grad in changeable_gradients(named_parameters(opt.target)):
                with device_of(grad):
                    noise = self.noise_func(array_module(grad), grad.shape, grad.dtype, self, opt)
                    np.add(grad, noise, out=grad)
