"""``optreg list``: everything that has a name."""

from __future__ import annotations

import click

from optreg.cli.output import looking_at_packages, print_columns, print_json, warn_of_broken
from optreg.declarations import KINDS
from optreg.lookup import offers
from optreg.offers import Offer
from optreg.provenance import distribution_of, problems

_PLURALS = {f"{kind}s".replace(" ", "-"): kind for kind in KINDS}


@click.command("list")
@click.argument("pattern", default="*")
@click.option(
    "--kind",
    type=click.Choice([*_PLURALS, "all"]),
    default="optimizers",
    show_default=True,
    help="What to list.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def list_names(pattern: str, kind: str, as_json: bool) -> None:
    """List optimizers, and all else that has a name.

    PATTERN may have * and ?, and is compared with the whole name and with its last part:

    \b
        optreg list                   every optimizer
        optreg list "adam*"           those whose names begin with adam
        optreg list "acme/*"          those of the package with the namespace acme
        optreg list --kind hooks      what can be added to an optimizer
    """
    with looking_at_packages():
        kinds = _PLURALS.values() if kind == "all" else [_PLURALS[kind]]
        found = [offer for each in kinds for offer in offers(each, pattern)]
        broken = problems()
    if as_json:
        print_json([_as_dict(offer) for offer in found])
    elif found:
        # Which version of which package it is, `optreg info` tells: reading that of 500 takes a while.
        headings = ["NAME", "SUMMARY"]
        rows = [[offer.shown_name, offer.spec.summary] for offer in found]
        if kind == "all":
            headings.insert(0, "KIND")
            rows = [[offer.spec.kind, *row] for offer, row in zip(found, rows, strict=True)]
        print_columns(headings, rows)
    else:
        shown = f"`optreg list --kind {pattern}`" if pattern in _PLURALS else "`optreg list`"
        click.echo(f"No name matches {pattern!r}; {shown} shows them all.", err=True)
    warn_of_broken(broken)


def _as_dict(offer: Offer) -> dict[str, object]:
    distribution, version = distribution_of(offer.plugin)
    return {
        "name": offer.shown_name,
        "full_name": offer.full_name,
        "kind": offer.spec.kind,
        "summary": offer.spec.summary,
        "paper": getattr(offer.spec, "paper", ""),
        "aliases": offer.names[1:],
        "distribution": distribution,
        "version": version,
        "target": offer.target,
    }
