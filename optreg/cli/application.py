"""The command ``optreg``: its subcommands by name, and what becomes of errors."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from optreg.cli.commands import command, sections
from optreg.cli.output import looking_at_packages
from optreg.errors import OptregError, UnknownNameError


class Application(click.Group):
    """A group whose commands are declared, and imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        with looking_at_packages():
            return [offer.shown_name for _, offers in sections() for offer in offers]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        try:
            return command(cmd_name)
        except UnknownNameError as error:
            return ctx.fail(str(error))
        except OptregError:
            if ctx.resilient_parsing:  # a shell that completes words must not fail because of one command
                return None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with looking_at_packages():
            shown = list(sections())
        for heading, offers in shown:
            with formatter.section(heading):
                formatter.write_dl([(offer.shown_name, offer.spec.summary) for offer in offers])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OptregError as error:
            raise click.ClickException(str(error)) from error


def _show_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:  # noqa: ARG001
    if wanted:
        from optreg.offers import version

        click.echo(f"optreg {version()}")
        ctx.exit()


@click.group(cls=Application, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def application() -> None:
    """Optimizers by name, from optreg and from every installed package.

    Start with `optreg list`, then `optreg info adamw`. In Python: optreg.create("adamw", lr=1e-3).
    """
    # A letter that the terminal lacks should not stop a listing.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
