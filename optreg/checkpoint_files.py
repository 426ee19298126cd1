"""Checkpoint files: arrays by name, in ``.npz`` without pickle or in ``.safetensors``; written atomically."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np

from optreg.arrays import real_elements
from optreg.errors import CheckpointError

Arrays = Mapping[str, "np.ndarray[Any, Any]"]


def write(path: str | os.PathLike[str], arrays: Arrays) -> None:
    """Write arrays to a temporary file beside ``path``, sync it, and rename it.

    Whatever goes wrong, a file that was there before is still there, whole, and no other. A symbolic link is
    followed, as ``open()`` does; the permissions of a file that is replaced are kept.

    Raises:
        CheckpointError: an array of a dtype that the format does not have.
        OSError: no such directory, no permission, no space.
    """
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no directory {path.parent} to save {path.name} in; make it first")
    writer = _write_safetensors if _is_safetensors(path) else _write_npz
    temporary = path.with_name(f".optreg-{uuid4().hex}.part")
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    try:
        with open(
            temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o666 if mode is None else mode)
        ) as file:
            writer(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    with suppress(OSError):  # not every system lets a directory be opened; the file itself is written by now
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Read the arrays of a checkpoint, whole.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        CheckpointError: it is cut short, damaged, or no checkpoint.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd headers: what they lead to is found out here
            return _read_safetensors(path) if _is_safetensors(path) else _read_npz(path)
    except (FileNotFoundError, PermissionError, ModuleNotFoundError):
        raise
    except Exception as error:  # there is no end to what damaged bytes make a reader raise
        raise CheckpointError(
            f"{path} is damaged, cut short, or no checkpoint ({error or type(error).__name__}); nothing was loaded"
        ) from error


def _is_safetensors(path: Path) -> bool:
    return path.suffix.lower() == ".safetensors"


def _write_npz(file: IO[bytes], arrays: Arrays) -> None:
    # Not numpy.savez: it has names of its own ("file"), and puts the time into the file.
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _read_npz(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as entry:
                arrays[name.removesuffix(".npy")] = np.lib.format.read_array(entry, allow_pickle=False)
                # The checksum is compared at the end of an entry, which a damaged header may hide.
                if entry.read(1):
                    raise ValueError(f"{name} holds more than its array")
    return arrays


def _write_safetensors(file: IO[bytes], arrays: Arrays) -> None:
    safetensors = _safetensors()
    arrays = {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in arrays.items()}
    complex_names = [name for name, array in arrays.items() if array.dtype.kind == "c"]
    text = json.dumps({"complex": complex_names, "crc32": _checksum(arrays)})
    try:
        file.write(safetensors.numpy.save({name: _contiguous(each) for name, each in arrays.items()}, {"optreg": text}))
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            f"a .safetensors file cannot hold this ({error}); save to an .npz file instead"
        ) from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    with _safetensors().safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        text = json.loads((file.metadata() or {}).get("optreg", "{}"))
    for name in text.get("complex", []):
        real = arrays[name]
        arrays[name] = real.view(np.result_type(real.dtype, np.complex64))[..., 0]
    if text.get("crc32") != _checksum(arrays):
        raise ValueError("its checksum is missing or wrong")
    return arrays


def _contiguous(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    real = real_elements(array)  # pairs, as the format has no complex numbers of 128 bits
    return np.ascontiguousarray(real).reshape(real.shape)


def _checksum(arrays: Arrays) -> int:
    """Of everything that the arrays are: a safetensors file has no checksum of its own."""
    crc = 0
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(f"{name} {array.dtype.name} {array.shape} ".encode(), crc)
        crc = zlib.crc32(_contiguous(array).reshape(-1).view(np.uint8).data, crc)
    return crc


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a .safetensors file needs the package safetensors; install it with pip install 'optreg[safetensors]', "
            "or use an .npz file",
            name="safetensors",
        ) from error
    return safetensors
