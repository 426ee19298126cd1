"""Arrays that are not NumPy's, and do as CuPy's: they answer to NumPy's protocols, and never convert themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class DeviceArray(NDArrayOperatorsMixin):
    """An array on a device, as far as a rule can tell."""

    def __init__(self, host: np.ndarray) -> None:
        self.host = host

    shape = property(lambda self: self.host.shape)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    dtype = property(lambda self: self.host.dtype)
    T = property(lambda self: DeviceArray(self.host.T))
    real = property(lambda self: DeviceArray(self.host.real))

    def __len__(self) -> int:
        return len(self.host)

    def __bool__(self) -> bool:
        return bool(self.host)

    def __int__(self) -> int:
        return int(self.host)

    def conj(self) -> DeviceArray:
        return DeviceArray(self.host.conj())

    def copy(self) -> DeviceArray:
        return DeviceArray(self.host.copy())

    def reshape(self, *shape: Any) -> DeviceArray:
        return DeviceArray(self.host.reshape(*shape))

    def __getitem__(self, key: Any) -> DeviceArray:
        return DeviceArray(self.host[_on_host(key if isinstance(key, tuple) or key is Ellipsis else (key, ...))])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.host[key] = _on_host(value)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("an array on a device does not become NumPy's by itself")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        outputs = kwargs.get("out", ())
        assert not any(type(each) is np.ndarray for each in (*inputs, *outputs)), "an array on the host among others"
        found = getattr(ufunc, method)(*_on_host(inputs), **kwargs | ({"out": _on_host(outputs)} if outputs else {}))
        return outputs[0] if outputs else DeviceArray(np.asarray(found))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        found = function(*_on_host(args), **{key: _on_host(value) for key, value in kwargs.items()})
        if isinstance(found, tuple) and function is not np.shape:
            return tuple(map(DeviceArray, found))
        return found if function in (np.shape, np.ndim, np.size) else DeviceArray(np.asarray(found))


def _on_host(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(map(_on_host, value))
    return value.host if isinstance(value, DeviceArray) else value
