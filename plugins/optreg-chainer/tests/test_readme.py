"""What the README shows."""

from __future__ import annotations

import re
from pathlib import Path

import optreg

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_its_example_runs():
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(block, {})


def test_its_table_has_every_method_with_its_arguments():
    rows = re.findall(r"^\| `(.*)` \|$", TEXT, re.MULTILINE)
    shown = dict(row.split("` | `")[1:] for row in rows)
    for name in optreg.names("chainer/*"):
        pairs = [pair.split("=") for pair in shown.pop(name).split(", ")]
        defaults = {each.name: each.default for each in optreg.info(name).hyperparameters if not each.is_common}
        assert {key: float(value) for key, value in pairs} == defaults
    assert shown == {}
