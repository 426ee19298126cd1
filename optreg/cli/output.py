"""What the commands print: columns, JSON, and notes about broken packages."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import click

_GAP = "  "
_NARROWEST = 24


def print_columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table without lines.

    On a terminal, the last column is wrapped to fit; in a pipe every row is one line and nothing is cut. (rich's
    tables would take as long for 500 rows as all the rest of ``optreg list``.)

    Args:
        headings: of the columns.
        rows: texts, as many as headings.
    """
    rows = [tuple(headings), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    if sys.stdout.isatty():
        others = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(shutil.get_terminal_size().columns - others, _NARROWEST))
    head, *body = [_line(cells, widths) for row in rows for cells in _wrapped(row, widths[-1])]
    click.echo("\n".join([click.style(head, bold=True), *body]))


def _wrapped(row: Sequence[str], width: int) -> Iterator[Sequence[str]]:
    first, *rest = textwrap.wrap(row[-1], width) if len(row[-1]) > width else [row[-1]]
    yield (*row[:-1], first)
    yield from (("",) * (len(row) - 1) + (part,) for part in rest)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def print_json(value: Any) -> None:
    """Print JSON, for other programs."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=repr))


@contextmanager
def looking_at_packages() -> Iterator[None]:
    """Import packages without side effects on the command.

    What they print goes to standard error, where it can't spoil JSON; and a look at 500 packages that were never
    imported before should not write 500 files beside them, which takes longer than the look itself.
    """
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.dont_write_bytecode = before


def warn_of_broken(problems: Iterable[str]) -> None:
    """Say on standard error which packages are broken, and what to do."""
    sentences = [f"broken: {problem}" for problem in problems]
    for sentence in sentences:
        click.secho(sentence, fg="red", err=True)
    if sentences:
        click.echo("The other packages are not affected; `optreg doctor` says more.", err=True)
