"""pluggy's manager, for packages that know nothing of each other: one that is wrong is not another's failure."""

from __future__ import annotations

import inspect
from types import FunctionType, ModuleType
from typing import Any

import pluggy


class HookManager(pluggy.PluginManager):
    """Finds the hook implementations of a module several times faster, and leaves out those that cannot be called.

    Attributes:
        left_out: why, by the name of the plugin and the name of the hook.
    """

    def __init__(self, project_name: str) -> None:
        super().__init__(project_name)
        self.left_out: dict[str, dict[str, str]] = {}
        self._registering = ""

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Register a plugin's hook implementations."""
        self._registering = name or str(self.get_canonical_name(plugin))
        return super().register(plugin, self._registering)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        """The options of a hook implementation; None for anything else, and for what nobody could call."""
        options = self._marked(plugin, name)
        if options is None:
            return None
        hook_name = options.get("specname") or name
        unknown = self._unknown_arguments(hook_name, getattr(plugin, name))
        if not unknown:
            return options
        problem = f"implements {hook_name!r} with {' and '.join(map(repr, unknown))}, which that hook does not have"
        self.left_out.setdefault(self._registering, {})[hook_name] = problem
        return None

    def _marked(self, plugin: object, name: str) -> Any:
        # pluggy looks statically for descriptors; a module has none, and most of its names are no functions.
        if isinstance(plugin, ModuleType):
            value = vars(plugin).get(name)
            return getattr(value, "optreg_impl", None) if isinstance(value, FunctionType) else None
        return super().parse_hookimpl_opts(plugin, name)

    def _unknown_arguments(self, hook_name: str, function: Any) -> list[str]:
        """The arguments that an implementation asks for and that its hook does not have."""
        caller: pluggy.HookCaller | None = getattr(self.hook, hook_name, None)
        if caller is None or caller.spec is None:
            return []
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return [
            each.name
            for each in inspect.signature(function).parameters.values()
            if each.kind in positional and each.default is each.empty and each.name not in caller.spec.argnames
        ]

    def add_hookspecs(self, module_or_class: Any) -> None:
        """Add specifications. Who implemented one of them before it was known is registered anew, and so checked.

        pluggy would blame the package that specifies a hook for another one that implements it wrongly.
        """
        specified = [name for name in dir(module_or_class) if self.parse_hookspec_opts(module_or_class, name)]
        early: dict[str, object] = {}
        for name in specified:
            caller = getattr(self.hook, name, None)
            if caller is not None and not caller.has_spec():
                early.update({each.plugin_name: each.plugin for each in caller.get_hookimpls()})
        for plugin in early.values():
            self.unregister(plugin)
        try:
            super().add_hookspecs(module_or_class)
        finally:
            for plugin_name, plugin in early.items():
                self.register(plugin, plugin_name)
