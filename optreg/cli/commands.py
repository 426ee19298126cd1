"""The commands, built-in and from packages, by name; each is imported when it is called."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout

import click

from optreg import lookup
from optreg.errors import PluginError
from optreg.offers import BUILTIN, Offer


def command(name: str) -> click.Command:
    """The command of a name, ``"list"`` or ``"acme/lr-find"``: as everywhere, a bare name can only mean a built-in.

    Raises:
        UnknownNameError: no such command.
        PluginError: the package that offers it is broken, or what it offers is no command.
    """
    with redirect_stdout(sys.stderr):  # what a package prints while it is imported is not what the command prints
        offer = lookup.find("command", name)
        found = lookup.implementation(offer)
    if not isinstance(found, click.Command):
        raise PluginError(
            f"{offer.shown_name} is not a command: {offer.plugin.origin} declares it as {offer.target!r}, "
            "which is not a click command or group"
        )
    return found


def sections() -> Iterator[tuple[str, list[Offer]]]:
    """Headings for ``optreg --help``, each with its commands: the built-ins' first, then those of each package."""
    for plugin in lookup.discovery().every():
        offered = list(plugin.offered("command"))
        if offered:
            yield "Commands" if plugin.namespace == BUILTIN else f"Commands of {plugin.origin}", offered
