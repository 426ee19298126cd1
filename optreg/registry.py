"""The registry: optimizers, hooks, backends and tasks by name, from optreg and from every installed package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optreg import lookup
from optreg.config_reader import HookEntry, NamedHook, read
from optreg.declarations import HookSetSpec
from optreg.errors import HyperparameterError, PluginError, UnknownHyperparameterError
from optreg.lookup import temporary
from optreg.offers import BUILTIN, Offer
from optreg.provenance import OptimizerInfo, PluginInfo, describe_optimizer, plugins, why
from optreg.registering import register

__all__ = [
    "OptimizerInfo",
    "PluginInfo",
    "adapt_target",
    "backend",
    "create",
    "create_hook",
    "get",
    "hook_names",
    "hook_set",
    "info",
    "name_of",
    "names",
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
    **hyperparameters: Any,
) -> Any:
    """Make an optimizer by name, or from a configuration.

    Args:
        name_or_config: a built-in's name (``"adamw"``), ``"namespace/name"`` of an installed package's, what
            ``optimizer.config()`` returned, or JSON or TOML text of that.
        hooks: hooks in order, each a hook object, a name, ``(name, {arguments})`` or ``{"name": name, **arguments}``;
            a hook set's name stands for its hooks.
        options: hyperparameters by path pattern, as in ``{"*/b": {"weight_decay": 0.0}}``.
        hyperparameters: the optimizer's own; these and the arguments above override the configuration's.

    Returns:
        The optimizer, ready for ``setup()``.

    Raises:
        UnknownNameError: no optimizer or hook of such a name; the message suggests others.
        UnknownHyperparameterError: the optimizer has no such hyperparameter.
        HyperparameterError: a value outside its bounds, or one that is missing.
        PluginError: the package that offers it is broken.
        ConfigError: the configuration can't be read.
    """
    recipe = read(name_or_config, hyperparameters, hooks, options)
    offer = lookup.find("optimizer", recipe.name)
    optimizer = _make(offer, _optimizer_class(offer), recipe.hyperparameters)
    made_hooks = [pair for entry in recipe.hooks for pair in _make_hooks(entry)]
    if recipe.options:
        optimizer.options = recipe.options
    for hook, known_as in made_hooks:
        optimizer.add_hook(hook, known_as)
    return optimizer


def get(name: str) -> type[Any]:
    """The class of an optimizer.

    >>> get("adamw").__name__
    'AdamW'
    """
    return _optimizer_class(lookup.find("optimizer", name))


def info(name: str) -> OptimizerInfo:
    """What there is to know of an optimizer: its hyperparameters, paper, slots, and who offers it.

    >>> info("adamw").hyperparameters[0].name
    'lr'
    """
    offer = lookup.find("optimizer", name)
    return describe_optimizer(offer, _optimizer_class(offer))


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


def hook_set(name: str) -> list[tuple[str, dict[str, Any]]]:
    """The hooks of a hook set in order, each with its arguments; those of the sets that it extends come first."""
    return _hooks_of_set(lookup.find("hook set", name), ())


def backend(name: str) -> type[Any]:
    """The class of a backend."""
    found: type[Any] = lookup.implementation(lookup.find("backend", name))
    return found


def task(name: str) -> type[Any]:
    """The class of a task of ``optreg compare``."""
    found: type[Any] = lookup.implementation(lookup.find("task", name))
    return found


def adapt_target(value: object) -> Any:
    """Make a target of an object that some package has an adapter for; None if none has."""
    if type(value).__module__ in ("builtins", "collections"):  # for a dict of arrays no entry point is read
        return None
    offer = lookup.adapter(value)
    return None if offer is None else lookup.implementation(offer)(value)


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


def _make(offer: Offer, cls: type[Any], arguments: Mapping[str, Any]) -> Any:
    from optreg.hyperparameters import signature

    known = signature(cls)
    known.check_names(cls, arguments)
    missing = [name for name, each in known.fields.items() if each.required and name not in arguments]
    if missing:
        example = ", ".join(f"{name}=..." for name in missing)
        raise HyperparameterError(f"{offer.shown_name} needs a value for {' and '.join(missing)}: give {example}")
    return cls(**arguments)


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


def _make_hooks(entry: HookEntry) -> list[tuple[Callable[[Any], Any], str | None]]:
    """The hooks that an entry stands for, each with the name that the optimizer is to know it by."""
    if not isinstance(entry, NamedHook):
        return [(entry, None)]
    offer = lookup.find("hook", entry.name, or_else="hook set")
    if offer.spec.kind == "hook":
        return [(_make_hook(offer, entry.arguments), entry.known_as)]
    if entry.arguments:
        raise UnknownHyperparameterError(
            f"the hook set {offer.shown_name} takes no arguments, but {', '.join(entry.arguments)} was given"
        )
    return [(create_hook(name, **arguments), name) for name, arguments in _hooks_of_set(offer, ())]


def _hooks_of_set(offer: Offer, inside: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    spec = offer.spec
    assert isinstance(spec, HookSetSpec)
    if offer.full_name in inside:
        raise PluginError(f"hook sets extend each other in a circle: {' → '.join([*inside, offer.full_name])}")
    found: list[tuple[str, dict[str, Any]]] = []
    for name in spec.extends:
        base = lookup.find("hook set", _from_within(offer, "hook set", name))
        found += _hooks_of_set(base, (*inside, offer.full_name))
    return found + [(_from_within(offer, "hook", name), dict(arguments)) for name, arguments in spec.hooks]


def _from_within(offer: Offer, kind: str, name: str) -> str:
    """What a name in a declaration means: of the same package where it has it, else what it means everywhere."""
    own = f"{offer.plugin.namespace}/{name}"
    is_own = "/" not in name and offer.plugin.namespace != BUILTIN and lookup.is_known(kind, own)
    return own if is_own else name
