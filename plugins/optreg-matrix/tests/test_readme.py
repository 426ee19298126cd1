"""What the README shows."""

from __future__ import annotations

import re
from pathlib import Path

import optreg

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_its_example_runs():
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(block, {})


def test_its_table_has_every_method():
    assert sorted(re.findall(r"^\| `(.*?)` \|", TEXT, re.MULTILINE)) == optreg.names("matrix/*")
