"""What the commands print: columns, JSON, and notes about broken packages."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import click

from optreg.provenance import PluginInfo

_GAP = "  "
_NARROWEST = 24


def print_columns(headings: Sequence[str], rows: Iterable[Sequence[str]], wrapped: int = -1) -> None:
    """Print a table without lines.

    On a terminal, one column is wrapped to fit; in a pipe every row is one line and nothing is cut. (rich's tables
    would take longer for 500 rows than all the rest of ``optreg list``.)

    Args:
        headings: of the columns.
        rows: texts, as many as headings.
        wrapped: which column may be wrapped.
    """
    rows = [tuple(headings), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    wrapped %= len(headings)
    if sys.stdout.isatty():
        others = sum(widths) - widths[wrapped] + len(_GAP) * (len(widths) - 1)
        room = max(shutil.get_terminal_size().columns - others, _NARROWEST)
        widths[wrapped] = min(widths[wrapped], room)
    lines = [_line(cells, widths) for row in rows for cells in _wrapped(row, wrapped, widths[wrapped])]
    heading_lines = len(list(_wrapped(rows[0], wrapped, widths[wrapped])))
    click.echo("\n".join([*(click.style(line, bold=True) for line in lines[:heading_lines]), *lines[heading_lines:]]))


def _wrapped(row: Sequence[str], column: int, width: int) -> Iterator[Sequence[str]]:
    if len(row[column]) <= width:
        yield row
        return
    for number, part in enumerate(textwrap.wrap(row[column], width)):
        cells = list(row) if number == 0 else [""] * len(row)
        cells[column] = part
        yield cells


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def print_json(value: Any) -> None:
    """Print JSON, for other programs."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=repr))


@contextmanager
def guarded_output() -> Iterator[None]:
    """Send what packages print while they are imported to standard error, so that it can't spoil JSON."""
    with redirect_stdout(sys.stderr):
        yield


def warn_of_broken(infos: Iterable[PluginInfo]) -> None:
    """Say on standard error which packages are broken, and what to do."""
    sentences = dict.fromkeys(info.error for info in infos if info.error and info.status != "disabled")
    if not sentences:
        return
    for sentence in sentences:
        click.secho(f"broken: {sentence}", fg="red", err=True)
    click.echo("The other packages are not affected; `optreg doctor` says more.", err=True)
