"""Target adapters: which package makes a target of an object that ``setup()`` does not know itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from optreg import lookup
from optreg.declarations import TargetSpec
from optreg.errors import PluginError
from optreg.offers import Offer


def adapt(value: object) -> Any:
    """Make a target of an object with the adapter of the nearest class in its ``__mro__``; None if there is none.

    Raises:
        PluginError: two packages have one for the same class, or the one that there is can't be used.
    """
    if type(value).__module__ in ("builtins", "collections"):  # for a dict of arrays no entry point is read
        return None
    adapters = _by_class()
    for base in type(value).__mro__:
        offers = adapters.get(f"{base.__module__}.{base.__qualname__}", [])
        if len(offers) > 1:
            raise PluginError(_clash(f"{base.__module__}.{base.__qualname__}", offers))
        if offers:
            return lookup.implementation(offers[0])(value)
    return None


def clashes() -> Iterator[str]:
    """The classes that two packages have an adapter for, as sentences."""
    return (_clash(full_name, offers) for full_name, offers in _by_class().items() if len(offers) > 1)


def _by_class() -> dict[str, list[Offer]]:
    adapters: dict[str, list[Offer]] = {}
    for offer in lookup.offers("target"):
        assert isinstance(offer.spec, TargetSpec)
        for full_name in dict.fromkeys(offer.spec.types):
            adapters.setdefault(full_name, []).append(offer)
    return adapters


def _clash(full_name: str, offers: list[Offer]) -> str:
    return (
        f"more than one adapter makes a target of {full_name}: "
        + " and ".join(f"{offer.full_name} ({offer.plugin.origin})" for offer in offers)
        + "; uninstall one, or leave its namespace out of OPTREG_PLUGINS"
    )
