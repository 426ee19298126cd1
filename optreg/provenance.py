"""Provenance: which packages there are, what state they are in, and how a name came to mean what it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import attrs

from optreg import lookup
from optreg.declarations import KINDS
from optreg.errors import OptregError, UnknownNameError
from optreg.named_defaults import NamedDefaults
from optreg.offers import BUILTIN, Offer, Plugin, version

if TYPE_CHECKING:
    from optreg.hyperparameters import Hyperparameter


@attrs.frozen
class Info:
    """What there is to know of a name.

    Attributes:
        name: what to call it by: bare for a built-in.
        full_name: with its namespace.
        kind: what it is the name of: "optimizer", "hook", "hook set", "backend", "target", "task" or "command".
        summary: what it is, in one line.
        paper: authors, year, arXiv number.
        aliases: other names, inside the same namespace.
        hyperparameters: of an optimizer or a hook, with defaults and bounds, in order.
        defaults: of an optimizer, by the name that ``create(..., defaults=…)`` takes.
        slots: the arrays that an optimizer or a hook keeps for each parameter.
        hooks: of a hook set, in order, each with its arguments.
        distribution: the package that offers it; None if this process registered it.
        version: the package's version.
        target: where its class or function is; empty for a hook set.
        requires: distributions or modules that must be installed to use it.
    """

    name: str
    full_name: str
    kind: str
    summary: str
    paper: str
    aliases: tuple[str, ...]
    hyperparameters: tuple[Hyperparameter, ...]
    defaults: dict[str, NamedDefaults]
    slots: tuple[str, ...]
    hooks: tuple[tuple[str, dict[str, Any]], ...]
    distribution: str | None
    version: str | None
    target: str
    requires: tuple[str, ...]


@attrs.frozen
class PluginInfo:
    """One distribution, or this process, and what it offers.

    Attributes:
        namespace: the first part of its names.
        distribution: its name; None for what this process registered.
        version: its version.
        status: "ok"; "faulty" if a part of it can't be used; "broken", "conflict" or "disabled" if nothing can.
        error: what is wrong, in a sentence, or None.
        counts: how many declarations of each kind it has.
    """

    namespace: str
    distribution: str | None
    version: str | None
    status: str
    error: str | None
    counts: dict[str, int]


def describe(offer: Offer, implementation: Any = None, hooks: Sequence[tuple[str, dict[str, Any]]] = ()) -> Info:
    """What is declared under a name, what the class of an optimizer or hook tells, and the hooks of a hook set."""
    distribution, version = distribution_of(offer.plugin)
    return Info(
        name=offer.shown_name,
        full_name=offer.full_name,
        kind=offer.spec.kind,
        summary=offer.spec.summary,
        paper=getattr(offer.spec, "paper", ""),
        aliases=offer.names[1:],
        hyperparameters=_hyperparameters(implementation),
        defaults=getattr(offer.spec, "defaults", {}),
        slots=_slots(implementation),
        hooks=tuple(hooks),
        distribution=distribution,
        version=version,
        target=offer.target,
        requires=getattr(offer.spec, "requires", ()),
    )


def _hyperparameters(implementation: Any) -> tuple[Hyperparameter, ...]:
    if not isinstance(implementation, type):
        return ()
    from optreg.signatures import signature

    return tuple(signature(implementation).fields.values())


def _slots(implementation: Any) -> tuple[str, ...]:
    from optreg.rule import BEFORE, names_of_rules, slots_of

    if not isinstance(implementation, type):
        return ()
    methods = [*names_of_rules(implementation), *(["measure"] if hasattr(implementation, "adapt") else [])]
    slots = (slots_of(getattr(implementation, name)).names for name in methods if hasattr(implementation, name))
    is_after = getattr(implementation, "timing", "pre") == "post"
    return tuple(slot for slot in dict.fromkeys(chain.from_iterable(slots)) if not (slot == BEFORE and is_after))


def distribution_of(plugin: Plugin) -> tuple[str | None, str | None]:
    """The name and version of the distribution behind a plugin; None where this process registered it."""
    if plugin.claims:
        return plugin.claims[0].distribution, plugin.claims[0].version
    return (BUILTIN, version()) if plugin.namespace == BUILTIN else (None, None)


def plugins() -> list[PluginInfo]:
    """Every package that has names to offer, optreg first; of a broken one, what is wrong with it."""
    everything = list(lookup.discovery().every())
    installed = [info for plugin in everything for info in _of_claims(plugin)]
    return [*_of_this_process(everything), *sorted(installed, key=lambda info: str(info.namespace))]


def _of_this_process(everything: list[Plugin]) -> Iterator[PluginInfo]:
    by_namespace: dict[str, list[Plugin]] = {}
    for plugin in everything:
        if not plugin.claims:
            by_namespace.setdefault(plugin.namespace, []).append(plugin)
    for namespace, together in by_namespace.items():
        distribution, its_version = distribution_of(together[0])
        yield PluginInfo(namespace, distribution, its_version, "ok", None, _counts(together))


def problems() -> list[str]:
    """What is wrong with installed packages, a sentence for each that is broken, without reading all their metadata."""
    everything = list(lookup.discovery().every())
    return [error for plugin in everything if plugin.status != "disabled" if (error := _error(plugin)) is not None]


def _error(plugin: Plugin) -> str | None:
    clauses = [*plugin.problems, *lookup.discovery().stray_hooks(plugin)]
    return "; ".join(f"{plugin.origin} {clause}" for clause in clauses) or None


def _of_claims(plugin: Plugin) -> Iterator[PluginInfo]:
    error = _error(plugin)
    status = "faulty" if error and plugin.status == "ok" else plugin.status
    for claim in plugin.claims:
        yield PluginInfo(plugin.namespace, claim.distribution, claim.version, status, error, _counts([plugin]))


def _counts(together: list[Plugin]) -> dict[str, int]:
    counts = {kind: sum(len(list(plugin.offered(kind))) for plugin in together) for kind in KINDS}
    return {f"{kind}s".replace(" ", "_"): count for kind, count in counts.items() if count}


def why(name: str) -> list[str]:
    """How a name came to mean what it means, or why it means nothing, in sentences.

    >>> why("adamw")[0]
    "'adamw' has no namespace, so it can only mean a built-in of optreg, whatever is installed."
    """
    return explain(name)[0]


def explain(name: str) -> tuple[list[str], bool]:
    """The sentences of :func:`why`, and whether the name means something."""
    sentences = [_about_the_name(name)]
    try:
        offer = find_any(name)
    except OptregError as error:
        return [*sentences, f"{str(error)[0].upper()}{str(error)[1:]}"], False
    return [*sentences, _about_the_package(offer), _about_the_offer(name, offer), *_about_others(offer)], True


def find_any(name: str) -> Offer:
    """What a name means, whatever its kind: an optimizer first, then a hook, and so on."""
    known = [kind for kind in KINDS if lookup.is_known(kind, name)]
    try:
        return lookup.find(known[0] if known else "optimizer", name)
    except UnknownNameError as error:
        others = [offer for kind in KINDS if kind != "optimizer" for offer in lookup.offers(kind)]
        meant = lookup.suggestions(name, others) if isinstance(name, str) else ""
        raise UnknownNameError(f"{error}{meant}") from None


def _about_the_name(name: str) -> str:
    namespace, slash, short = name.rpartition("/")
    if not slash:
        return f"{name!r} has no namespace, so it can only mean a built-in of optreg, whatever is installed."
    if namespace == BUILTIN:
        return f"{name!r} is the built-in {short!r}, with its namespace."
    return f"{name!r} is the name {short!r} in the namespace {namespace!r}."


def _about_the_package(offer: Offer) -> str:
    plugin = offer.plugin
    if plugin.namespace == BUILTIN:
        return f"It is part of {plugin.origin}; no installed package was asked."
    if not plugin.claims:
        return "This process registered it with optreg.register()."
    claim = plugin.claims[0]
    return (
        f"The namespace {plugin.namespace!r} belongs to {plugin.origin}, whose entry point in the group "
        f"{claim.group!r} names the module {claim.value!r}."
    )


def _about_the_offer(name: str, offer: Offer) -> str:
    alias = "" if name.rpartition("/")[2] == offer.spec.name else f", of which {name!r} is an alias,"
    place = f" at {offer.target!r}" if offer.target else ""
    summary = f": {offer.spec.summary.rstrip('.')}" if offer.spec.summary else ""
    return f"It is declared there as the {offer.spec.kind} {offer.spec.name!r}{alias}{place}{summary}."


def _about_others(offer: Offer) -> Iterator[str]:
    others = [
        f"{other.shown_name!r} ({other.plugin.origin})"
        for other in lookup.offers(offer.spec.kind, f"*/{offer.spec.name}")
        if other.full_name != offer.full_name
    ]
    if others:
        yield f"Others have the same last part, and never stand in for it: {', '.join(others)}."
