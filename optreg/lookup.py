"""Look-up: a name to what was declared under it, and that to the implementation. Lazy and forgiving."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import reduce
from importlib import import_module, invalidate_caches
from threading import Lock
from typing import Any

from optreg.declarations import WITH_HYPHENS_TOO, is_reference
from optreg.discovery import Discovery
from optreg.errors import PluginError, UnknownNameError, did_you_mean
from optreg.offers import BUILTIN, Offer, Plugin, cause

_current: list[Discovery] = []
_beginning = Lock()


def discovery() -> Discovery:
    """What is known at present: the process's own, or that of the innermost :func:`temporary`."""
    if not _current:
        with _beginning:
            if not _current:
                _current.append(Discovery())
    return _current[-1]


@contextmanager
def temporary() -> Iterator[None]:
    """Undo, at the end of a ``with`` block or a decorated function, every registration made in it.

    Inside, entry points are read afresh if they are needed, so that a test can change ``sys.path`` or the
    environment. What was registered before stays visible.
    """
    invalidate_caches()
    before = discovery()
    _current.append(Discovery(before.registered))
    depth = len(_current)
    try:
        yield
    finally:
        del _current[depth - 1 :]


def offers(kind: str, pattern: str = "*") -> list[Offer]:
    """Everything of a kind that can be used, the built-ins first; ``pattern`` may leave the namespace out."""
    found: dict[str, Offer] = {}
    for plugin in discovery().every():
        for offer in plugin.offered(kind):
            if fnmatchcase(offer.full_name, pattern) or fnmatchcase(offer.spec.name, pattern):
                found.setdefault(offer.full_name, offer)
    return sorted(found.values(), key=lambda offer: (offer.plugin.namespace != BUILTIN, offer.full_name))


def find(kind: str, name: str, *, or_else: str | None = None) -> Offer:
    """What a name means. A bare name means a built-in and nothing else; an entry point is read for others only.

    Args:
        kind: "optimizer", "hook", …: each kind has names of its own.
        name: ``"name"`` or ``"namespace/name"``.
        or_else: a second kind to look among.

    Raises:
        UnknownNameError: nothing of that kind has this name; says who offers it, or what it may be a misspelling of.
        PluginError: the namespace's package is broken, switched off, or in conflict with another.
    """
    namespace, short = split(kind, name)
    plugin = None
    for plugin in _plugins_of(namespace, name):
        for each in (kind, or_else):
            if each is not None and short in plugin.offers.get(each, {}):
                return _only(plugin.offers[each][short], name)
    raise UnknownNameError(_unknown(kind, namespace, short, plugin))


def is_known(kind: str, name: str) -> bool:
    """Whether a name of that kind is declared by a package that works."""
    if not _is_name(kind, name):
        return False
    namespace, short = split(kind, name)
    try:
        return any(short in plugin.offers.get(kind, {}) for plugin in _plugins_of(namespace, name))
    except PluginError:
        return False


def _plugins_of(namespace: str, name: str) -> Iterator[Plugin]:
    """The plugins with names in a namespace: built-in or registered ones first, then the installed one, loaded."""
    yield from (plugin for plugin in discovery().known() if plugin.namespace == namespace)
    if namespace == BUILTIN:
        return
    for plugin in discovery().installed():
        if plugin.namespace == namespace:
            yield _usable(plugin, name)
            return


def split(kind: str, name: str) -> tuple[str, str]:
    """The namespace and the last part of a name; the built-ins' namespace where it has none."""
    if not _is_name(kind, name):
        meant = suggestions(name, offers(kind)) if isinstance(name, str) else ""
        raise UnknownNameError(f"there is no {kind} {name!r}: names look like 'adamw' or 'acme/sophia'.{meant}")
    namespace, _, short = name.rpartition("/")
    return namespace or BUILTIN, short


def _is_name(kind: str, name: object) -> bool:
    return is_reference(name.replace("-", "_") if kind in WITH_HYPHENS_TOO and isinstance(name, str) else name)


def _usable(plugin: Plugin, name: str) -> Plugin:
    """The plugin, loaded because of ``name``; a PluginError that says what is wrong if that is not possible."""
    discovery().load(plugin, asked_for=True)
    if plugin.usable:
        return plugin
    if plugin.status in ("unread", "reading"):
        raise PluginError(f"{name!r} is not known yet: {plugin.origin} is just being imported")
    raise PluginError(f"{name!r} cannot be used: {plugin.origin} {'; '.join(plugin.problems)}") from plugin.error


def _only(candidates: list[Offer], name: str) -> Offer:
    if len(candidates) > 1:
        targets = " and ".join(offer.target or offer.full_name for offer in candidates)
        raise PluginError(f"{name!r} is ambiguous: {candidates[0].plugin.origin} declares it more than once: {targets}")
    return candidates[0]


def implementation(offer: Offer) -> Any:
    """What the offer's target names, imported now.

    Raises:
        PluginError: it can't be imported, or something that it requires is not installed.
    """
    if offer.implementation is not None:
        return offer.implementation
    missing = [each for each in getattr(offer.spec, "requires", ()) if not is_installed(each)]
    if missing:
        raise PluginError(
            f"{offer.shown_name} needs {' and '.join(missing)}, which is not installed: pip install {' '.join(missing)}"
        )
    module, _, path = offer.target.partition(":")
    try:
        return reduce(getattr, path.split("."), import_module(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(
            f"{offer.shown_name} cannot be used: {offer.plugin.origin} declares it as {offer.target!r}, "
            f"which cannot be imported: {cause(error)}"
        ) from error


def is_installed(requirement: str) -> bool:
    """Whether there is a distribution or a module of that name."""
    from importlib.metadata import PackageNotFoundError, distribution
    from importlib.util import find_spec

    try:
        if find_spec(requirement.replace("-", "_")) is not None:
            return True
    except (ImportError, ValueError):
        pass
    try:
        distribution(requirement)
    except PackageNotFoundError:
        return False
    return True


def in_memory(offer: Offer) -> Any:
    """What the offer's target names if that is imported already, else None."""
    if offer.implementation is not None:
        return offer.implementation
    module, _, path = offer.target.partition(":")
    try:
        return reduce(getattr, path.split("."), sys.modules[module])
    except (KeyError, AttributeError):
        return None


def possible_owners(implementation: object) -> Iterator[Plugin]:
    """The plugins that may have declared a class or function, the likely ones first; others are loaded only then.

    None but the built-ins for what is the built-ins' own.
    """
    yield from discovery().known()
    package = str(getattr(implementation, "__module__", "")).partition(".")[0]
    if package in (BUILTIN, "__main__", "builtins"):
        return
    unlikely = []
    for plugin in discovery().installed():
        if any(re.split(r"[.:]", claim.value.strip())[0] == package for claim in plugin.claims):
            discovery().load(plugin)
        if plugin.status == "unread":
            unlikely.append(plugin)
        else:
            yield plugin
    for plugin in unlikely:
        discovery().load(plugin)
        yield plugin


def _unknown(kind: str, namespace: str, short: str, plugin: Plugin | None = None) -> str:
    """What to say of a name that nobody has: who has it elsewhere, what it may be a misspelling of, what is broken."""
    from optreg.entry_points import DISABLE, autoload_disabled

    everything = offers(kind)
    if plugin is not None and namespace != BUILTIN:
        what = f"{plugin.origin} offers no {kind} {short!r}."
    elif namespace == BUILTIN:
        what = f"there is no built-in {kind} {short!r}."
    else:
        known = {each.namespace for each in discovery().every() if each.namespace}
        what = f"no installed package has the namespace {namespace!r}.{did_you_mean(namespace, known)}"
        if autoload_disabled():
            what += f" ({DISABLE} is set, so installed packages are not looked at.)"
    elsewhere = [offer for offer in everything if short in offer.names]
    if elsewhere:
        what += f" {', '.join(f'{offer.shown_name!r} is offered by {offer.plugin.origin}' for offer in elsewhere)}"
        return what + "; ask for it by that name."
    alike = suggestions(short, everything) + _other_kinds(kind, namespace, short)
    what += alike or _all_of(everything)
    broken = sum(not plugin.usable and plugin.status != "disabled" for plugin in discovery().every())
    if broken and namespace == BUILTIN:
        what += (
            f" ({broken} installed {'package' if broken == 1 else 'packages'} could not be asked; see `optreg doctor`.)"
        )
    return what


def _all_of(everything: Sequence[Offer]) -> str:
    """What there is to choose from, or where to look where that is much."""
    names = [offer.shown_name for offer in everything]
    if not names:
        return ""
    return (
        f" There are: {', '.join(names)}." if len(names) <= 12 else f" `optreg list` shows the {len(names)} there are."
    )


def _other_kinds(kind: str, namespace: str, short: str) -> str:
    kinds = [
        other
        for plugin in discovery().every()
        if plugin.namespace == namespace
        for other, table in plugin.offers.items()
        if other != kind and short in table
    ]
    articles = {"optimizer": "an"}
    named = [f"{articles.get(each, 'a')} {each}" for each in kinds]
    how = (
        " Hook sets are given to create(..., hooks=[...]) or to add_hook()."
        if kind == "hook" and "hook set" in kinds
        else ""
    )
    return f" That name is {' and '.join(named)}.{how}" if named else ""


def suggestions(word: str, candidates: Iterable[Offer]) -> str:
    """Return " Did you mean ...?" with the names to ask for of offers that are spelled like the word's last part."""
    from difflib import get_close_matches

    shown: dict[str, list[str]] = {}
    for offer in candidates:
        for name in offer.names:
            shown.setdefault(name, []).append(repr(offer.shown_name))
    close = get_close_matches(word.rpartition("/")[2].lower().replace("-", "_"), shown, n=3, cutoff=0.6)
    names = dict.fromkeys(name for match in close for name in shown[match])
    return f" Did you mean {' or '.join(names)}?" if names else ""
