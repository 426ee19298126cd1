"""Methods in the ways in which they were written for Chainer: by no means with attrs, nor always with a rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optreg import GradientMethod


class AdamByProperty(GradientMethod):
    """A plain class, which never calls the base's ``__init__``, with a property, a rule and slots."""

    def __init__(self, alpha: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        self.alpha = alpha
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps

    @property
    def lr(self) -> float:
        return self.alpha * math.sqrt(1 - self.beta2**self.t) / (1 - self.beta1**self.t)

    def rule(self, param: Any, grad: Any, m: Any, v: Any) -> None:
        m += (1 - self.beta1) * (grad - m)
        v += (1 - self.beta2) * (grad * grad - v)
        param -= self.lr * m / (np.sqrt(v) + self.eps)


class MomentumByDevice(GradientMethod):
    """With ``init_state_cpu`` and ``update_one_cpu``, as Chainer's own were written."""

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        self.lr = lr
        self.momentum = momentum

    def init_state_cpu(self, param: Any, state: dict[str, Any]) -> None:
        state["v"] = np.zeros_like(param.data)

    def update_one_cpu(self, param: Any, state: dict[str, Any]) -> None:
        v = state["v"]
        v *= self.momentum
        v -= self.lr * param.grad
        param.data += v


class NesterovByParameter(GradientMethod):
    """With ``init_state`` and ``update_one``."""

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        self.lr = lr
        self.momentum = momentum

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        state["v"] = np.zeros_like(param.data)

    def update_one(self, param: Any, state: dict[str, Any]) -> None:
        v = state["v"]
        v *= self.momentum
        v -= self.lr * param.grad
        param.data += self.momentum * self.momentum * v
        param.data -= (1 + self.momentum) * self.lr * param.grad
