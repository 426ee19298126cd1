"""A problem on which the references were recorded: ½·c·(p − a)² with noise, for one tensor of float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

AT = (10, 100)
"""The steps after which parameters were recorded."""


def start(shape: tuple[int, ...]) -> Any:
    """The parameter before the first step."""
    return np.random.default_rng(1).uniform(-1, 1, shape)


def gradient(t: int, param: Any) -> Any:
    """The gradient of step ``t``, counted from 1."""
    curvature = 10 ** np.random.default_rng(2).uniform(-1, 0.5, param.shape)
    minimum = np.random.default_rng(3).normal(size=param.shape)
    noise = np.random.default_rng((4, t)).normal(size=param.shape)
    return curvature * (param - minimum + noise / 2)


def walk(param: Any, step: Callable[[Any], None]) -> list[Any]:
    """Copies of the parameter after the steps of AT; ``step(gradient)`` changes it in place."""
    found = []
    for t in range(1, AT[-1] + 1):
        step(gradient(t, param))
        if t in AT:
            found.append(param.copy())
    return found
