"""Two implementations of a method on the same problem, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import optreg

torch = pytest.importorskip("torch")

MATRICES = {"square": (5, 5), "wide": (3, 11), "tall": (12, 4)}
MORE = {"filters": (4, 3, 2, 2), "vector": (6,)}
LENGTHS = [("float32", 10), ("float64", 10), ("float64", 100)]
every_length = pytest.mark.parametrize(("dtype", "steps"), LENGTHS, ids=[f"{each}-{steps}" for each, steps in LENGTHS])

Arrays = dict[str, np.ndarray]


def drawn(shapes: dict[str, tuple[int, ...]], *seed: int) -> Arrays:
    """Normally distributed numbers, always the same."""
    return {
        name: np.random.default_rng((*seed, index)).normal(size=shape)
        for index, (name, shape) in enumerate(shapes.items())
    }


class Ours:
    """A method of this package."""

    def __init__(self, name: str, **hyperparameters: Any) -> None:
        self.optimizer = optreg.create(name, **hyperparameters)

    def start(self, values: Arrays) -> None:
        self.values = {name: array.copy() for name, array in values.items()}
        self.optimizer.setup(self.values)

    def step(self, gradients: Arrays) -> None:
        given = {name: array.copy() for name, array in gradients.items()}
        self.optimizer.apply_gradients(given)
        for name, array in given.items():
            np.testing.assert_array_equal(array, gradients[name], err_msg=f"the gradient {name} was changed")


class Torch:
    """An optimizer with PyTorch's interface, made of the tensors by name."""

    def __init__(self, make: Callable[[dict[str, Any]], Any]) -> None:
        self.make = make

    def start(self, values: Arrays) -> None:
        self.values = {name: array.copy() for name, array in values.items()}
        self.tensors = {name: torch.from_numpy(array) for name, array in self.values.items()}  # the same memory
        self.optimizer = self.make(self.tensors)

    def step(self, gradients: Arrays) -> None:
        for name, tensor in self.tensors.items():
            tensor.grad = torch.tensor(gradients[name])
        self.optimizer.step()


def assert_same_path(
    ours: Any, theirs: Any, dtype: str, steps: int, *, shapes: dict[str, tuple[int, ...]] = MATRICES, slack: float = 1.0
) -> None:
    """Assert that both are at the same place after every step: to 10,000·t·eps at step t, times ``slack``.

    Newton–Schulz steps make a small singular value, and its error, 485 times as large. So the gradients do not depend
    on the parameters; else this would grow from step to step.
    """
    start = {name: array.astype(dtype) for name, array in drawn(shapes, 1).items()}
    mean = drawn(shapes, 2)
    for side in (ours, theirs):
        side.start(start)
    for t in range(1, steps + 1):
        gradients = {name: (mean[name] + noise).astype(dtype) for name, noise in drawn(shapes, 3, t).items()}
        for side in (ours, theirs):
            side.step(gradients)
        for name, value in ours.values.items():
            assert value.dtype == dtype
            tolerance = 10_000 * t * slack * np.finfo(dtype).eps
            np.testing.assert_allclose(value, theirs.values[name], rtol=0, atol=tolerance, err_msg=f"{name}, step {t}")
    for name, value in ours.values.items():
        assert not np.array_equal(value, start[name]), f"{name} was never changed"


@contextmanager
def without_bfloat16() -> Iterator[None]:
    """Have the Newton–Schulz steps of PyTorch and of pytorch_optimizer computed in the dtype of the matrix."""
    matrices = pytest.importorskip("pytorch_optimizer.optimizer.utils.matrix")
    function = matrices.zero_power_via_newton_schulz_5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "bfloat16", lambda tensor: tensor.clone())
        patch.setattr(function, "__defaults__", (*function.__defaults__[:-1], None))
        yield
