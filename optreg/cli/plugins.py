"""``optreg plugins``: the packages that offer names."""

from __future__ import annotations

import attrs
import click

from optreg import provenance
from optreg.cli.output import looking_at_packages, print_columns, print_json, warn_of_broken
from optreg.provenance import PluginInfo


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def plugins(as_json: bool) -> None:
    """Show the packages that offer names.

    A package's NAMESPACE is the first part of its names, as in acme/sophia. Its STATUS is ok; faulty, if a part of
    what it offers cannot be used; broken, conflict (two packages claim the namespace) or disabled, if nothing can.
    """
    with looking_at_packages():
        infos, broken = provenance.plugins(), provenance.problems()
    if as_json:
        print_json([attrs.asdict(info) for info in infos])
        return
    print_columns(
        ["NAMESPACE", "PACKAGE", "STATUS", "OFFERS"],
        [[info.namespace, f"{info.distribution} {info.version}", info.status, _offers(info)] for info in infos],
    )
    warn_of_broken(broken)


def _offers(info: PluginInfo) -> str:
    counts = [
        f"{count} {kind.replace('_', ' ').removesuffix('s') if count == 1 else kind.replace('_', ' ')}"
        for kind, count in info.counts.items()
    ]
    return ", ".join(counts) or "nothing"
