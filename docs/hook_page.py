"""The page of all hooks, made of their declarations and docstrings before Sphinx reads its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optimizer_pages import title, write_text

import optreg
from optreg.builtins import optreg_hooks


def write(path: Path) -> None:
    """Write the page, unless it would be the same."""
    write_text(path, page())


def page() -> str:
    """The page, as reStructuredText."""
    lead = (
        "The name is what :meth:`~optreg.Optimizer.add_hook` and :func:`optreg.create` take. "
        ":doc:`hooks` says how hooks are used."
    )
    sections = [section for spec in optreg_hooks() for section in _sections(spec)]
    return "\n\n".join([title("Every hook", "="), lead, *sections]) + "\n"


def _sections(spec: Any) -> list[str]:
    module, _, name = spec.target.partition(":")
    # Where it is public, by its public name: that is what others refer to.
    path = f"optreg.{name}" if name in optreg.__all__ else f"{module}.{name}"
    return [title(spec.name), f".. autoclass:: {path}"]
