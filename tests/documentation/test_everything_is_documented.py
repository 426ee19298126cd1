"""What a user can name has its place in the documentation."""

from __future__ import annotations

import inspect
import re
import sys

import pytest

import optreg
import optreg.testing
from documentation.pages import DOCS, pages
from optreg import builtins, hookspecs, lookup
from optreg.schedules import SCHEDULES

REFERENCE = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
DIRECTIVES = set(re.findall(r"^\.\. (?:auto|py:)\w+:: (?:optreg\.)?(\S+)", REFERENCE, re.M))
COMMANDS = re.findall(r"^\.\. click:: (\S+)\n   :prog: optreg (\S+)", REFERENCE, re.M)

sys.path.insert(0, str(DOCS))
pytest.importorskip("matplotlib")
import comparison_page  # noqa: E402
import hook_page  # noqa: E402
import optimizer_pages  # noqa: E402


@pytest.mark.parametrize("name", [*optreg.__all__, *optreg.testing.__all__])
def test_every_public_name_is_in_the_reference(name):
    assert name in DIRECTIVES or f".. autoclass:: optreg.{name}\n" in hook_page.page(), (
        f"optreg.{name} is in no page of docs/reference"
    )


@pytest.mark.parametrize("spec", builtins.optreg_hooks(), ids=lambda spec: spec.name)
def test_every_hook_is_on_the_page_of_hooks(spec):
    assert f"\n{spec.name}\n{'-' * len(spec.name)}\n" in hook_page.page()
    assert inspect.getdoc(lookup.implementation(lookup.find("hook", spec.name)))


@pytest.mark.parametrize("name", [name for name in dir(hookspecs) if name.startswith("optreg_")])
def test_every_plugin_function_is_in_the_reference(name):
    assert f"hookspecs.{name}" in DIRECTIVES


@pytest.mark.parametrize("spec", builtins.optreg_commands(), ids=lambda spec: spec.name)
def test_every_command_is_in_the_reference(spec):
    assert (spec.target, spec.name) in COMMANDS


def test_every_schedule_is_in_the_reference():
    for name in optreg.names():
        optreg.get(name)  # whose module may have schedules of its own
    own = [cls for cls in SCHEDULES.values() if cls.__module__.startswith("optreg.")]
    for cls in own:
        assert cls.__module__ == "optreg.schedules" or f"{cls.__module__}.{cls.__name__}" in REFERENCE, cls


def test_every_page_is_in_a_table_of_contents():
    listed = set(re.findall(r"^([a-z][\w/-]*)$", (DOCS / "index.md").read_text(encoding="utf-8"), re.M))
    written = {page.relative_to(DOCS).with_suffix("").as_posix() for page in pages()} - {"index"}
    assert written <= listed, f"docs/index.md lists no {', '.join(sorted(written - listed))}"


@pytest.mark.parametrize("spec", builtins.optreg_optimizers(), ids=lambda spec: spec.name)
def test_every_optimizer_has_a_page_with_all_that_it_should_say(spec):
    text = optimizer_pages.page(spec.name)
    cls = optreg.get(spec.name)
    source = "def rule(" if hasattr(cls, "rule") else "def update("
    for wanted in (":class: formula", f".. figure:: {spec.name}.png", source, ">>> ", "Hyperparameters", "State"):
        assert wanted in text, f"the page of {spec.name} has no {wanted}"
    for number in re.findall(r"arXiv:(\d+\.\d+)", f"{spec.paper} {inspect.getdoc(cls)}"):
        assert f"https://arxiv.org/abs/{number}" in text
    for hyperparameter in optreg.info(spec.name).hyperparameters:
        assert f"``{hyperparameter.name}``\n" in text
    for name, named in optreg.info(spec.name).defaults.items():
        assert f"- ``{name}``: " in text
        assert named.differs in text


def test_the_page_of_the_comparison_has_every_optimizer_once_or_says_why_not():
    recorded = comparison_page.read()
    text = comparison_page.page(recorded)
    for name in {*optreg.names("optreg/*"), *(each.contestant.name for each in recorded.results)}:
        row, link, word = f"     - ``{name}``\n", f"     - :doc:`{name} <", f"- {name} has come since"
        assert sum(text.count(each) for each in (row, link, word)) == 1, name
