"""What packages offer: plugins, their declarations by name, and how a broken one is described."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import attrs

from optreg.declarations import Declaration

if TYPE_CHECKING:
    from optreg.entry_points import Claim

BUILTIN = "optreg"
"""The namespace of the built-ins."""

Status = Literal["unread", "reading", "ok", "faulty", "broken", "conflict", "disabled"]


@attrs.define(eq=False)
class Plugin:
    """Who claims a namespace: optreg for the built-ins, an installed distribution, this process with ``register()``.

    Attributes:
        namespace: the first part of the full names.
        claims: its entry points, usually one; none for the built-ins and for ``register()``.
        status: "unread" until first needed; "faulty" if a part of it can't be used, "broken" if nothing can.
        problems: what is wrong, each a clause without the distribution's name.
        error: what its import or its registration raised.
        offers: what it declares, by kind and name; an alias is listed like a name.
    """

    namespace: str
    claims: tuple[Claim, ...] = ()
    status: Status = "unread"
    problems: list[str] = attrs.Factory(list)
    error: BaseException | None = None
    offers: dict[str, dict[str, list[Offer]]] = attrs.Factory(dict)

    @property
    def origin(self) -> str:
        """The distribution and its version, for messages."""
        if self.claims:
            return " and ".join(str(claim) for claim in self.claims)
        return f"optreg {version()}" if self.namespace == BUILTIN else "this process"

    @property
    def usable(self) -> bool:
        """Whether its names can be looked up."""
        return self.status in ("ok", "faulty")

    def offered(self, kind: str) -> Iterator[Offer]:
        """Every offer of a kind that can be asked for, once, in the order of declaration."""
        for name, offers in self.offers.get(kind, {}).items():
            if len(offers) == 1 and offers[0].spec.name == name:
                yield offers[0]

    def add(self, spec: Declaration, implementation: object = None) -> None:
        """Note an offer under its name and its aliases. The same declaration twice counts once."""
        offer = Offer(self, spec, implementation)
        table = self.offers.setdefault(spec.kind, {})
        for name in dict.fromkeys(offer.names):
            others = table.setdefault(name, [])
            if all(other.spec != spec for other in others):
                others.append(offer)

    def fail(self, problem: str, status: Status = "broken", error: BaseException | None = None) -> None:
        """Note that nothing of it can be used."""
        self.status, self.error = status, error
        self.problems.append(problem)


@attrs.frozen(eq=False)
class Offer:
    """A declaration and who made it; ``implementation`` is set where the object itself was registered."""

    plugin: Plugin
    spec: Declaration
    implementation: object = None

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases, without the namespace."""
        return (self.spec.name, *getattr(self.spec, "aliases", ()))

    @property
    def full_name(self) -> str:
        """The name with its namespace."""
        return f"{self.plugin.namespace}/{self.spec.name}"

    @property
    def shown_name(self) -> str:
        """The shortest name that means it: bare for a built-in."""
        return self.spec.name if self.plugin.namespace == BUILTIN else self.full_name

    @property
    def target(self) -> str:
        """Where the implementation is; empty for a hook set."""
        return getattr(self.spec, "target", "")


def version() -> str:
    """The version of optreg itself."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    try:
        return installed_version("optreg")
    except PackageNotFoundError:
        return "(not installed)"


def cause(error: BaseException) -> str:
    """An exception as part of a sentence: its type, its message, and the line that raised it."""
    if isinstance(error, KeyboardInterrupt):
        return "KeyboardInterrupt: stopped by the user"
    try:
        message = " ".join(str(error).split())
    except Exception:
        message = "its message cannot be shown"
    place = "" if isinstance(error, SyntaxError) else _place(error)
    return type(error).__name__ + (f": {message}" if message else "") + (f" ({place})" if place else "")


def _place(error: BaseException) -> str:
    """File and line of the innermost frame that is neither ours nor the import system's."""
    place, trace = "", error.__traceback__
    ours = __file__.removesuffix("offers.py")
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not filename.startswith(("<", ours)) and filename != importlib.__file__:
            place = f"{filename.replace(chr(92), '/').rpartition('/')[2]}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place
