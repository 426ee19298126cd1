"""Zeros of both signs, infinities, NaN and subnormal numbers, in parameters, gradients and states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optreg
from backends.steps import assert_same, both, everything
from optreg import GradientMethod


class Arithmetic(GradientMethod):
    lr = 0.25

    def rule(self, param: Any, grad: Any, slot: Any) -> None:
        slot[...] = (param + grad) * 3.0 - slot / grad
        param -= self.lr * grad / (1 - slot)


class Roots(GradientMethod):
    def rule(self, param: Any, grad: Any, slot: Any) -> None:
        slot[...] = np.sqrt(slot * slot) + np.sqrt(grad)
        param += np.abs(slot) - np.floor(param) + np.square(grad) + np.reciprocal(param)


class Signs(GradientMethod):
    def rule(self, param: Any, grad: Any, slot: Any) -> None:
        slot[...] = np.sign(grad) + np.copysign(slot, param)
        param[...] = np.copysign(np.sign(param), -grad) * np.negative(slot)


class Extremes(GradientMethod):
    bound = 0.0

    def rule(self, param: Any, grad: Any, slot: Any) -> None:
        slot[...] = np.maximum(slot, np.abs(grad))
        param[...] = np.minimum(param, np.maximum(grad, self.bound))


class ExtremesOfTwoArrays(GradientMethod):
    def rule(self, param: Any, grad: Any, slot: Any) -> None:
        slot[...] = np.maximum(slot, grad)
        param[...] = np.minimum(grad, param)


class Clipping(GradientMethod):
    low, high = -1.5, 0.0

    def rule(self, param: Any, grad: Any, slot: Any) -> None:
        slot[...] = np.clip(slot, 0, 1)
        param[...] = np.clip(param, self.low, self.high) + np.clip(grad, -1e-40, 2)


class Choices(GradientMethod):
    def rule(self, param: Any, grad: Any, slot: Any) -> None:
        slot[...] = np.where(grad > param, slot, -grad)
        known = np.isfinite(param) & ~np.isnan(grad) | (slot == 0)
        param[...] = np.where(known, np.where(param <= grad, grad, param), np.where(grad != slot, 1.0, slot))


class Remainders(GradientMethod):
    def rule(self, param: Any, grad: Any, slot: Any) -> None:
        slot[...] = np.remainder(slot, grad)
        param[...] = np.remainder(grad, 1.5) + 1 / np.remainder(param, -2.0)


def _values(dtype: str) -> Any:
    limits = np.finfo(dtype)
    some = [0.0, 1.0, 0.5, 1.5, 2.0, 3.7, limits.max, limits.tiny, limits.smallest_subnormal, limits.tiny / 3]
    return np.array([*some, np.inf, np.nan, *(-value for value in some), -np.inf], dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "method", [Arithmetic, Roots, Signs, Extremes, ExtremesOfTwoArrays, Clipping, Choices, Remainders]
)
def test_every_triple_of_special_values_gives_the_bits_of_numpy(method, dtype):
    values = _values(dtype)
    triples = np.array(np.meshgrid(values, values, values)).reshape(3, -1)

    def run() -> Any:
        param, grad, slot = triples.copy()
        optimizer = method().setup({"w": param, "v": param[:1].copy()})
        optimizer._states["/w"]["slot"][...] = slot
        optimizer.target["w"].grad, optimizer.target["v"].grad = grad, grad[:1].copy()
        optimizer.update()
        return everything(optimizer)

    assert_same(*both(run))


@pytest.mark.parametrize("name", [name for name in optreg.names() if hasattr(optreg.get(name), "rule")])
def test_special_gradients_leave_the_bits_of_numpy_in_built_ins(name):
    values = _values("float32")
    pairs = np.array(np.meshgrid(values, values)).reshape(2, -1)

    def run() -> Any:
        optimizer = optreg.create(name).setup({"w": pairs[0].copy()})
        for order in (1, -1, 1):
            optimizer.target["w"].grad = pairs[1][::order].copy()
            optimizer.update()
        return everything(optimizer)

    assert_same(*both(run))
