"""Every example of the documentation runs as it is written, page by page, and prints what the page shows."""

from __future__ import annotations

import doctest
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import optreg
from documentation.pages import DOCS, Block, blocks_of, commands_of, pages

PLUGINS = DOCS.parent / "plugins"
CHECKER = doctest.OutputChecker()
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

PAGES = [page for page in pages() if any(blocks_of(page))]


@pytest.fixture
def installed(page, tmp_path, monkeypatch):
    """The package of a page, as pip would leave it behind, for this process and those it starts."""
    package = PLUGINS / ("optreg-matrix" if page.name == "matrices.md" else "optreg-example")
    site = tmp_path / "site"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(Path(optreg.__file__).parent.parent)]))
    shutil.copytree(package / "src", site)
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{each} = {value}\n" for each, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("".join(groups))
    monkeypatch.syspath_prepend(site)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_what_a_page_shows_is_what_happens(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    names = vars(sys.modules["__main__"])
    with optreg.temporary():
        for block in blocks_of(page):
            RUN[block.language](page, block, names)


def run_python(page: Path, block: Block, names: dict[str, object]) -> None:
    code = "\n" * (block.line - 1) + block.text  # so that a traceback shows the page's line
    exec(compile(code, str(page), "exec"), names)


def run_session(page: Path, block: Block, names: dict[str, object]) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, {}, page.name, str(page), block.line - 1)
    test.globs = names
    result = doctest.DocTestRunner(CHECKER, optionflags=FLAGS).run(test, clear_globs=False)
    assert test.examples, f"{page.name}:{block.line}: a pycon block without >>>"
    assert not result.failed, f"{page.name}:{block.line}: the output differs from what the page shows (see above)"


def run_console(page: Path, block: Block, names: dict[str, object]) -> None:
    for command, shown in commands_of(block):
        program, *arguments = shlex.split(command)
        if program == "pip":  # what a reader installs is installed here
            continue
        assert program == "optreg", f"{page.name}:{block.line}: what should run {command!r}?"
        done = subprocess.run(
            [sys.executable, "-m", "optreg", *arguments], capture_output=True, text=True, timeout=120, check=False
        )
        printed = done.stdout + done.stderr
        if shown:
            assert CHECKER.check_output(shown, printed, FLAGS), f"{page.name}: $ {command} printed:\n{printed}"
        else:
            assert done.returncode == 0, f"{page.name}: $ {command}:\n{printed}"


RUN = {"python": run_python, "pycon": run_session, "console": run_console}
