"""A command of ``optreg`` explains itself."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO

from optreg.testing.catalog import check
from optreg.testing.results import fail
from optreg.testing.subjects import CommandSubject


@check("command", level="1")
def check_command_help(subject: CommandSubject) -> None:
    """It has help, which says what it does, not only how it is called."""
    command = subject.implementation()
    output = StringIO()
    with redirect_stdout(output):
        command.main(["--help"], prog_name=f"optreg {subject.name}", standalone_mode=False)
    paragraphs = output.getvalue().strip().split("\n\n")
    if len(paragraphs) < 2 or paragraphs[1].startswith("Options:"):
        fail(
            f"`optreg {subject.name} --help` says how it is called, but not what it does; write a docstring, which "
            f"click prints there"
        )
