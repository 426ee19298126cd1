"""The same steps made by two backends, and everything that they leave behind, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import optreg
from optreg.signatures import signature

Bits = dict[str, Any]


def bits(array: Any) -> tuple[Any, ...]:
    """What makes an array, bit for bit. Which of its many NaNs a NaN is, IEEE 754 leaves open."""
    plain = np.array(array, order="C", ndmin=1)
    if plain.dtype.kind in "fc":
        parts = plain[..., None].view(plain.real.dtype)
        parts[np.isnan(parts)] = np.nan
    if plain.dtype == np.longdouble or plain.dtype.kind == "O":  # have bytes that are no part of the value
        return plain.dtype.str, np.shape(array), plain.tolist()
    return plain.dtype.str, np.shape(array), plain.tobytes()


def everything(optimizer: Any) -> Bits:
    """The step count, and the bits of parameters, gradients, and states of the optimizer and its hooks."""
    found: Bits = {"t": optimizer.t}
    for name, parameter in optimizer.target.namedparams():
        found[f"{name} data"] = bits(parameter.data)
        found[f"{name} grad"] = bits(parameter.grad)
    for owner, states in {"optimizer": optimizer._states, **optimizer._hook_states}.items():
        for name, state in states.items():
            found |= {f"{name} {owner} {key}": bits(value) for key, value in state.items()}
    return found


def arrays(optimizer: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Copies of the arrays whose bits :func:`everything` gives."""
    found: dict[str, Any] = {}
    for name, parameter in optimizer.target.namedparams():
        found |= {f"{name} data": parameter.data, f"{name} grad": parameter.grad}
    for owner, states in {"optimizer": optimizer._states, **optimizer._hook_states}.items():
        for name, state in states.items():
            found |= {f"{name} {owner} {key}": value for key, value in state.items()}
    return {name: np.array(value) for name, value in found.items()}


def assert_close(expected: dict[str, Any], found: dict[str, Any], steps: int) -> None:
    """Compare the arrays of two runs of rules with sums, which backends add up in different orders.

    NumPy sums pairwise, in the precision of the array, and norms by the BLAS; kernels sum in float64, one element after
    another. Each step may so differ by a few units in the last place, and the steps' differences add up: the tolerance
    is 16·steps·eps, of the largest number in the array and at least of 1.
    """
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        scale = max(1.0, float(np.nanmax(np.abs(array), initial=0.0, where=np.isfinite(array))))
        tolerance = 16 * steps * float(np.finfo(array.dtype).eps) * scale
        np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance, err_msg=name)


def gradient(data: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """A new gradient in the layout of ``data``, with exact zeros of both signs."""
    values = np.asarray(rng.normal(size=data.shape))
    values[rng.random(data.shape) < 0.1] = 0.0
    values[rng.random(data.shape) < 0.1] = -0.0
    if data.dtype.kind == "c":
        values = values + 1j * rng.normal(size=data.shape)
    new = np.empty_like(data)
    new[...] = values
    return new


def step(optimizer: Any, rng: np.random.Generator) -> None:
    """Make a step with new gradients."""
    for _, parameter in optimizer.target.namedparams():
        if parameter.data is not None:
            parameter.grad = gradient(parameter.data, rng)
    optimizer.update()


def parameters(*dtypes: str) -> dict[str, Any]:
    """Small parameters that kernels can work on, of every dtype given."""
    rng = np.random.default_rng(11)
    tree = {}
    for dtype in dtypes:
        values = {
            "W": rng.normal(size=(5, 7)),
            "b": rng.normal(size=3),
            "scale": np.array(rng.normal()),
            "empty": np.zeros((0, 2)),
            "fortran": np.asfortranarray(rng.normal(size=(4, 3))),
            "cube": rng.normal(size=(2, 3, 4)),
        }
        tree[dtype] = {name: np.array(value, dtype, order="K") for name, value in values.items()}
    return tree


def has(name: str, hyperparameter: str) -> bool:
    """Whether a registered optimizer has a hyperparameter."""
    return hyperparameter in signature(optreg.get(name)).fields


def repeats(optimizer: Any) -> bool:
    """Whether a step with these gradients would be made by kernels alone, without planning."""
    return optimizer._repeats is not None and optimizer._repeats.fit()


def form_of(optimizer: Any) -> Any:
    """What the last step was made with, if that can be used again."""
    return optimizer._repeats and optimizer._repeats._last


def both(run: Callable[[], Any]) -> tuple[Any, Any]:
    """What ``run`` returns with NumPy, and with Numba."""
    with optreg.use_backend("numpy"):
        expected = run()
    with optreg.use_backend("numba"):
        return expected, run()


def assert_same(expected: Bits, found: Bits) -> None:
    """Compare two results, and name what differs."""
    assert found.keys() == expected.keys()
    differing = [key for key, value in expected.items() if found[key] != value]
    assert not differing, f"Numba's bits are not NumPy's in {', '.join(differing)}"
