"""Imports run one way, and ``import optreg`` brings nothing along."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import optreg

ROOT = Path(optreg.__file__).parent

ORDER = """
    errors arrays contents copying schedules hyperparameters signatures memory rule
    named_defaults builtin_defaults declarations hookspecs builtins
    entry_points offers namespaces hook_manager discovery lookup adapters
    config_reader hook_sets registering provenance registry
    overlaps targets gradients options layers encoding dictionaries
    tracing masters states snapshots checkpoint_files backends norms deprecated passes
    hook hooked repeat measuring plan config checkpoints evaluation base optimizer matching matching_states serializers
    hooks optimizers compare testing bench cli __init__ __main__
""".split()  # noqa: SIM905 (to be read in lines)
"""The modules and subpackages of optreg in the order of the data: each imports only what stands before it."""


def names_imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, inside functions, too, and for type checkers; relative ones begin with a dot."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "optreg":
            yield from (f"optreg.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def imports_of(path: Path) -> Iterator[str]:
    """What a file imports of optreg: ``registry``, ``hooks``, …"""
    for name in names_imported(path):
        assert not name.startswith("."), f"{path} has a relative import"
        by_the_public_door = path.is_relative_to(ROOT / "testing")
        assert by_the_public_door or name != "optreg", f"{path} imports optreg itself, which is there for users"
        if name.startswith("optreg."):
            yield name.split(".")[1]


FILES = sorted(ROOT.rglob("*.py"))


def unit_of(path: Path) -> str:
    """The module or subpackage right below optreg that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_the_order_lists_every_module():
    assert {unit_of(path) for path in FILES} - set(ORDER) == set(), "say in ORDER where the new module belongs"
    assert len(set(ORDER)) == len(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_stands_before_it(path):
    unit = unit_of(path)
    for imported in imports_of(path):
        if imported != unit:
            assert imported in ORDER, f"{path.name} imports optreg.{imported}, which is no module but a public name"
            assert ORDER.index(imported) < ORDER.index(unit), f"optreg.{unit} imports optreg.{imported}"


def test_the_conformance_kit_could_have_been_written_by_a_stranger_but_for_one_file():
    for path in (ROOT / "testing").rglob("*.py"):
        if path.name != "internals.py":
            assert set(imports_of(path)) <= {"testing"}, f"{path} imports what is not public; have internals.py do it"


def test_tests_that_every_python_runs_import_no_package_that_one_python_has():
    """References are installed on one Python only; elsewhere pytest.importorskip leaves out what needs them."""
    references = {"torch", "optax", "jax", "keras", "pytorch_optimizer"}
    tests = Path(__file__).parent
    for path in tests.rglob("*.py"):
        if not path.is_relative_to(tests / "optimizers"):
            packages = {name.partition(".")[0] for name in names_imported(path)}
            assert packages & references == set(), f"{path.relative_to(tests)} needs what is not always there"


def test_no_public_name_is_hidden_by_a_module():
    modules = {unit_of(path) for path in FILES}
    assert {name for name in optreg.__all__ if name in modules} == {"errors", "hyperparameters", "schedules"}


def test_every_public_name_is_there():
    for name in optreg.__all__:
        assert getattr(optreg, name) is not None
    assert set(dir(optreg)) == set(optreg.__all__)
    with pytest.raises(AttributeError, match="module 'optreg' has no attribute 'adamw'"):
        _ = optreg.adamw


def test_the_lazy_names_are_those_that_type_checkers_see():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    lazy = dict.fromkeys(optreg._MODULES, "optreg") | optreg._HOME
    assert seen == lazy


def modules_after(code: str) -> set[str]:
    """What a fresh Python has imported after running ``code``."""
    program = f"import sys; before = set(sys.modules); {code}; print('\\n'.join(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_optreg_imports_nothing_else_of_weight():
    imported = modules_after("import optreg")
    assert {name for name in imported if name.startswith("optreg")} == {"optreg"}
    heavy = {"numpy", "attr", "attrs", "pluggy", "cupy", "click", "inspect", "importlib.metadata"}
    assert imported & heavy == set()


def test_declaring_needs_no_numpy_and_no_registry():
    imported = modules_after("import optreg; optreg.hookimpl; optreg.OptimizerSpec('x', 'a:B', 'c')")
    assert imported & {"numpy", "optreg.registry", "optreg.optimizer", "optreg.lookup"} == set()


def test_listing_names_needs_no_numpy_and_no_implementation():
    imported = modules_after("from optreg.cli import listing; import optreg; optreg.names(); optreg.plugins()")
    assert imported & {"numpy", "matplotlib", "sklearn", "rich", "optreg.hyperparameters", "optreg.optimizer"} == set()
    assert not any(name.startswith(("optreg.optimizers.", "optreg.hooks.", "optreg.compare")) for name in imported)


def test_making_one_optimizer_imports_no_other_family():
    imported = modules_after("import optreg; optreg.create('sgd')")
    families = {name for name in imported if name.startswith(("optreg.optimizers.", "optreg.hooks."))}
    assert families == {"optreg.optimizers.sgd"}
    assert imported & {"importlib.metadata", "cupy", "click", "matplotlib"} == set()
