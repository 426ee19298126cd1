"""``optreg why``: what a name means, and how that was found."""

from __future__ import annotations

import click

from optreg.cli.output import looking_at_packages
from optreg.provenance import explain


@click.command()
@click.argument("name")
def why(name: str) -> None:
    """Explain what NAME means, and why: which package it is from, and where that declares it.

    The exit status is 1 if it means nothing.
    """
    with looking_at_packages():
        sentences, means_something = explain(name)
    click.echo("\n".join(sentences))
    if not means_something:
        raise SystemExit(1)
