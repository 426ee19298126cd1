"""NVRTC, CUDA's run-time compiler, which needs neither a GPU nor a driver; and what a cubin says of its kernel."""

from __future__ import annotations

import ctypes
import struct
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs


@cache
def library() -> ctypes.CDLL | None:
    """NVRTC as the packages nvidia-cuda-nvrtc and nvidia-cuda-nvrtc-cu12 install it; None if neither is there."""
    found = sorted(Path(sysconfig.get_paths()["purelib"]).glob("nvidia/*/lib/libnvrtc.so.1[23]"))
    return ctypes.CDLL(str(found[-1])) if found else None


def cubin(source: str, architecture: str, options: tuple[str, ...]) -> bytes:
    """Compile CUDA for an architecture such as sm_80."""
    nvrtc = library()
    assert nvrtc is not None
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None) == 0
    given = [f"--gpu-architecture={architecture}".encode(), *(option.encode() for option in options)]
    failed = nvrtc.nvrtcCompileProgram(program, len(given), (ctypes.c_char_p * len(given))(*given))
    assert not failed, _read(nvrtc, "ProgramLog", program).decode() + source
    found = _read(nvrtc, "CUBIN", program)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return found


def _read(nvrtc: ctypes.CDLL, what: str, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    assert getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
    text = ctypes.create_string_buffer(size.value)
    assert getattr(nvrtc, f"nvrtcGet{what}")(program, text) == 0
    return text.raw


@attrs.frozen
class Resources:
    """What a kernel takes: registers of a thread, and bytes of local memory, where registers are spilled to."""

    registers: int
    stack: int
    least_stack: int


_REGISTERS, _FRAME, _LEAST_STACK = 0x2F, 0x11, 0x12
"""Attributes of the section .nv.info, with a symbol's number and a value each."""


def resources(elf: bytes, kernel: str) -> Resources:
    """Read what a kernel takes from the attributes of its cubin, which is an ELF file."""
    sections = dict(_sections(elf))
    symbols, names = sections[".symtab"], sections[".strtab"]
    place = [_name(names, struct.unpack_from("<I", symbols, at)[0]) for at in range(0, len(symbols), 24)].index(kernel)
    found = {kind: value for kind, symbol, value in _attributes(sections[".nv.info"]) if symbol == place}
    return Resources(found[_REGISTERS], found[_FRAME], found[_LEAST_STACK])


def _sections(elf: bytes) -> Iterator[tuple[str, bytes]]:
    offset, size, count, of_names = (
        struct.unpack_from("<Q", elf, 40)[0],
        *struct.unpack_from("<HHH", elf, 58),
    )
    headers = [struct.unpack_from("<IIQQQQ", elf, offset + size * number) for number in range(count)]
    names = elf[headers[of_names][4] :]
    for name, _, _, _, begin, length in headers:
        yield _name(names, name), elf[begin : begin + length]


def _name(names: bytes, at: int) -> str:
    return names[at : names.index(b"\0", at)].decode()


def _attributes(info: bytes) -> Iterator[tuple[int, int, int]]:
    at = 0
    while at < len(info):
        form, kind, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form == 4:  # a value of ``size`` bytes follows; in the other forms ``size`` is the value itself
            if size == 8:
                yield kind, *struct.unpack_from("<II", info, at)
            at += size
