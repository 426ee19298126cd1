"""The packages under ``plugins/`` know of optreg what any other package may know."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

import optreg

PLUGINS = sorted((Path(__file__).parents[1] / "plugins").glob("*/pyproject.toml"))
FILES = [path for plugin in PLUGINS for path in sorted(plugin.parent.rglob("*.py"))]

pytestmark = pytest.mark.skipif(not PLUGINS, reason="the plugins are not in this copy of the tests")

PUBLIC_MODULES = {f"optreg.{name}" for name in (*optreg._MODULES, "testing")}


def names_of_optreg(tree: ast.AST):
    """The modules and names of optreg that a file uses: imported, or as attributes of ``optreg``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "optreg")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "optreg":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "optreg":
            yield f"optreg.{node.attr}"


def is_public(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    if name == "optreg" or name in PUBLIC_MODULES:
        return True
    if module == "optreg":
        return attribute in optreg.__all__
    return module in PUBLIC_MODULES and not attribute.startswith("_")


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_a_plugin_uses_only_public_names(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [name for name in names_of_optreg(tree) if not is_public(name)] == []


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_a_plugin_depends_on_optreg_and_says_where_its_declarations_are(path):
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    assert project["name"] == path.parent.name
    assert any(each.startswith("optreg") for each in project["dependencies"])
    (module,) = project["entry-points"]["optreg.v1"].values()
    assert (path.parent / "src" / Path(*module.split(".")).with_suffix(".py")).is_file()
