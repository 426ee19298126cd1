"""Kernels on disk: damaged, out of reach, written by others, filled by two processes at once."""

from __future__ import annotations

import os
import shutil
import stat
from array import array
from pathlib import Path

import pytest

from backends.processes import leftovers, run, start
from optreg.backends.kernel_cache import Compilation, directory, found_directory
from optreg.backends.kernel_compiler import _answer

STEPS = """
one = optimizer()
steps(one, 4)
print(compiled(one), right(one))
"""
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    cache = tmp_path_factory.mktemp("filled") / "kernels"
    assert run(STEPS, cache) == ("True True", "")
    assert leftovers(cache) == []
    return cache


@pytest.fixture
def cache(filled, tmp_path):
    return Path(shutil.copytree(filled, tmp_path / "kernels"))


def test_the_cache_is_made_for_its_user_alone(filled):
    assert stat.S_IMODE(filled.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in filled.iterdir()} == {0o600}


def test_a_second_process_compiles_nothing(cache):
    before = {file.name: file.stat().st_mtime_ns for file in cache.iterdir()}
    assert run(STEPS, cache, OPTREG_COMPILE="never") == ("True True", "")
    assert {file.name: file.stat().st_mtime_ns for file in cache.iterdir()} == before


def test_without_a_cache_and_a_compiler_numpy_does_the_work(tmp_path):
    assert run(STEPS, tmp_path, OPTREG_COMPILE="never") == ("False True", "")
    assert list(tmp_path.iterdir()) == []


def test_damaged_kernels_are_made_again(cache):
    for file in cache.iterdir():
        _cut(file)
    assert run(STEPS, cache, OPTREG_COMPILE="never") == ("False True", ""), "nothing may be compiled"
    assert run(STEPS, cache) == ("True True", "")
    assert leftovers(cache) == []
    assert run(STEPS, cache, OPTREG_COMPILE="never") == ("True True", "")


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """A directory for this process, which is not there yet, and which no other process knows."""
    monkeypatch.setenv("OPTREG_CACHE_DIR", str(tmp_path / "kernels"))
    found_directory.cache_clear()
    yield tmp_path / "kernels"
    found_directory.cache_clear()


# One kernel in this process

SOURCE = """\
def run(frame_, first, last):
    frame = int64_at(frame_)
    for i in range(first, last):
        frame[i] += 1
    return 0
"""


def _check(compilation: Compilation) -> None:
    kernel = compilation.wait()
    assert compilation.failure is None
    assert kernel is not None
    numbers = array("q", [5, 6, 7])
    kernel(numbers.buffer_info()[0], 1, 3)
    assert numbers.tolist() == [5, 7, 8]


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _garbage(file: Path) -> None:
    file.write_bytes(b"no kernel\0" * 300)


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _name(file: Path) -> None:
    digest, _, machine_code = file.read_bytes().split(b"\0", 2)
    file.write_bytes(b"\0".join([digest, b"another_function", machine_code]))


def _exchange(file: Path) -> None:
    other = Compilation(SOURCE.replace("+= 1", "+= 2"))
    other.wait()
    file.write_bytes(other.path.read_bytes())


def _give_away(file: Path) -> None:
    os.chown(file, 12345, -1)


def _open(file: Path) -> None:
    file.chmod(0o666)


needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root")


@pytest.mark.parametrize(
    "damage", [_cut, _empty, _garbage, _flip, _name, _exchange, _open, pytest.param(_give_away, marks=needs_root)]
)
@pytest.mark.usefixtures("chosen")
def test_a_kernel_that_is_damaged_or_may_be_anothers_is_made_again(damage):
    first = Compilation(SOURCE)
    _check(first)
    damage(first.path)
    assert Compilation(SOURCE).advance(start=False) is None
    assert not first.path.exists(), "a damaged file is removed, even where nothing may be compiled"
    _check(Compilation(SOURCE))
    assert Compilation(SOURCE).advance(start=False) is not None


@pytest.mark.usefixtures("chosen")
def test_a_directory_in_the_place_of_a_kernel_is_a_failure_that_says_so():
    compilation = Compilation(SOURCE)
    compilation.path.mkdir()
    assert compilation.wait() is None
    assert compilation.failure is not None
    assert compilation.failure.startswith(f"rules cannot be compiled: the kernel in {compilation.path} is damaged")


def test_a_text_that_cannot_be_compiled_is_a_failure_that_says_why(chosen):
    compilation = Compilation(SOURCE.replace("int64_at", "no_such_function"))
    assert compilation.wait() is None
    assert compilation.failure is not None
    assert compilation.failure.startswith("the compiler failed: TypingError")
    assert leftovers(chosen) == []
    _check(Compilation(SOURCE))


def test_who_finds_a_kernel_finds_nothing_else_beside_it(chosen, monkeypatch):
    """Its text is gone by then, however slow the compiler's process is afterwards."""
    beside = []
    replace = os.replace

    def look_and_replace(source, target):
        replace(source, target)
        beside.append(leftovers(chosen))

    monkeypatch.setattr(os, "replace", look_and_replace)
    chosen.mkdir()
    for name, text in (("right", SOURCE), ("wrong", SOURCE.replace("int64_at", "no_such_function"))):
        asked = chosen / "asked.txt"
        asked.write_text(text)
        _answer(asked, chosen / f"{name}.kernel")
    assert beside == [[], ["wrong.failure"]]


# The directory


def _is_a_file(path: Path) -> None:
    path.touch()


def _is_open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def _is_open_to_the_group(path: Path) -> None:
    path.mkdir()
    path.chmod(0o770)


def _belongs_to_another(path: Path) -> None:
    path.mkdir()
    os.chown(path, 12345, -1)


def _cannot_be_written(path: Path) -> None:
    path.mkdir()
    path.chmod(0o500)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (_is_a_file, "File exists"),
        (_is_open_to_all, "others may write to it"),
        (_is_open_to_the_group, "others may write to it"),
        pytest.param(_belongs_to_another, "it belongs to another user", marks=needs_root),
        pytest.param(
            _cannot_be_written, "Permission denied", marks=pytest.mark.skipif(IS_ROOT, reason="root may write anywhere")
        ),
    ],
)
def test_a_directory_that_cannot_be_trusted_or_used_is_not_used(chosen, made, reason):
    made(chosen)
    with pytest.warns(RuntimeWarning, match=reason) as warned:
        own = directory()
    assert len(warned) == 1
    assert "set OPTREG_CACHE_DIR to a directory that only you can write to" in str(warned[0].message)
    assert own != chosen
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert directory() == own, "and nothing is said a second time"


def test_a_process_with_kernels_of_its_own_leaves_nothing_behind(tmp_path):
    cache, temporary = tmp_path / "kernels", tmp_path / "temporary"
    temporary.mkdir()
    cache.touch()
    out, err = run(STEPS, cache, TMPDIR=str(temporary))
    assert out == "True True"
    assert err.count("Warning") == 1
    assert list(temporary.iterdir()) == []


def test_a_user_without_a_home_has_kernels_for_the_process(monkeypatch):
    def home(cls: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")  # as it does for a user whom the system does not know

    monkeypatch.delenv("OPTREG_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", classmethod(home))
    found_directory.cache_clear()
    with pytest.warns(RuntimeWarning, match="Could not determine home directory"):
        assert directory().is_dir()
    found_directory.cache_clear()


def test_a_cache_that_goes_away_leaves_the_work_to_numpy(tmp_path):
    program = """
    import shutil
    one = optimizer()
    steps(one, 2)
    shutil.rmtree(os.environ["OPTREG_CACHE_DIR"])
    steps(one, 2)
    other = optimizer(name="adam")
    steps(other, 3)
    print(compiled(one), right(one), compiled(other), right(other, name="adam"))
    """
    out, err = run(program, tmp_path / "kernels")
    assert out == "True True False True"
    assert err.count("Warning") == 1
    assert "rules cannot be compiled" in err


def test_processes_that_fill_the_cache_at_once_are_all_right(tmp_path):
    cache = tmp_path / "kernels"
    processes = [start(STEPS, cache) for _ in range(3)]
    for process in processes:
        assert process.communicate(timeout=120) == ("True True\n", "")
    assert leftovers(cache) == []
    assert run(STEPS, cache, OPTREG_COMPILE="never") == ("True True", "")


def test_a_cache_with_a_space_and_letters_of_other_languages_in_its_path(tmp_path):
    assert run(STEPS, tmp_path / "ein Käfig für Kerne") == ("True True", "")
