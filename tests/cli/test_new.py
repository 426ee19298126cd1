"""``optreg new`` writes a package that works at once. Its wheel and its tests: ``tox -e new``."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

import optreg
from cli.in_process import run

_LEFT_BEHIND = re.compile(r"__pycache__|\.(pytest_cache|tox|venv)|^(build|dist)/")
EXAMPLE = Path(__file__).parents[2] / "plugins" / "optreg-example"


def files_of(directory: Path) -> dict[str, str]:
    """Every file with its text; not what tools leave behind that were run there."""
    found = {path.relative_to(directory): path for path in directory.rglob("*") if path.is_file()}
    ours = {name: path for name, path in found.items() if not _LEFT_BEHIND.search(str(name))}
    return {str(name): path.read_text() for name, path in ours.items()}


def test_a_package_is_written_with_what_to_do_next(site, tmp_path):
    result = run("new", "acme-optim", "--directory", str(tmp_path))
    assert result.exit_code == 0, result.output
    written = files_of(tmp_path / "acme-optim")
    assert written.keys() == {
        "pyproject.toml",
        "tox.ini",
        "README.md",
        *(f"src/acme_optim/{name}" for name in ("__init__.py", "declarations.py", "addsign.py", "sparsify.py")),
        "src/acme_optim/py.typed",
        "tests/test_suite.py",
    }
    assert not any(mark in text for text in written.values() for mark in ("@namespace@", "@package@", "@distribution@"))
    assert sum(bool(line) for line in written["tests/test_suite.py"].splitlines()) == 3
    for step in (f"cd {tmp_path / 'acme-optim'}", 'pip install -e ".[test]"', "pytest", "optreg info acme/addsign"):
        assert step in result.stdout
    assert all(name in result.stdout for name in written)


def test_it_registers_documents_itself_and_runs(site, tmp_path):
    run("new", "acme-optim", "--directory", str(tmp_path))
    place = tmp_path / "acme-optim"
    project = tomllib.loads((place / "pyproject.toml").read_text())["project"]
    shutil.copytree(place / "src" / "acme_optim", site.path / "acme_optim")
    site.install(project["name"], project["version"], project["entry-points"]["optreg.v1"], {})

    with optreg.temporary():  # in which it is seen that it is there
        assert optreg.names("acme/*") == ["acme/addsign"]
        assert optreg.hook_names("acme/*") == ["acme/sparsify"]
        assert run("doctor").exit_code == 0
        described = run("info", "acme/addsign").stdout
        hooks = [("acme/sparsify", {"threshold": 0.4})]
        optimizer = optreg.create("acme/addsign", lr=0.1, hooks=hooks)
    assert "arXiv:1709.07417" in described
    assert "the length of a step" in described

    w = np.array([1.0, -2.0])
    optimizer.setup({"w": w})
    optimizer.apply_gradients({"w": np.array([0.5, -0.25])})
    np.testing.assert_allclose(w, [0.9, -2.0])
    optimizer.apply_gradients({"w": np.array([-0.5, -0.25])})
    # The first average, 0.05, says up, the new gradient down: 0.9 · 0.05 − 0.1 · 0.5 is below zero, so both agree.
    np.testing.assert_allclose(w, [1.0, -1.9])


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the plugins are not in this copy of the tests")
def test_the_package_of_the_tutorial_is_what_is_written(site, tmp_path):
    run("new", "optreg-example", "--directory", str(tmp_path))
    assert files_of(tmp_path / "optreg-example") == files_of(EXAMPLE)


@pytest.mark.parametrize(
    ("name", "namespace"),
    [
        ("acme-optim", "acme"),
        ("acme-optimizers", "acme"),
        ("optreg-acme", "acme"),
        ("acme-tools", "acme-tools"),
        ("acme", "acme"),
        ("optreg-acme-optim", "acme"),
    ],
)
def test_the_namespace_is_the_part_of_the_name_that_is_its_own(site, tmp_path, name, namespace):
    assert f"optreg info {namespace}/addsign" in run("new", name, "--directory", str(tmp_path)).stdout


def test_the_namespace_may_be_chosen(site, tmp_path):
    run("new", "lion", "--namespace", "savanna", "--directory", str(tmp_path))
    assert "savanna = " in (tmp_path / "lion" / "pyproject.toml").read_text()


REFUSED = {
    "upper case": (["Acme Optim"], "cannot be a package's name here.* such as 'acme-optim'"),
    "a digit first": (["2fast"], "with a letter first, such as 'fast'"),
    "a path": (["../acme"], "such as 'acme'"),
    "nothing": ([""], "such as 'acme-optim'"),
    "two hyphens": (["acme--optim"], "such as 'acme-optim'"),
    "a keyword": (["class"], "which is Python's or optreg's own name; choose another, such as 'class-optim'"),
    "a standard module": (["json"], "would be imported as 'json'"),
    "optreg": (["optreg"], "would be imported as 'optreg'"),
    "an installed module": (["numpy"], "a module 'numpy' is installed already"),
    "a namespace with odd characters": (["acme", "--namespace", "Acme"], "the namespace 'Acme' cannot be used"),
    "the built-ins' namespace": (["acme", "--namespace", "optreg"], "is reserved for the built-ins"),
    "a namespace that is taken": (
        ["new-optim", "--namespace", "acme"],
        r"is that of acme-optim 1\.2, which is",
    ),
    "no directory": (["acme-two", "--directory", "not_there"], "there is no directory .*not_there.*; create it"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_refused_and_nothing_is_written(site, tmp_path, monkeypatch, arguments, message):
    site.install_acme()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    result = run("new", *arguments)
    assert result.exit_code == 1
    assert re.search(message, result.stderr), result.stderr
    assert not any((tmp_path / "here").iterdir())


def test_what_exists_is_not_overwritten(site, tmp_path):
    (tmp_path / "acme-optim").mkdir()
    (tmp_path / "acme-optim" / "mine.py").write_text("precious")
    result = run("new", "acme-optim", "--directory", str(tmp_path))
    assert result.exit_code == 1
    assert "exists already, and is not overwritten" in result.stderr
    assert files_of(tmp_path / "acme-optim") == {"mine.py": "precious"}
    assert {path.name for path in tmp_path.iterdir()} == {"acme-optim", "site"}


def test_an_empty_directory_of_the_name_is_filled(site, tmp_path):
    (tmp_path / "acme-optim").mkdir()
    assert run("new", "acme-optim", "--directory", str(tmp_path)).exit_code == 0
    assert (tmp_path / "acme-optim" / "pyproject.toml").exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything is writable")
def test_a_directory_that_is_read_only_is_told(site, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    result = run("new", "acme-optim", "--directory", str(tmp_path / "closed"))
    assert result.exit_code == 1
    assert "nothing can be written to" in result.stderr
