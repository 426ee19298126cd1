"""Namespaces: a plugin for each one that installed distributions claim, the conflicts included."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from optreg.declarations import WITH_HYPHENS, is_namespace
from optreg.entry_points import (
    ALLOWLIST,
    Claim,
    allowed_namespaces,
    autoload_disabled,
    claims,
    same_distribution,
)
from optreg.hookspecs import GROUP
from optreg.offers import BUILTIN, Plugin

_ANY_VERSION = re.compile(r"optreg\.v\d+")


def installed_plugins() -> Iterator[Plugin]:
    """A plugin for each namespace, as yet unread; one that can't be used says why from the start."""
    found = [] if autoload_disabled() else [claim for claim in claims() if _ANY_VERSION.fullmatch(claim.group)]
    by_namespace: dict[str, list[Claim]] = {}
    for claim in found:
        if claim.group == GROUP and claim.namespace:
            by_namespace.setdefault(claim.namespace, []).append(claim)
    allowed = allowed_namespaces()
    for namespace, candidates in by_namespace.items():
        yield _plugin(namespace, candidates, allowed)
    for claim in found:
        if claim.group == GROUP and not claim.namespace:
            yield _broken(claim, "has an entry_points.txt that cannot be read")
        elif claim.namespace not in by_namespace:
            problem = f"declares its names for {claim.group!r}, but this optreg reads {GROUP!r}"
            yield _broken(claim, f"{problem}: install a version of it that fits")


def _broken(claim: Claim, problem: str) -> Plugin:
    plugin = Plugin(claim.namespace, (claim,))
    plugin.fail(problem)
    return plugin


def _plugin(namespace: str, candidates: list[Claim], allowed: Mapping[str, str | None] | None) -> Plugin:
    plugin = Plugin(namespace, tuple(candidates))
    if namespace == BUILTIN:
        plugin.fail(f"claims the namespace {BUILTIN!r}, which is reserved for the built-ins")
        return plugin
    if not is_namespace(namespace):
        plugin.fail(f"claims the namespace {namespace!r}, but a namespace must be {WITH_HYPHENS}")
        return plugin
    if allowed is not None and namespace not in allowed and "*" not in allowed:
        plugin.fail(f"is switched off: {ALLOWLIST} does not list its namespace {namespace!r}", "disabled")
        return plugin
    chosen = (allowed or {}).get(namespace)
    if chosen is not None:
        plugin.claims = tuple(claim for claim in candidates if same_distribution(claim.distribution, chosen))
        if not plugin.claims:
            plugin.claims = tuple(candidates)
            plugin.fail(f"is switched off: {ALLOWLIST} wants {namespace!r} from {chosen!r}", "disabled")
            return plugin
    if len(plugin.claims) > 1:
        distributions = {str(claim): claim for claim in plugin.claims}
        if len(distributions) == 1:
            modules = " and ".join(claim.value for claim in plugin.claims)
            plugin.fail(f"names more than one module for the namespace {namespace!r}: {modules}")
        else:
            plugin.fail(
                f"both claim the namespace {namespace!r}: uninstall all but one of them, or choose one with "
                f'{ALLOWLIST}="*,{namespace}={plugin.claims[0].distribution}"',
                "conflict",
            )
    return plugin
