"""Discovery: load what packages declare, each in isolation, so that one broken package harms nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from importlib import import_module
from threading import RLock

import pluggy

from optreg import builtins, hookspecs
from optreg.errors import PluginError, did_you_mean
from optreg.hook_manager import HookManager
from optreg.hookspecs import DECLARING
from optreg.offers import BUILTIN, Plugin, cause

_ENTRY_POINT = re.compile(r"\s*([\w.]+)\s*(?::\s*([\w.]+)\s*)?(?:\[.*\]\s*)?")


class Discovery:
    """Everything that is known of what exists: the built-ins, what was registered, what is installed.

    Entry points are read once, when something outside the built-ins is first needed; a plugin is imported when
    something of its own is first needed.

    Args:
        registered: plugins that ``register()`` made earlier, each with its object with hook implementations, if any.
    """

    def __init__(self, registered: Iterable[tuple[Plugin, object]] = ()) -> None:
        self.manager = HookManager("optreg")
        self.manager.add_hookspecs(hookspecs)
        self._lock = RLock()
        self._installed: tuple[Plugin, ...] | None = None
        self._holders: dict[int, str] = {}
        self.registered: list[tuple[Plugin, object]] = []
        self.builtin = Plugin(BUILTIN)
        self.take(self.builtin, builtins)
        for plugin, holder in registered:
            if holder is not None:
                plugin = Plugin(plugin.namespace)  # noqa: PLW2901 (its hooks are to be known to this manager)
                self.take(plugin, holder)
            self.registered.append((plugin, holder))

    def known(self) -> Iterator[Plugin]:
        """The built-ins and what was registered: everything that needs no entry point."""
        yield self.builtin
        yield from (plugin for plugin, _ in self.registered)

    def installed(self) -> tuple[Plugin, ...]:
        """A plugin for each namespace that an installed distribution claims; nothing of theirs is imported."""
        if self._installed is None:
            from optreg.namespaces import installed_plugins

            with self._lock:
                if self._installed is None:
                    self._installed = tuple(installed_plugins())
        return self._installed

    def every(self) -> Iterator[Plugin]:
        """Every plugin, loaded where that is possible."""
        yield from self.known()
        for plugin in self.installed():
            self.load(plugin)
            yield plugin

    def load(self, plugin: Plugin, *, asked_for: bool = False) -> None:
        """Import a plugin's module and collect its declarations. What goes wrong is noted, not raised.

        A KeyboardInterrupt is noted, too, so that a listing goes on past an import that the user stops; but if the
        plugin itself was asked for, it is raised, and the next request tries again.
        """
        if asked_for and isinstance(plugin.error, KeyboardInterrupt):
            plugin.status, plugin.error, plugin.problems = "unread", None, []
        if plugin.status not in ("unread", "reading"):
            return
        try:
            holder = _imported(plugin.claims[0].value)
            if holder is not None:
                self.take(plugin, holder)
        except BaseException as error:
            if asked_for and isinstance(error, KeyboardInterrupt):
                raise
            plugin.fail(f"cannot be loaded: {cause(error)}", error=error)

    def release(self, holder: object) -> None:
        """Forget an object that was taken."""
        with self._lock:
            self.manager.unregister(holder)
            self.manager.left_out.pop(self._holders.pop(id(holder)), None)

    def stray_hooks(self, plugin: Plugin) -> list[str]:
        """The plugin's hook implementations that nobody calls, as problems. Certain once every plugin is loaded."""
        left_out = [
            problem
            for name, problems in self.manager.left_out.items()
            if name.rstrip("+") == plugin.namespace
            for problem in problems.values()
            if problem not in plugin.problems
        ]
        callers = {name: caller for name, caller in vars(self.manager.hook).items() if not name.startswith("_")}
        specified = [name for name, caller in callers.items() if caller.has_spec()]
        return left_out + [
            f"implements {name!r}, a hook that nobody calls.{did_you_mean(name, specified)}"
            for name, caller in callers.items()
            if not caller.has_spec()
            for implementation in caller.get_hookimpls()
            if implementation.plugin_name.rstrip("+") == plugin.namespace and not implementation.optionalhook
        ]

    def take(self, plugin: Plugin, holder: object) -> None:
        """Register an object with hook implementations and note what they declare."""
        with self._lock:
            if plugin.status != "unread":  # by another thread, or, "reading", by an implementation that asks for names
                return
            self._register(plugin, holder)
            plugin.status = "reading"
            try:
                for implementation in self._implementations("optreg_addhooks", holder):
                    implementation.function(*[self.manager for _ in implementation.argnames])
                for hook_name in DECLARING:
                    for implementation in self._implementations(hook_name, holder):
                        _note(plugin, hook_name, implementation)
                plugin.problems += [*_ambiguities(plugin), *self._uncalled(holder)]
            except BaseException:
                self.release(holder)
                plugin.status = "unread"
                plugin.problems.clear()
                plugin.offers.clear()
                raise
            plugin.status = "faulty" if plugin.problems else "ok"

    def _uncalled(self, holder: object) -> Iterator[str]:
        """What looks like a hook implementation, and is none that anybody calls."""
        hooks = [name for name in vars(hookspecs) if name.startswith("optreg_")]
        known = self.manager.left_out.get(self._holders[id(holder)], {})
        yield from known.values()
        unmarked = [
            name
            for name in hooks
            if callable(getattr(holder, name, None)) and name not in known and not self._implementations(name, holder)
        ]
        for name in unmarked:
            yield f"has a function {name}() without @optreg.hookimpl, so that nobody calls it"
        if not unmarked and not known and not self.manager.get_hookcallers(holder):
            yield "declares nothing: it has no function that is marked with @optreg.hookimpl"

    def _register(self, plugin: Plugin, holder: object) -> None:
        if holder == object():  # pluggy compares the objects of all packages with each other
            raise PluginError(f"its {type(holder).__name__} says that it equals any other object")
        if id(holder) in self._holders:
            raise PluginError(f"the same object is registered as {self._holders[id(holder)]!r} already")
        name = plugin.namespace
        while self.manager.has_plugin(name):  # a namespace that register() adds to
            name += "+"
        try:
            self.manager.register(holder, name)
        except BaseException:
            if self.manager.has_plugin(name):  # pluggy before 1.7 keeps half of a plugin that it refuses
                self.manager.unregister(holder)
            raise
        self._holders[id(holder)] = name

    def _implementations(self, hook_name: str, holder: object) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self.manager.hook, hook_name)
        return [implementation for implementation in caller.get_hookimpls() if implementation.plugin is holder]


def _imported(entry_point: str) -> object:
    """The module, or an attribute of it, that an entry point names; None while the module is being imported."""
    match = _ENTRY_POINT.fullmatch(entry_point)
    if match is None:
        raise PluginError(f'the entry point {entry_point!r} is not of the form "module" or "module:attribute"')
    module = import_module(match[1])
    if getattr(getattr(module, "__spec__", None), "_initializing", False):
        # Its own import asks for names: what it has so far must not be taken for all it has.
        return None
    return reduce(getattr, match[2].split("."), module) if match[2] else module


def _note(plugin: Plugin, hook_name: str, implementation: pluggy.HookImpl) -> None:
    """Call one hook implementation and note its declarations, or what is wrong with them."""
    expected = DECLARING[hook_name]
    if implementation.wrapper or implementation.hookwrapper:
        plugin.problems.append(f"marks {hook_name}() as a wrapper, but nobody can change what others declare")
        return
    try:
        returned = implementation.function()
        if isinstance(returned, (str, bytes, Mapping, expected)) or not isinstance(returned, Iterable):
            got = "None (is a return missing?)" if returned is None else f"a value of type {type(returned).__name__}"
            plugin.problems.append(f"returns {got} from {hook_name}() instead of a list of {expected.__name__}")
            return
        for each in returned:
            if isinstance(each, expected):
                plugin.add(each)
            else:
                got = f"a value of type {type(each).__name__} among the {expected.__name__}s"
                plugin.problems.append(f"returns {got} from {hook_name}()")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        plugin.problems.append(f"fails in {hook_name}(): {cause(error)}")


def _ambiguities(plugin: Plugin) -> Iterator[str]:
    for kind, table in plugin.offers.items():
        for name, offers in table.items():
            if len(offers) > 1:
                targets = " and ".join(offer.target or offer.spec.name for offer in offers)
                yield f"declares the {kind} {name!r} more than once: {targets}"
    for name in plugin.offers.get("hook", {}).keys() & plugin.offers.get("hook set", {}).keys():
        yield f"declares {name!r} both as a hook and as a hook set: where either can stand, the hook is meant"
