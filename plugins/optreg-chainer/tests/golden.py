"""The numbers that Chainer 1.24.0 made, and runs of optreg on the same problem."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent / "data"

_RECORD = json.loads((DATA / "chainer_1.24.0.json").read_text())
CASES: list[dict[str, Any]] = _RECORD["cases"]
SHAPES = {path: tuple(shape) for path, shape in _RECORD["flat_order"]}
STEPS = _RECORD["steps"]

NUMBERS = dict(np.load(DATA / "chainer_1.24.0.npz"))
PROBLEM = dict(np.load(DATA / "problem.npz"))


def divided(flat: Any) -> dict[str, Any]:
    """The 42 numbers as the four arrays that they stand for, by path."""
    ends = np.cumsum([int(np.prod(shape)) for shape in SHAPES.values()])
    parts = np.split(flat, ends[:-1])
    return {path: part.reshape(shape) for (path, shape), part in zip(SHAPES.items(), parts, strict=True)}


def nested(flat: Any) -> dict[str, Any]:
    """The same as parameters: nested, and in memory of their own."""
    arrays = {path: array.copy() for path, array in divided(flat).items()}
    return {"s": arrays["/s"], "l1": {"W": arrays["/l1/W"], "b": arrays["/l1/b"]}, "l2": {"W": arrays["/l2/W"]}}


def flat(optimizer: Any) -> Any:
    """The parameters of an optimizer as one row."""
    return np.concatenate([np.ravel(optimizer.target[path].data) for path in SHAPES])


def gradients_of(mode: str, dtype: str) -> Callable[[int, Any], Any]:
    """The gradients of a step, at the parameters as they are."""
    if mode == "open":
        return lambda step, _: PROBLEM["grads"][step].astype(dtype)
    curvature, target = PROBLEM["c"].astype(dtype), PROBLEM["target"].astype(dtype)
    return lambda _, parameters: curvature * (parameters - target)


def trajectory(optimizer: Any, gradients: Callable[[int, Any], Any], start: Any, steps: int = STEPS) -> Any:
    """Set the optimizer up at ``start`` and run it; every row is what the parameters were after a step."""
    optimizer.setup(nested(start))
    return continued(optimizer, gradients, steps)


def continued(optimizer: Any, gradients: Callable[[int, Any], Any], steps: int) -> Any:
    """Run an optimizer that is set up."""
    rows = [flat(optimizer)]
    for _ in range(steps):
        optimizer.apply_gradients(divided(gradients(optimizer.t, rows[-1])))
        rows.append(flat(optimizer))
    return np.stack(rows)
