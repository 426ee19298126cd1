"""The page about the checks lists them all."""

from __future__ import annotations

from pathlib import Path

from optreg.testing.catalog import KINDS, checks

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
TITLES = ("Optimizers", "Hooks", "Hook sets", "Backends", "Targets", "Tasks", "Commands")


def test_every_check_is_on_the_page_with_its_sentence():
    sections = PAGE.read_text(encoding="utf-8").partition("## The checks of level 1\n")[2].split("\n### ")[1:]
    assert tuple(section.partition("\n")[0] for section in sections) == TITLES
    for kind, section in zip(KINDS, sections, strict=True):
        listed = [line for line in section.splitlines() if line.startswith("- ")]
        assert listed == [f"- `{check.name}`: {check.sentence}" for check in checks(kind)]
