"""The README does what it says."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_there_are_python_blocks_to_run():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_python_block_of_the_readme_runs(block, tmp_path, monkeypatch):
    import optreg

    monkeypatch.chdir(tmp_path)
    with optreg.temporary():
        exec(compile(block, str(README), "exec"), {})


def test_the_readme_names_the_two_commands_literally():
    text = README.read_text(encoding="utf-8")
    assert 'pip install ".[cli]" && optreg compare sgd adam lion --task digits --output comparison' in text
    assert "pip install tox && tox" in text
