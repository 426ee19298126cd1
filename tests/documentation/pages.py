"""The documentation's pages and the code blocks in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

DOCS = Path(__file__).parent.parent.parent / "docs"
_FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>python|pycon|console)[ \t]*\n(?P<text>.*?)^(?P=fence)[ \t]*$", re.M | re.S
)


@attrs.frozen
class Block:
    """A fenced code block: its language, its text, and the line that it begins at."""

    language: str
    text: str
    line: int


def pages() -> list[Path]:
    """Every page that somebody wrote (those of the optimizers are made when the documentation is built)."""
    return sorted(page for page in DOCS.rglob("*.md") if not {"_build", "optimizers"} & set(page.parts))


def blocks_of(page: Path) -> Iterator[Block]:
    """The code blocks of a page that a reader would run, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Block(match["language"], match["text"], text.count("\n", 0, match.start()) + 2)


def commands_of(block: Block) -> Iterator[tuple[str, str]]:
    """The command lines of a console block, each with the output that the page shows after it."""
    command, output = "", ""
    for line in block.text.splitlines(keepends=True):
        if line.startswith("$ "):
            if command:
                yield command, output
            command, output = line[2:].rstrip("\n"), ""
        else:
            output += line
    if command:
        yield command, output
