"""``optreg new``: a package of one's own, to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from optreg.cli.new_package import named, write


@click.command()
@click.argument("name")
@click.option("--namespace", help="The first part of its names in optreg. [default: NAME without -optim and the like]")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Where to put the package. [default: here]",
)
def new(name: str, namespace: str | None, directory: Path) -> None:
    """Write a package NAME with an optimizer, a hook and their tests, which installs and passes them at once.

    \b
        optreg new acme-optim                 a directory acme-optim, with acme/addsign and acme/sparsify
        optreg new lion --namespace savanna   a directory lion, with savanna/addsign and savanna/sparsify

    Then put your own rules in the place of these two.
    """
    package = named(name, namespace)
    written = write(package, directory)
    place = directory / package.distribution
    click.echo(f"wrote {len(written)} files:")
    for path in written:
        click.echo(f"  {path}")
    click.echo(f"""
Next:
  cd {shlex.quote(str(place))}
  pip install -e ".[test]"
  pytest                             its tests: every check of optreg.testing
  optreg info {package.namespace}/addsign

Then write your own rule into {place / "src" / package.package / "addsign.py"}, and its name into declarations.py.""")
