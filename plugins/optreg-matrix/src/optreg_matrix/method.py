"""The base of the methods here: matrices by the method's own rule, all else by AdamW."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import numpy as np

from optreg import GradientMethod
from optreg.errors import HyperparameterError
from optreg.hyperparameters import boolean, fraction, nonnegative, positive

BLOCK = 65_536
"""Elements that are worked on at once where all is elementwise: few enough for the processor's cache."""


@attrs.define(eq=False, kw_only=True)
class MatrixMethod(GradientMethod):
    """A method for matrices; what is none gets AdamW, with hyperparameters of its own.

    A subclass writes ``rule``, which gets whole arrays of two axes or more, none of them empty; :func:`as_matrix` makes
    two axes of them. Arrays of fewer axes, and those for which ``matrix`` is False, go to :meth:`adamw`. Rules run on
    several arrays at a time, on threads: a subclass whose rule changes anything else than its arguments (draws random
    numbers, counts) says ``tensors_in_parallel = False``.

    Attributes:
        real_only: arrays of complex numbers go to :meth:`adamw` as well.
    """

    elementwise: ClassVar[bool] = False
    tensors_in_parallel: ClassVar[bool] = True
    multiplies_matrices: ClassVar[bool] = True
    real_only: ClassVar[bool] = False
    rules: ClassVar[tuple[str, ...]] = ("rule", "adamw")

    matrix: bool = boolean(True, "whether what has two axes or more is treated as a matrix; else, it gets AdamW")
    adamw_lr: float = positive(3e-4, "the learning rate of AdamW")
    adamw_beta1: float = fraction(0.9, "how much of AdamW's average of gradients is kept at each step")
    adamw_beta2: float = fraction(0.95, "how much of AdamW's average of squares is kept at each step")
    adamw_eps: float = positive(1e-10, "what AdamW adds to its divisor")
    adamw_weight_decay: float = nonnegative(0.0, "how fast AdamW shrinks parameters towards zero")

    def rule_for(self, param: Any) -> str:
        fits = param.data.ndim > 1 and param.data.size and not (self.real_only and param.data.dtype.kind == "c")
        return "rule" if self.matrix and fits else "adamw"

    def slot_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:  # noqa: ARG002 (a subclass needs it)
        """The shapes of the rule's slots that are not as the parameter, for a parameter of ``shape``."""
        return {}

    def make_slots(self, param: Any, state: dict[str, Any]) -> None:
        """Put the slots of ``slot_shapes`` into the state of a parameter that the rule is for."""
        dtype = np.result_type(param.data.dtype, np.float32)
        for name, shape in self.slot_shapes(param.data.shape).items():
            state[name] = np.zeros(shape, dtype, like=param.data)

    def check_slots(self, shape: tuple[int, ...], **slots: Any) -> None:
        """Raise a HyperparameterError where slots have other shapes than ``slot_shapes`` says now."""
        wanted = self.slot_shapes(shape)
        for name, slot in slots.items():
            if slot.shape != wanted[name]:
                raise HyperparameterError(
                    f"{type(self).__name__} now wants the slot {name!r} in the shape {wanted[name]} for a parameter "
                    f"{shape}, but its state was made with {slot.shape}; choose the hyperparameters that change it "
                    f"before setup(), or call setup() again"
                )

    def init_state_cpu(self, param: Any, state: dict[str, Any]) -> None:
        if self.rule_for(param) == "rule":
            self.make_slots(param, state)
        super().init_state_cpu(param, state)

    def init_state_gpu(self, param: Any, state: dict[str, Any]) -> None:
        if self.rule_for(param) == "rule":
            self.make_slots(param, state)
        super().init_state_gpu(param, state)

    def adamw(self, param: Any, grad: Any, m: Any, v: Any) -> None:
        """AdamW's rule (Loshchilov & Hutter 2019, arXiv:1711.05101)."""
        m *= self.adamw_beta1
        m += (1 - self.adamw_beta1) * grad
        v *= self.adamw_beta2
        v += (1 - self.adamw_beta2) * grad * grad
        param *= 1 - self.adamw_lr * self.adamw_weight_decay
        rate = self.adamw_lr / (1 - self.adamw_beta1**self.t)
        param -= rate * m / (np.sqrt(v / (1 - self.adamw_beta2**self.t)) + self.adamw_eps)


def as_matrix(array: Any) -> Any:
    """The array with its first axis, and all others as a second one: a convolution's filters as rows."""
    return array.reshape(len(array), -1)


def in_blocks(function: Callable[..., None], *arrays: Any) -> None:
    """Call an elementwise function with parts of arrays of one shape that fit into the cache; on a device, at once."""
    rows = len(arrays[0])
    step = max(1, BLOCK * rows // arrays[0].size) if isinstance(arrays[0], np.ndarray) else rows
    for start in range(0, rows, step):
        function(*(array[start : start + step] for array in arrays))
