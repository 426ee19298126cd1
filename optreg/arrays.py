"""What optreg needs to know of an array: its module, its device, its real elements. Never imports CuPy."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A ``numpy.ndarray`` or a ``cupy.ndarray``."""

COMPUTED_IN = {"float16": np.dtype(np.float32)}
"""Dtypes that are stored but not computed in, by name, with the wider ones that they are computed in."""


def imported_cupy() -> ModuleType | None:
    """CuPy, if this process has imported it: no array of it can exist otherwise."""
    return sys.modules.get("cupy")


def is_array(value: object) -> bool:
    """Whether ``value`` is an array that can be changed in place: of NumPy, or of CuPy."""
    cupy = imported_cupy()
    return isinstance(value, np.ndarray) or (cupy is not None and isinstance(value, cupy.ndarray))


def array_module(array: Array) -> Any:
    """The module that the array belongs to: ``numpy`` or ``cupy``."""
    cupy = imported_cupy()
    return cupy if cupy is not None and isinstance(array, cupy.ndarray) else np


def is_number_on_device(value: object) -> bool:
    """Whether a value is a float64 on a device: there it is an array without axes."""
    cupy = imported_cupy()
    return cupy is not None and isinstance(value, cupy.ndarray) and value.ndim == 0 and value.dtype == np.float64


def common_device(arrays: Iterable[Array]) -> int | None:
    """The number of the device on which all of the arrays are; None if one of them is on the host, or there is none."""
    cupy = imported_cupy()
    if cupy is None:
        return None
    devices = {array.data.device_id if isinstance(array, cupy.ndarray) else None for array in arrays}
    return devices.pop() if len(devices) == 1 else None


def is_capturing(device: int) -> bool:
    """Whether what a device is asked for becomes part of a CUDA graph now, instead of being done."""
    cupy: Any = imported_cupy()
    with cupy.cuda.Device(device):
        return bool(cupy.cuda.get_current_stream().is_capturing())


def are_captured(arrays: Iterable[Array]) -> bool:
    """Whether one of the devices of arrays is capturing."""
    cupy = imported_cupy()
    if cupy is None:
        return False
    return any(map(is_capturing, {array.data.device_id for array in arrays if isinstance(array, cupy.ndarray)}))


def device_of(array: Array) -> AbstractContextManager[Any]:
    """A context in which new arrays of the same module are made on the array's device."""
    if isinstance(array, np.ndarray):
        return nullcontext()
    device: AbstractContextManager[Any] = array.device
    return device


def zeros_like(array: Array) -> Array:
    """Zeros of the array's shape, dtype, memory order and device, as a plain array."""
    return _zeros(array, array.dtype)


def zero_state(array: Array) -> Array:
    """Zeros as :func:`zeros_like` makes them, in the dtype of the arithmetic on the array."""
    return _zeros(array, compute_dtype(array.dtype))


def _zeros(array: Array, dtype: np.dtype[Any]) -> Array:
    with device_of(array):
        if isinstance(array, np.ndarray):
            return np.zeros_like(array, dtype, subok=False)
        return array_module(array).zeros_like(array, dtype)


@cache
def compute_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of a parameter's states and of the arithmetic on it: its own, but float32 for float16.

    In float16, an eps of 1e-8 is zero, and the square of 1e-4 as well.
    """
    return COMPUTED_IN.get(dtype.name, dtype)


def new_number(array: Array, value: float) -> Array:
    """One number for a whole tensor, an array without axes: of the real dtype of the tensor's arithmetic, beside it."""
    with device_of(array):
        return array_module(array).full((), value, compute_dtype(array.real.dtype))


def to_host(array: Array) -> np.ndarray[Any, Any]:
    """The array as a NumPy array; one on a device is copied, after what its current stream there has to do."""
    if isinstance(array, np.ndarray):
        return array
    with device_of(array):
        copied: np.ndarray[Any, Any] = array.get()
        return copied


def moved_beside(value: Array, like: Array) -> Array:
    """``value`` on the device of ``like``: itself where it is there already, a copy otherwise."""
    if isinstance(like, np.ndarray):
        return to_host(value)
    with like.device:
        if isinstance(value, np.ndarray):
            return array_module(like).asarray(value)
        return value if value.device == like.device else value.copy()


def real_elements(array: Array) -> Array:
    """The array itself, or, for complex numbers, a view with a last axis of real and imaginary parts."""
    if array.dtype.kind != "c":
        return array
    # The new axis of length one lets arrays that are 0-d or strided be viewed, too.
    return array[..., None].view(array.real.dtype)
