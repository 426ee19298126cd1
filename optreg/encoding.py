"""Values as JSON and back, exactly, without pickle: numbers, texts, collections, arrays, schedules."""

from __future__ import annotations

import io
import json
import reprlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from optreg.arrays import is_array, to_host
from optreg.errors import CheckpointError, OptregError
from optreg.schedules import Schedule, schedule_from_config

_COMPLEX, _TUPLE, _PAIRS, _ARRAY, _SCALAR, _SCHEDULE = (
    f"__{kind}__" for kind in ("complex", "tuple", "pairs", "array", "scalar", "schedule")
)


def encoded(value: Any, what: str) -> Any:
    """The value as what JSON can hold; :func:`decoded` gives a copy of it, of the same types.

    Raises:
        CheckpointError: it cannot be, and ``what`` names it.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    return _ENCODERS.get(type(value), _encoded_object)(value, what)


def _encoded_dict(value: dict[Any, Any], what: str) -> Any:
    if all(isinstance(key, str) for key in value) and not _DECODERS.keys() & value.keys():
        return {key: encoded(each, what) for key, each in value.items()}
    return {_PAIRS: [[encoded(key, what), encoded(each, what)] for key, each in value.items()]}


def _encoded_object(value: Any, what: str) -> Any:
    if isinstance(value, np.generic) or is_array(value):
        array = to_host(value) if is_array(value) else np.asarray(value)
        if not array.dtype.hasobject:
            return {_ARRAY if is_array(value) else _SCALAR: _array_as_text(array)}
    if isinstance(value, Schedule):
        config = config_of_schedule(value)
        if config is not None:
            return {_SCHEDULE: config}
    raise CheckpointError(
        f"{what} is or holds {reprlib.repr(value)}, which cannot be saved without pickle; "
        f"keep numbers, texts, arrays, and lists, tuples or dicts of these"
    )


def decoded(code: Any) -> Any:
    """The value that :func:`encoded` was given."""
    if isinstance(code, list):
        return [decoded(each) for each in code]
    if isinstance(code, Mapping):
        if len(code) == 1:
            ((kind, content),) = code.items()
            if kind in _DECODERS:
                return _DECODERS[kind](content)
        return {key: decoded(each) for key, each in code.items()}
    return code


def config_of_schedule(schedule: Schedule) -> dict[str, Any] | None:
    """The schedule as a plain dict from which an equal one can be made; None if there is no such dict."""
    try:
        config: dict[str, Any] = json.loads(json.dumps(schedule.config()))
        return config if schedule_from_config(config) == schedule else None
    except (OptregError, TypeError, ValueError):
        return None


def _array_as_text(array: np.ndarray[Any, Any]) -> str:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(3, 0), allow_pickle=False)
    return b64encode(file.getvalue()).decode("ascii")


def _array_from_text(text: str) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = np.lib.format.read_array(
        io.BytesIO(b64decode(text, validate=True)), allow_pickle=False
    )
    return array


_ENCODERS: dict[type, Callable[[Any, str], Any]] = {
    complex: lambda value, _: {_COMPLEX: [value.real, value.imag]},
    list: lambda items, what: [encoded(each, what) for each in items],
    tuple: lambda items, what: {_TUPLE: [encoded(each, what) for each in items]},
    dict: _encoded_dict,
}
_DECODERS: dict[str, Callable[[Any], Any]] = {
    _COMPLEX: lambda parts: complex(*parts),
    _TUPLE: lambda items: tuple(map(decoded, items)),
    _PAIRS: lambda pairs: {decoded(key): decoded(value) for key, value in pairs},
    _ARRAY: _array_from_text,
    _SCALAR: lambda text: _array_from_text(text)[()],
    _SCHEDULE: schedule_from_config,
}
