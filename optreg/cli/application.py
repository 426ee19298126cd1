"""The command ``optreg``: its subcommands by name, and what becomes of errors."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any

import click

from optreg.errors import OptregError

COMMANDS = {
    "list": ("optreg.cli.listing:list_names", "List optimizers, and all else that has a name."),
    "info": ("optreg.cli.info:info", "Describe an optimizer: hyperparameters, paper, package."),
    "compare": ("optreg.cli.compare:compare", "Train the same model with several optimizers; table and plot."),
    "bench": ("optreg.cli.bench:bench", "Measure backends and other packages on this machine."),
    "kernel": ("optreg.cli.kernel:kernel", "Print the kernel that is compiled for an optimizer."),
    "plugins": ("optreg.cli.plugins:plugins", "Show the packages that offer names."),
    "why": ("optreg.cli.why:why", "Explain what a name means, and why."),
    "doctor": ("optreg.cli.doctor:doctor", "Look for what is broken; exit status 1 if something is."),
}
"""Where each command is, and its line in ``optreg --help``, which imports none of them."""


class Application(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

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
