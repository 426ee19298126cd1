"""What is in a checkpoint file, for those who read it without optreg."""

from __future__ import annotations

import json
import pathlib
import sys
import zipfile

import numpy as np
import pytest
import safetensors.numpy

import optreg

from .runs import FORMATS, new_parameters, run

every_format = pytest.mark.parametrize("form", FORMATS)


def a_run(steps=2):
    optimizer = optreg.create("adam", hooks=[("gradient_noise", {"eta": 0.1, "seed": 0})])
    return run(optimizer.setup(new_parameters()), steps)


def arrays_in(path):
    if path.suffix == ".safetensors":
        return safetensors.numpy.load_file(path)
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


@every_format
def test_numpy_and_safetensors_read_the_arrays_by_name(form, tmp_path):
    optimizer = a_run()
    optreg.save(tmp_path / f"a.{form}", optimizer)
    arrays = arrays_in(tmp_path / f"a.{form}")
    names = {"l1/W", "l1/b", "scale", "empty", "strided", "fortran"}
    slots = {f"{name}/{slot}" for name in names for slot in "mv"}
    assert arrays.keys() == {"t", "epoch", "__optreg__"} | slots
    assert (arrays["t"], arrays["epoch"]) == (2, 0)
    for slot in "mv":
        assert np.array_equal(arrays[f"fortran/{slot}"], optimizer._states["/fortran"][slot])
        assert arrays[f"fortran/{slot}"].dtype == np.float64


@every_format
def test_the_rest_is_a_json_text(form, tmp_path):
    optreg.save(tmp_path / f"a.{form}", a_run())
    text = arrays_in(tmp_path / f"a.{form}")["__optreg__"].tobytes().decode()
    metadata = json.loads(text)
    assert metadata["optimizer"] == "adam"
    assert metadata["hyperparameters"]["lr"] == 0.001
    assert [(hook["name"], hook["hyperparameters"]["eta"]) for hook in metadata["hooks"]] == [("gradient_noise", 0.1)]
    assert metadata["parameters"]["/l1/W"] == "(4, 3) float64"


@every_format
def test_the_same_optimizer_makes_the_same_bytes(form, tmp_path):
    optimizer = a_run()
    optreg.save(tmp_path / f"a.{form}", optimizer)
    optreg.save(tmp_path / f"b.{form}", optimizer)
    optreg.save(tmp_path / f"c.{form}", a_run())
    first, *others = ((tmp_path / f"{name}.{form}").read_bytes() for name in "abc")
    assert others == [first, first]


def test_a_file_does_not_say_when_it_was_written(tmp_path):
    optreg.save(tmp_path / "a.npz", a_run())
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}  # the format's beginning


def test_other_suffixes_are_npz_and_are_left_alone(tmp_path):
    optimizer = a_run()
    for name in ("a", "a.ckpt", "a.npz.1", ".npz"):
        optreg.save(tmp_path / name, optimizer)
        assert zipfile.is_zipfile(tmp_path / name)
        optreg.load(tmp_path / name, optimizer)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "a.ckpt", "a.npz.1", ".npz"}


def test_names_that_numpy_keeps_for_itself_are_names_as_others_are(tmp_path):
    class Naming(optreg.GradientMethod):
        """Chainer's serializers take any name."""

        file, allow_pickle = 1, 2.0

        def serialize(self, serializer):
            super().serialize(serializer)
            self.file = serializer("file", self.file)
            self.allow_pickle = serializer("allow_pickle", self.allow_pickle)

        def rule(self, param, grad):
            pass

    saved = Naming().setup({"W.npy": np.ones(2)})
    saved.file, saved.allow_pickle = 5, 0.5
    optreg.save(tmp_path / "a.npz", saved)
    loaded = Naming().setup({"W.npy": np.ones(2)})
    optreg.load(tmp_path / "a.npz", loaded)
    assert (loaded.file, loaded.allow_pickle) == (5, 0.5)


@every_format
@pytest.mark.parametrize("kind", [str, pathlib.Path, pathlib.PurePosixPath])
def test_a_path_may_be_text_or_a_path(kind, form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    optimizer = a_run()
    optreg.save(kind(f"a.{form}"), optimizer)
    optreg.load(kind(f"a.{form}"), optimizer)
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{form}"]


def test_a_dtype_that_safetensors_does_not_have_is_refused_and_npz_has_it(tmp_path):
    optimizer = optreg.create("adam").setup({"W": np.ones(2, np.longdouble)})
    with pytest.raises(ValueError, match=r"a .safetensors file cannot hold this .*save to an .npz file instead"):
        optreg.save(tmp_path / "a.safetensors", optimizer)
    assert list(tmp_path.iterdir()) == []
    optreg.save(tmp_path / "a.npz", optimizer)
    optreg.load(tmp_path / "a.npz", optimizer)


@pytest.mark.parametrize("function", [optreg.save, optreg.load])
def test_without_safetensors_its_files_say_what_to_install(function, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    (tmp_path / "a.safetensors").write_bytes(b"")
    with pytest.raises(ModuleNotFoundError, match=r"install it with pip install 'optreg\[safetensors\]'"):
        function(tmp_path / "a.safetensors", a_run())
