"""``optreg doctor``: what is broken, and whose it is."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version as version_of
from typing import Any

import click

from optreg import lookup, registry
from optreg.adapters import clashes
from optreg.cli.commands import command
from optreg.cli.output import looking_at_packages
from optreg.declarations import KINDS
from optreg.entry_points import ALLOWLIST, DISABLE, allowed_namespaces
from optreg.errors import OptregError
from optreg.offers import Offer, cause, version
from optreg.provenance import PluginInfo, plugins, problems


@click.command()
def doctor() -> None:
    """Look for what is broken: packages that fail to load, names that lead nowhere, settings without effect.

    Every optimizer, hook, backend, target and task that is installed is imported. The exit status is 1 if something
    is broken; a note about something that is only missing or switched off does not count.
    """
    click.echo(f"optreg {version()}, NumPy {version_of('numpy')}, Python {platform.python_version()}")
    with looking_at_packages():
        infos = plugins()
        checked = [(offer, _missing(offer)) for kind in KINDS for offer in lookup.offers(kind)]
        broken = [*problems(), *_broken_names([offer for offer, missing in checked if not missing])]
        broken += [*clashes(), *_broken_settings()]
    notes = [*_notes(infos), *(f"{offer.shown_name} needs {missing}" for offer, missing in checked if missing)]
    names = sum(not missing for _, missing in checked)
    click.echo(f"{len(infos)} {'package' if len(infos) == 1 else 'packages'}, {names} names checked")
    for note in notes:
        click.echo(f"note: {note}")
    for sentence in broken:
        click.secho(f"broken: {sentence}", fg="red")
    if broken:
        click.echo("Everything else works. Upgrade or uninstall what is broken, or tell its authors.")
        raise SystemExit(1)
    click.secho("Nothing is broken.", fg="green")


def _missing(offer: Offer) -> str:
    missing = [each for each in getattr(offer.spec, "requires", ()) if not lookup.is_installed(each)]
    return f"{' and '.join(missing)}, which is not installed" if missing else ""


def _broken_names(offers: list[Offer]) -> Iterator[str]:
    for offer in offers:
        try:
            _use(offer)
        except OptregError as error:
            yield str(error)
        except BaseException as error:  # whatever it is, the names after it are looked at, too
            yield f"{offer.shown_name} ({offer.plugin.origin}) cannot be used: {cause(error)}"


def _use(offer: Offer) -> Any:
    if offer.spec.kind == "optimizer":
        return registry.get(offer.full_name)
    if offer.spec.kind == "command":
        return command(offer.full_name)
    if offer.spec.kind == "hook set":
        return registry.make_hooks(offer.full_name, {})
    return lookup.implementation(offer)


def _broken_settings() -> Iterator[str]:
    backend = os.environ.get("OPTREG_BACKEND")
    if backend:
        try:
            lookup.find("backend", backend)
        except OptregError as error:
            yield f"OPTREG_BACKEND={backend!r}: {error}"


def _notes(infos: list[PluginInfo]) -> Iterator[str]:
    if os.environ.get(DISABLE):
        yield f"{DISABLE}={os.environ[DISABLE]!r} is set"
    yield from (info.error for info in infos if info.error and info.status == "disabled")
    known = {info.namespace for info in infos}
    for namespace in allowed_namespaces() or {}:
        if namespace not in known and namespace != "*":
            yield f"{ALLOWLIST} lists {namespace!r}, but no installed package has that namespace"
