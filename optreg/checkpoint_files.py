"""Checkpoint files: arrays and texts by name, in ``.npz`` without pickle or in ``.safetensors``; written atomically."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from optreg.errors import CheckpointError

METADATA = "__optreg__"
"""The name of the text that holds what is no array: JSON, in UTF-8."""

Arrays = Mapping[str, "np.ndarray[Any, Any]"]


def write(path: str | os.PathLike[str], arrays: Arrays, metadata: Mapping[str, Any]) -> None:
    """Write arrays and metadata to a temporary file beside ``path``, sync it, and rename it.

    Whatever goes wrong, a file that was there before is still there, whole.
    """
    path = Path(path)
    text = json.dumps(metadata)
    writer = _write_safetensors if path.suffix == ".safetensors" else _write_npz
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            writer(file, arrays, text)
            file.flush()
            os.fsync(file.fileno())
        _keep_mode(temporary, path)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _keep_mode(temporary: str, path: Path) -> None:
    """Give the file the permissions of the one it replaces, or the usual ones; a temporary file's are private."""
    if path.exists():
        mode = path.stat().st_mode & 0o777
    else:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    os.chmod(temporary, mode)


def _sync_directory(directory: Path) -> None:
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write_npz(file: IO[bytes], arrays: Arrays, text: str) -> None:
    np.savez(file, **{METADATA: np.frombuffer(text.encode(), np.uint8)}, **arrays)  # type: ignore[arg-type]


def _write_safetensors(file: IO[bytes], arrays: Arrays, text: str) -> None:
    from safetensors.numpy import save

    stored = {
        name: np.ascontiguousarray(_as_real(array)).reshape(_as_real(array).shape) for name, array in arrays.items()
    }
    complex_names = [name for name, array in arrays.items() if array.dtype.kind == "c"]
    file.write(save(stored, {METADATA: text, "complex": json.dumps(complex_names)}))


def _as_real(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array[..., None].view(array.real.dtype) if array.dtype.kind == "c" else array


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any] | None]:
    """Read the arrays and the metadata of a checkpoint, whole; the metadata are None if it was not optreg's.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is cut short, damaged, or no checkpoint.
    """
    path = Path(path)
    try:
        return _read_safetensors(path) if path.suffix == ".safetensors" else _read_npz(path)
    except (FileNotFoundError, ModuleNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        NotImplementedError,
    ) as error:
        raise CheckpointError(
            f"{path} is damaged, cut short, or no checkpoint ({error}); nothing was loaded"
        ) from error


def _read_npz(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any] | None]:
    with np.load(path, allow_pickle=False) as file:
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("a single array, not an .npz file")
        arrays = {name: file[name] for name in file.files}
    text = arrays.pop(METADATA, None)
    return arrays, None if text is None else json.loads(text.tobytes().decode())


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any] | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            texts = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    for name in json.loads(texts.get("complex", "[]")):
        real = arrays[name]
        arrays[name] = real.view(np.result_type(real.dtype, np.complex64))[..., 0]
    return arrays, json.loads(texts[METADATA]) if METADATA in texts else None
