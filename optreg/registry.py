"""The registry: optimizers, hooks, backends and tasks by name, from optreg and from every installed package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optreg import lookup
from optreg.config_reader import HookEntry, NamedHook, read
from optreg.errors import HyperparameterError, PluginError, UnknownHyperparameterError
from optreg.hook_sets import blamed, hooks_of
from optreg.lookup import temporary
from optreg.named_defaults import chosen
from optreg.offers import Offer
from optreg.provenance import Info, PluginInfo, describe, find_any, plugins, why
from optreg.registering import register

if TYPE_CHECKING:
    import pluggy

__all__ = [
    "Info",
    "PluginInfo",
    "backend",
    "create",
    "create_hook",
    "get",
    "hook_names",
    "hook_set",
    "info",
    "make_hooks",
    "name_of",
    "names",
    "plugin_manager",
    "plugins",
    "register",
    "task",
    "temporary",
    "why",
]


def create(
    name_or_config: str | Mapping[str, Any],
    /,
    *,
    hooks: Any = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    defaults: str | None = None,
    **hyperparameters: Any,
) -> Any:
    """Make an optimizer by name, or from a configuration.

    Args:
        name_or_config: a built-in's name (``"adamw"``), ``"namespace/name"`` of an installed package's, what
            ``optimizer.config()`` returned, or JSON or TOML text of that.
        hooks: hooks in order, each a hook object, a name, ``(name, {arguments})`` or ``{"name": name, **arguments}``;
            a hook set's name stands for its hooks.
        options: hyperparameters by path pattern, as in ``{"*/b": {"weight_decay": 0.0}}``.
        defaults: whose defaults to take instead of the optimizer's own: ``"torch"``, ``"optax"``, ``"keras"``,
            ``"chainer"``, ``"paper"``, or what else its declaration names; :func:`info` shows them. A hyperparameter
            that has no default there must be given.
        hyperparameters: the optimizer's own; these and the arguments above override the configuration's, and all of
            these the defaults.

    Returns:
        The optimizer, ready for ``setup()``.

    Raises:
        UnknownNameError: no optimizer, hook or defaults of such a name; the message suggests others.
        UnknownHyperparameterError: the optimizer has no such hyperparameter.
        HyperparameterError: a value outside its bounds, or one that is missing.
        PluginError: the package that offers it is broken.
        ConfigError: the configuration can't be read.
    """
    recipe = read(name_or_config, hyperparameters, hooks, options, defaults)
    offer = lookup.find("optimizer", recipe.name)
    optimizer = _make(offer, _optimizer_class(offer), recipe.hyperparameters, recipe.defaults)
    made_hooks = [pair for entry in recipe.hooks for pair in _hooks_of_entry(entry)]
    if recipe.options:
        _check_has(optimizer, "options", offer)
        optimizer.options = recipe.options
    if made_hooks:
        _check_has(optimizer, "add_hook", offer)
    for hook, known_as in made_hooks:
        optimizer.add_hook(hook, known_as)
    return optimizer


def get(name: str) -> type[Any]:
    """The class of an optimizer.

    >>> get("adamw").__name__
    'AdamW'
    """
    return _optimizer_class(lookup.find("optimizer", name))


def info(name: str) -> Info:
    """What there is to know of a name, an optimizer's first of all: hyperparameters, paper, slots, and who offers it.

    >>> info("adamw").hyperparameters[0].name
    'lr'
    >>> info("weight_decay").kind
    'hook'
    """
    offer = find_any(name)
    if offer.spec.kind == "hook set":
        return describe(offer, hooks=hooks_of(offer))
    if offer.spec.kind == "hook":
        return describe(offer, lookup.implementation(offer))
    return describe(offer, _optimizer_class(offer) if offer.spec.kind == "optimizer" else None)


def names(pattern: str = "*") -> list[str]:
    """The names of all optimizers: bare for the built-ins, ``namespace/name`` for those of other packages.

    Args:
        pattern: with ``*`` and ``?``; compared with the full name, and with its last part.
    """
    return [offer.shown_name for offer in lookup.offers("optimizer", pattern)]


def hook_names(pattern: str = "*") -> list[str]:
    """The names of all hooks, as :func:`names` lists optimizers.

    >>> hook_names("gradient_*clipping")
    ['gradient_clipping', 'gradient_hard_clipping']
    """
    return [offer.shown_name for offer in lookup.offers("hook", pattern)]


def create_hook(name: str, /, **arguments: Any) -> Callable[[Any], Any]:
    """Make a hook by name.

    Args:
        name: a built-in's name (``"weight_decay"``), or ``"namespace/name"`` of an installed package's.
        arguments: the hook's own.

    Raises:
        UnknownNameError: no such hook; the message suggests others.
        UnknownHyperparameterError: the hook has no such argument.
        HyperparameterError: a value outside its bounds, or one that is missing.
        PluginError: the package that offers it is broken.
    """
    return _make_hook(lookup.find("hook", name), arguments)


def make_hooks(
    name: str, arguments: Mapping[str, Any], known_as: str | None = None
) -> list[tuple[Callable[[Any], Any], str]]:
    """The hook of a name, or the hooks of a hook set in order, each with the name that an optimizer knows it by.

    Raises:
        UnknownHyperparameterError: arguments, or a name to be known by, for a hook set, which has none.
    """
    offer = lookup.find("hook", name, or_else="hook set")
    if offer.spec.kind == "hook":
        return [(_make_hook(offer, arguments), known_as or name)]
    if arguments:
        raise UnknownHyperparameterError(
            f"the hook set {offer.shown_name} takes no arguments, but {', '.join(arguments)} was given"
        )
    if known_as not in (None, name):
        raise UnknownHyperparameterError(
            f"the hook set {offer.shown_name} cannot be known as {known_as!r}: its hooks keep names of their own"
        )
    hooks = hooks_of(offer)
    with blamed(offer):
        return [(create_hook(each, **its_arguments), each) for each, its_arguments in hooks]


def plugin_manager() -> pluggy.PluginManager:
    """The pluggy manager that knows every installed package, for hooks that a package adds with ``optreg_addhooks``.

    A package that has added the hook ``acme_colours`` calls it with ``optreg.plugin_manager().hook.acme_colours()``.
    """
    discovery = lookup.discovery()
    for _ in discovery.every():  # so that whoever implements such a hook is there
        pass
    return discovery.manager


def hook_set(name: str) -> list[tuple[str, dict[str, Any]]]:
    """The hooks of a hook set in order, each with its arguments; those of the sets that it extends come first."""
    return hooks_of(lookup.find("hook set", name))


def backend(name: str) -> type[Any]:
    """The class of a backend."""
    found: type[Any] = lookup.implementation(lookup.find("backend", name))
    return found


def task(name: str) -> type[Any]:
    """The class of a task of ``optreg compare``."""
    found: type[Any] = lookup.implementation(lookup.find("task", name))
    return found


def name_of(implementation: object) -> str | None:
    """The name by which :func:`create` or :func:`create_hook` finds this class or function; None if there is none.

    No implementation is imported for it; declarations are, of other packages only where the likely ones do not help.
    """
    for plugin in lookup.possible_owners(implementation):
        for kind in ("optimizer", "hook"):
            for offer in plugin.offered(kind):
                if lookup.in_memory(offer) is implementation:
                    return offer.shown_name
    return None


def _optimizer_class(offer: Offer) -> type[Any]:
    cls = lookup.implementation(offer)
    if not isinstance(cls, type) or not all(callable(getattr(cls, method, None)) for method in ("setup", "update")):
        raise PluginError(
            f"{offer.shown_name} is not an optimizer: {offer.plugin.origin} declares it as {offer.target!r}, "
            "which is not a class with setup() and update()"
        )
    return cls


def _make(offer: Offer, cls: type[Any], arguments: Mapping[str, Any], defaults: Any = None) -> Any:
    from optreg.signatures import signature

    known = signature(cls)
    what = offer.shown_name
    if defaults is not None:
        arguments = {**chosen(what, getattr(offer.spec, "defaults", {}), defaults), **arguments}
        what += f" with the defaults {defaults!r}"
    known.check_names(cls, arguments)
    # With the defaults of others, a value of our own would make a mixture that is nobody's.
    needed = [name for name, each in known.fields.items() if each.required or (defaults and not each.is_common)]
    missing = [name for name in needed if name not in arguments]
    if missing:
        example = ", ".join(f"{name}=..." for name in missing)
        raise HyperparameterError(f"{what} needs a value for {' and '.join(missing)}: give {example}")
    own = {name: value for name, value in arguments.items() if not known.is_common(name)}
    made = cls(**own)
    for name in arguments.keys() - own.keys():
        setattr(made, name, arguments[name])
    return made


def _make_hook(offer: Offer, arguments: Mapping[str, Any]) -> Callable[[Any], Any]:
    made = lookup.implementation(offer)
    if isinstance(made, type):
        made = _make(offer, made, arguments)
    elif arguments:
        raise UnknownHyperparameterError(
            f"the hook {offer.shown_name} is a function and takes no arguments, but {', '.join(arguments)} was given"
        )
    if not callable(made):
        raise PluginError(
            f"{offer.shown_name} is not a hook: {offer.plugin.origin} declares it as {offer.target!r}, "
            "which cannot be called with an optimizer"
        )
    hook: Callable[[Any], Any] = made
    return hook


def _hooks_of_entry(entry: HookEntry) -> Sequence[tuple[Callable[[Any], Any], str | None]]:
    """The hooks that an entry stands for, each with the name that the optimizer is to know it by."""
    if isinstance(entry, NamedHook):
        return make_hooks(entry.name, entry.arguments, entry.known_as)
    return [(entry, None)]


def _check_has(optimizer: Any, wanted: str, offer: Offer) -> None:
    """Refuse what a class without it would silently take for an attribute, or not know what to do with."""
    if not hasattr(type(optimizer), wanted):
        raise UnknownHyperparameterError(
            f"{offer.shown_name} takes no {'hooks' if wanted == 'add_hook' else wanted}: its class "
            f"{type(optimizer).__name__} ({offer.plugin.origin}) has no {wanted}; it would, were it an optreg.Optimizer"
        )
