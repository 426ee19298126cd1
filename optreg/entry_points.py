"""Entry points: which installed distribution claims which namespace. Reads metadata, imports none of their modules."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import Distribution, EntryPoint, distributions

import attrs

from optreg.hookspecs import GROUP

ALLOWLIST = "OPTREG_PLUGINS"
DISABLE = "OPTREG_DISABLE_PLUGIN_AUTOLOAD"


@attrs.frozen(eq=False)
class Claim:
    """One entry point: a distribution that claims a namespace and names the module with its declarations."""

    namespace: str
    value: str
    group: str
    metadata: Distribution

    @cached_property
    def distribution(self) -> str:
        """The distribution's name."""
        return self._headers.get("name") or _name_of_directory(self.metadata) or "unnamed distribution"

    @cached_property
    def version(self) -> str:
        """The distribution's version."""
        return self._headers.get("version") or "of unknown version"

    @cached_property
    def _headers(self) -> dict[str, str]:
        # Of 500 distributions, importlib.metadata's parser would take longer than all the rest of `optreg list`.
        try:
            text = self.metadata.read_text("METADATA") or self.metadata.read_text("PKG-INFO") or ""
        except Exception:
            return {}
        pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def same_distribution(one: str, other: str) -> bool:
    """Whether two spellings name the same distribution."""
    return _normalized(one) == _normalized(other)


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def autoload_disabled() -> bool:
    """Whether the environment says to look at no installed package."""
    return os.environ.get(DISABLE, "").strip().lower() not in ("", "0", "false", "no")


def allowed_namespaces() -> dict[str, str | None] | None:
    """The namespaces of ``OPTREG_PLUGINS``, each with the distribution it is to come from; None: all of them."""
    entries = [entry.strip() for entry in os.environ.get(ALLOWLIST, "").split(",")]
    pairs = [entry.partition("=") for entry in entries if entry]
    return {name.strip(): distribution.strip() or None for name, _, distribution in pairs} if pairs else None


def claims() -> Iterator[Claim]:
    """Every claim of an installed distribution, in the order of ``sys.path``, those of other versions' groups too.

    Of a distribution that is installed twice, only the first counts: it is the one that Python imports.
    """
    seen: set[str] = set()
    for distribution in distributions():
        try:
            # This name comes from the directory's, without parsing the metadata; importlib.metadata relies on it, too.
            name = _name_of_directory(distribution) or _normalized(distribution.name)
            if name in seen:
                continue
            seen.add(name)
            entries: list[EntryPoint] = list(distribution.entry_points)
        except Exception:
            yield from _unreadable(distribution)
            continue
        for entry in entries:
            if entry.group.startswith("optreg."):
                yield Claim(entry.name, entry.value, entry.group, distribution)


def _name_of_directory(distribution: Distribution) -> str | None:
    try:
        name: str | None = getattr(distribution, "_normalized_name", None)
    except Exception:  # it falls back on metadata, which may be damaged
        return None
    return name


def _unreadable(distribution: Distribution) -> Iterator[Claim]:
    """A claim without a namespace for a damaged distribution, if it has to do with optreg at all."""
    try:
        text = distribution.read_text("entry_points.txt") or ""
    except UnicodeDecodeError as error:
        text = error.object.decode("utf-8", "replace")
    except Exception:
        return
    if GROUP in text:
        yield Claim("", "", GROUP, distribution)
