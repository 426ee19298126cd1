"""Registering by hand: names for this process, without a package. Strict, so that no name changes its meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from importlib import import_module
from typing import Any, TypeVar, overload

from optreg.declarations import WITH_HYPHENS, Declaration, HookSpec, OptimizerSpec, is_namespace, is_reference
from optreg.errors import NameTakenError, PluginError
from optreg.lookup import discovery, find, is_known
from optreg.offers import BUILTIN, Plugin, cause

T = TypeVar("T")


@overload
def register(
    name: str, /, *, summary: str = ..., paper: str = ..., aliases: Sequence[str] = ...
) -> Callable[[T], T]: ...
@overload
def register(
    name: str, implementation: T, /, *, summary: str = ..., paper: str = ..., aliases: Sequence[str] = ...
) -> T: ...
@overload
def register(declared: object, /, *, namespace: str) -> None: ...
def register(
    what: Any,
    implementation: Any = None,
    /,
    *,
    namespace: str | None = None,
    summary: str = "",
    paper: str = "",
    aliases: Sequence[str] = (),
) -> Any:
    """Offer something under a name in this process. ``with optreg.temporary():`` limits it to a block.

    The forms::

        optreg.register("acme/sophia", Sophia)                 # a class, a hook function, or "module:Class"
        @optreg.register("acme/sophia", paper="…")             # the same, as a decorator
        optreg.register(OptimizerSpec(…), namespace="acme")    # any declaration
        optreg.register(module, namespace="acme")              # anything with hook implementations

    A class with ``setup()`` and ``update()`` is an optimizer; anything else whose instances can be called, or that
    can be called itself, is a hook.

    Args:
        what: the full name, a declaration, or an object with ``@optreg.hookimpl`` functions.
        implementation: what the name means.
        namespace: where declarations belong; an installed package's is possible, too.
        summary: what it is, in one line; the first line of the docstring if left out.
        paper: authors, year, arXiv number.
        aliases: other names in the same namespace.

    Returns:
        The implementation; without one, a decorator.

    Raises:
        NameTakenError: the name means something already; the message says whose it is.
        PluginError: not a full name, or neither an optimizer nor a hook. Nothing was registered.
    """
    if not isinstance(what, str):
        _register_declared(what, _checked_namespace(namespace))
        return None
    namespace, name = _full_name(what, namespace)
    if implementation is None:
        return partial(register, what, summary=summary, paper=paper, aliases=aliases)
    registered = _imported(what, implementation) if isinstance(implementation, str) else implementation
    spec_class = _spec_class(what, registered)
    doc = (getattr(registered, "__doc__", None) or "").strip()
    spec = spec_class(
        name=name,
        target=implementation if isinstance(implementation, str) else _target(registered),
        summary=summary or doc.partition("\n")[0],
        paper=paper,
        aliases=tuple(aliases),
    )
    _check_free(namespace, [spec])
    plugin = Plugin(namespace, status="ok")
    plugin.add(spec, registered)
    discovery().registered.append((plugin, None))
    return implementation


def _register_declared(what: Any, namespace: str) -> None:
    """Register one declaration, or all that an object with hook implementations returns."""
    if isinstance(what, Declaration):
        _check_free(namespace, [what])
        plugin = Plugin(namespace, status="ok")
        plugin.add(what)
        discovery().registered.append((plugin, None))
        return
    plugin = Plugin(namespace)
    discovery().take(plugin, what)
    try:
        if plugin.problems:
            raise PluginError(f"cannot register {what!r}: it {'; it '.join(plugin.problems)}")
        specs = [offer.spec for kind in plugin.offers for offer in plugin.offered(kind)]
        if not specs:
            raise PluginError(
                f"cannot register {what!r}: it declares nothing; give a declaration such as OptimizerSpec(...), or a "
                "module with functions that are marked with @optreg.hookimpl"
            )
        _check_free(namespace, specs)
    except BaseException:
        discovery().release(what)
        raise
    discovery().registered.append((plugin, what))


def _full_name(text: str, namespace: str | None) -> tuple[str, str]:
    if namespace is not None:
        raise PluginError(f"{text!r} is a name with its namespace; leave namespace={namespace!r} out")
    before, slash, name = text.rpartition("/")
    if not slash:
        raise PluginError(
            f"cannot register {text!r}: a bare name can only mean a built-in; add a namespace, as in 'my/{text}'"
        )
    if not is_reference(text):
        raise PluginError(
            f"cannot register {text!r}: a name looks like 'acme/sophia', in lower case, with digits and _ if you like"
        )
    return _checked_namespace(before), name


def _checked_namespace(namespace: str | None) -> str:
    if namespace == BUILTIN:
        raise PluginError(f"the namespace {BUILTIN!r} is reserved for the built-ins; choose another")
    if namespace is None or not is_namespace(namespace):
        raise PluginError(
            "give the namespace that declarations are to belong to, as in register(..., namespace='acme'): "
            f"{WITH_HYPHENS}; it is {namespace!r}"
        )
    return namespace


def _check_free(namespace: str, specs: Sequence[Declaration]) -> None:
    for spec in specs:
        for name in (spec.name, *getattr(spec, "aliases", ())):
            full_name = f"{namespace}/{name}"
            if is_known(spec.kind, full_name):
                owner = find(spec.kind, full_name)
                raise NameTakenError(
                    f"{full_name!r} is taken: {owner.plugin.origin} offers it as {owner.target or owner.full_name!r}; "
                    "choose another name, or register inside `with optreg.temporary():`"
                )


def _spec_class(name: str, registered: object) -> type[OptimizerSpec] | type[HookSpec]:
    if isinstance(registered, type):
        if all(callable(getattr(registered, method, None)) for method in ("setup", "update")):
            return OptimizerSpec
        # getattr would find the metaclass's __call__, which every class has.
        if any("__call__" in vars(base) for base in registered.__mro__):
            return HookSpec
    elif callable(registered) and not hasattr(registered, "update"):
        return HookSpec
    raise PluginError(
        f"cannot register {name!r}: {registered!r} is neither an optimizer (a class with setup() and update()) "
        "nor a hook (callable with an optimizer)"
    )


def _target(registered: object) -> str:
    named = registered if hasattr(registered, "__qualname__") else type(registered)
    return f"{named.__module__}:{named.__qualname__}"


def _imported(name: str, target: str) -> Any:
    module, _, path = target.partition(":")
    try:
        return reduce(getattr, path.split("."), import_module(module))
    except (Exception, SystemExit) as error:
        raise PluginError(f"cannot register {name!r}: {target!r} cannot be imported: {cause(error)}") from error
