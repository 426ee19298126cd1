"""A file that is damaged gives one error, and the optimizer is as it was."""

from __future__ import annotations

import functools
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import optreg

from .runs import FORMATS, contents, new_parameters, run

every_format = pytest.mark.parametrize("form", FORMATS)


def make(**changed):
    hooks = [("gradient_noise", {"eta": 0.1, "seed": 0}), ("weight_decay", {"rate": 0.1}), "skip_nonfinite"]
    return optreg.create("adamw", hooks=hooks, options={"*/b": {"lr": 0.1}}, **changed).setup(new_parameters("float32"))


@functools.cache
def checkpoint(form):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{form}")
        optreg.save(path, run(make(), 5))
        return path.read_bytes()


@functools.cache
def other():
    """An optimizer that differs from the one in the checkpoint in whatever can be loaded."""
    optimizer = run(make(lr=0.25, beta1=0.5), 2)
    optimizer.options = {"*/W": {"lr": 0.2}}
    return optimizer, contents(optimizer)


def assert_refused(content, form, *, optimizer=None):
    optimizer, before = other() if optimizer is None else (optimizer, contents(optimizer))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{form}")
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"(?s)cut short, or no checkpoint .*nothing was loaded") as raised:
            optreg.load(path, optimizer)
    assert "\n" not in str(raised.value)
    assert contents(optimizer) == before


@settings(max_examples=60)
@given(data=st.data(), form=st.sampled_from(FORMATS))
def test_a_file_cut_short_at_any_length_is_refused(data, form):
    whole = checkpoint(form)
    assert_refused(whole[: data.draw(st.integers(0, len(whole) - 1))], form)


@settings(max_examples=200)
@given(data=st.data(), form=st.sampled_from(FORMATS), mask=st.integers(1, 255))
def test_a_byte_that_is_flipped_is_found_or_means_nothing(data, form, mask):
    damaged = bytearray(checkpoint(form))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= mask
    optimizer = make(lr=0.25)
    before = contents(optimizer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{form}")
        path.write_bytes(damaged)
        try:
            optreg.load(path, optimizer)
        except optreg.errors.CheckpointError:
            assert contents(optimizer) == before
        else:  # of a zip archive's bytes, a few say nothing of its contents: dates, say
            path.write_bytes(checkpoint(form))
            undamaged = make(lr=0.25)
            optreg.load(path, undamaged)
            assert contents(optimizer) == contents(undamaged)


@settings(max_examples=60)
@given(data=st.data(), form=st.sampled_from(FORMATS), filling=st.sampled_from([b"\0", b"\xff", b"PK"]))
def test_a_stretch_of_other_bytes_is_refused(data, form, filling):
    whole = checkpoint(form)
    start = data.draw(st.integers(0, len(whole) - 600))
    assert_refused(whole[:start] + filling * (500 // len(filling)) + whole[start + 500 :], form)


@every_format
@settings(max_examples=30)
@given(content=st.binary(max_size=200))
def test_any_other_bytes_are_refused(form, content):
    assert_refused(content, form)


def npy():
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


@every_format
@pytest.mark.parametrize(
    "content", [b"", b"\n", b"a text\n" * 100, b"{}", npy()], ids=["empty", "line", "text", "json", "npy"]
)
def test_other_files_are_refused(form, content):
    assert_refused(content, form)


def test_a_checkpoint_under_the_suffix_of_the_other_format_is_refused():
    assert_refused(checkpoint("npz"), "safetensors")
    assert_refused(checkpoint("safetensors"), "npz")


@every_format
def test_a_file_that_is_missing_is_a_file_not_found(form, tmp_path):
    optimizer, before = other()
    with pytest.raises(FileNotFoundError):
        optreg.load(tmp_path / f"a.{form}", optimizer)
    assert contents(optimizer) == before


@every_format
def test_a_directory_is_no_checkpoint(form, tmp_path):
    optimizer, before = other()
    (tmp_path / f"a.{form}").mkdir()
    with pytest.raises(ValueError, match="no checkpoint"):
        optreg.load(tmp_path / f"a.{form}", optimizer)
    assert contents(optimizer) == before


def as_npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


class Pickled:
    """Whoever unpickles this makes a file."""

    def __reduce__(self):
        return Path.touch, (Path("unpickled"),)


def test_pickled_objects_are_refused_without_being_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_refused(as_npz(t=np.array(1), epoch=np.array(0), m=np.array([Pickled()], dtype=object)), "npz")
    assert_refused(as_npz(__optreg__=np.array(Pickled(), dtype=object)), "npz")
    assert list(tmp_path.iterdir()) == []


def test_an_entry_that_is_no_array_is_refused():
    file = io.BytesIO(checkpoint("npz"))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("readme.txt", "I am no array")
    assert_refused(file.getvalue(), "npz")


def test_an_array_whose_header_hides_half_of_it_is_refused():
    """The reader would see as many numbers of half the size, before the bytes that the checksum is of have ended."""
    large = as_npz(t=np.array(1), epoch=np.array(0), **{"W/m": np.ones(5000), "W/v": np.ones(5000)})
    narrowed = large.replace(b"'descr': '<f8'", b"'descr': '<f4'")
    assert narrowed != large
    optimizer = run(optreg.create("adam").setup({"W": np.ones(5000)}), 1)
    assert_refused(narrowed, "npz", optimizer=optimizer)


def test_an_array_of_an_absurd_size_is_refused():
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": (10**15,), "fortran_order": False, "descr": "<f8"})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("t.npy", header.getvalue())
    assert_refused(file.getvalue(), "npz")


def test_a_safetensors_file_whose_numbers_were_changed_is_refused():
    """The format has no checksum of its own."""
    arrays = safetensors.numpy.load(checkpoint("safetensors"))
    mean = arrays["l1/W/m"].tobytes()
    whole = checkpoint("safetensors")
    assert whole.count(mean) == 1
    assert_refused(whole.replace(mean, mean[:-1] + bytes([mean[-1] ^ 1])), "safetensors")


@pytest.mark.parametrize("text", [None, {"optreg": "{}"}, {"optreg": "[]"}, {"optreg": "no JSON"}])
def test_a_safetensors_file_without_a_checksum_is_refused(text):
    arrays = safetensors.numpy.load(checkpoint("safetensors"))
    assert_refused(safetensors.numpy.save(arrays, text), "safetensors")
