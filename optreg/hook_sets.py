"""Hook sets: a set's name to its hooks in order, each with its arguments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from optreg import lookup
from optreg.declarations import HookSetSpec
from optreg.errors import OptregError, PluginError
from optreg.offers import BUILTIN, Offer

Hooks: TypeAlias = list[tuple[str, dict[str, Any]]]


def hooks_of(offer: Offer) -> Hooks:
    """The hooks of a hook set, those of the sets that it extends first; of a set that is extended twice, once.

    Raises:
        UnknownNameError: it extends a set that does not exist.
        PluginError: sets extend each other in a circle.
    """
    with blamed(offer):
        return _collected(offer, (), set())


@contextmanager
def blamed(offer: Offer) -> Iterator[None]:
    """Say whose hook set it is that asks for what is wrong."""
    try:
        yield
    except OptregError as error:
        raise type(error)(f"the hook set {offer.shown_name} ({offer.plugin.origin}) cannot be used: {error}") from error


def _collected(offer: Offer, inside: tuple[str, ...], done: set[str]) -> Hooks:
    spec = offer.spec
    assert isinstance(spec, HookSetSpec)
    path = (*inside, offer.full_name)
    if offer.full_name in inside:
        raise PluginError(f"hook sets extend each other in a circle: {' → '.join(path)}")
    if offer.full_name in done:
        return []
    done.add(offer.full_name)
    found: Hooks = []
    for name in spec.extends:
        found += _collected(lookup.find("hook set", _from_within(offer, "hook set", name)), path, done)
    return found + [(_from_within(offer, "hook", name), dict(arguments)) for name, arguments in spec.hooks]


def _from_within(offer: Offer, kind: str, name: str) -> str:
    """What a name in a declaration means: of the same package where it has it, else what it means everywhere."""
    own = f"{offer.plugin.namespace}/{name}"
    is_own = "/" not in name and offer.plugin.namespace != BUILTIN and lookup.is_known(kind, own)
    return own if is_own else name
