"""A checkpoint is written whole or not at all."""

from __future__ import annotations

import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import threading
import zipfile

import numpy as np
import pytest

import optreg

from .runs import FORMATS, copied, new_parameters, run

every_format = pytest.mark.parametrize("form", FORMATS)


def a_run(steps=2):
    optimizer = optreg.create("adam", hooks=[("gradient_noise", {"eta": 0.1, "seed": 0})])
    return run(optimizer.setup(new_parameters()), steps)


def test_a_state_that_cannot_be_saved_leaves_the_old_file(tmp_path):
    optimizer = a_run()
    optreg.save(tmp_path / "a.npz", optimizer)
    before = (tmp_path / "a.npz").read_bytes()
    optimizer._states["/l1/W"]["m"] = object()
    with pytest.raises(ValueError, match="l1/W/m"):
        optreg.save(tmp_path / "a.npz", optimizer)
    assert (tmp_path / "a.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


FULL_DISK = """
import resource, signal, sys
import numpy as np, optreg
optimizer = optreg.create("adam").setup({"W": np.ones(100_000)})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    optreg.save(sys.argv[1], optimizer)
except OSError as error:
    print("refused:", error.strerror)
"""


@every_format
@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of file sizes")
def test_a_disk_that_is_full_leaves_the_old_file(form, tmp_path):
    path = tmp_path / f"a.{form}"
    path.write_bytes(b"the old file")
    made = subprocess.run([sys.executable, "-c", FULL_DISK, path], check=True, capture_output=True, text=True)
    assert made.stdout == "refused: File too large\n"
    assert path.read_bytes() == b"the old file"
    assert list(tmp_path.iterdir()) == [path]


class Interrupting(np.ndarray):
    """An array during whose writing somebody presses Ctrl-C."""

    @property
    def flags(self):
        raise KeyboardInterrupt


def test_an_interruption_leaves_the_old_file(tmp_path):
    optimizer = a_run()
    path = tmp_path / "a.npz"
    optreg.save(path, optimizer)
    before = path.read_bytes()
    optimizer._states["/l1/b"]["v"] = np.ones(3).view(Interrupting)
    with pytest.raises(KeyboardInterrupt):
        optreg.save(path, optimizer)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@every_format
def test_a_directory_that_does_not_exist_is_named(form, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no directory .*missing to save a\..* in; make it first"):
        optreg.save(tmp_path / "missing" / f"a.{form}", a_run())
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_place_of_the_file_stays(tmp_path):
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(IsADirectoryError):
        optreg.save(tmp_path / "a.npz", a_run())
    assert list(tmp_path.iterdir()) == [tmp_path / "a.npz"]


READ_ONLY = """
import os, pathlib, sys
import numpy as np, optreg
path = pathlib.Path(sys.argv[1])
optimizer = optreg.create("adam").setup({"W": np.ones(3)})
optreg.save(path, optimizer)
before = path.read_bytes()
optimizer.apply_gradients({"W": np.ones(3)})
path.parent.chmod(0o555)
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write anywhere
try:
    optreg.save(path, optimizer)
except PermissionError as error:
    print(error.strerror, path.read_bytes() == before, len(list(path.parent.iterdir())))
"""


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_directory_that_is_read_only_leaves_the_old_file():
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder).chmod(0o755)
        path = pathlib.Path(folder, "a.npz")
        made = subprocess.run([sys.executable, "-c", READ_ONLY, path], check=True, capture_output=True, text=True)
        path.parent.chmod(0o755)
        assert made.stdout == "Permission denied True 1\n"


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    optreg.save(tmp_path / "a.npz", a_run())
    assert mode_of(tmp_path / "a.npz") == mode_of(tmp_path / "usual")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_keeps_its_permissions(mode, tmp_path):
    (tmp_path / "a.npz").touch()
    (tmp_path / "a.npz").chmod(mode)
    optreg.save(tmp_path / "a.npz", a_run())
    assert mode_of(tmp_path / "a.npz") == mode


@pytest.mark.parametrize("target", ["run 7/a.npz", "run 7/new.npz"])
def test_a_symbolic_link_is_followed(target, tmp_path):
    (tmp_path / "run 7").mkdir()
    (tmp_path / "run 7" / "a.npz").write_bytes(b"the old file")
    (tmp_path / "latest.npz").symlink_to(target)
    optimizer = a_run()
    optreg.save(tmp_path / "latest.npz", optimizer)
    assert (tmp_path / "latest.npz").is_symlink()
    assert zipfile.is_zipfile(tmp_path / target)
    optreg.load(tmp_path / "latest.npz", optimizer)
    assert {path.name for path in tmp_path.iterdir()} == {"latest.npz", "run 7"}


@every_format
def test_savers_at_the_same_time_leave_one_whole_file(form, tmp_path):
    path = tmp_path / f"a.{form}"
    optimizers = [a_run(steps) for steps in range(4)]
    start = threading.Barrier(len(optimizers))

    def save_often(optimizer):
        start.wait()
        for _ in range(10):
            optreg.save(path, optimizer)
            read = optreg.create("adam", hooks=[("gradient_noise", {"eta": 0.1, "seed": 0})])
            optreg.load(path, read.setup(copied(optimizer.target.arrays)))

    failures = []

    def guarded(optimizer):
        try:
            save_often(optimizer)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=[optimizer]) for optimizer in optimizers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(tmp_path.iterdir()) == [path]
    loaded = optreg.create("adam", hooks=[("gradient_noise", {"eta": 0.1, "seed": 0})]).setup(new_parameters())
    optreg.load(path, loaded)
    assert loaded.t in range(4)
