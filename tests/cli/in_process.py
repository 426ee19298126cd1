"""The command line, run in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from optreg.cli.application import application


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(application, list(arguments), prog_name="optreg")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result
