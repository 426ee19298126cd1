"""What a package can tell optreg: the pluggy hook specification.

A package names a light module in the entry-point group ``optreg.v1``. The entry point's name is its namespace::

    [project.entry-points."optreg.v1"]
    acme = "acme_optim.declarations"

The module has functions of the names below, each marked with ``@optreg.hookimpl``::

    import optreg

    @optreg.hookimpl
    def optreg_optimizers():
        return [optreg.OptimizerSpec("sophia", "acme_optim.sophia:Sophia", "Second-order clipped steps.")]

The functions are called once, when a name of the package is first needed. They should not import implementations:
a declaration's target is text, and is imported on use. What goes wrong in one of them is that package's failure alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from optreg.declarations import (
    BackendSpec,
    CommandSpec,
    Declaration,
    HookSetSpec,
    HookSpec,
    OptimizerSpec,
    TargetSpec,
    TaskSpec,
)

GROUP = "optreg.v1"
"""The entry-point group. Its name is the version handshake; a group of another version is never loaded."""

hookspec = pluggy.HookspecMarker("optreg")
hookimpl = pluggy.HookimplMarker("optreg")


@hookspec
def optreg_optimizers() -> Iterable[OptimizerSpec]:  # type: ignore[empty-body]
    """Return the optimizers that the package offers."""


@hookspec
def optreg_hooks() -> Iterable[HookSpec]:  # type: ignore[empty-body]
    """Return the hooks that the package offers."""


@hookspec
def optreg_hook_sets() -> Iterable[HookSetSpec]:  # type: ignore[empty-body]
    """Return the hook sets that the package offers: hooks that belong together, in order, with their arguments."""


@hookspec
def optreg_backends() -> Iterable[BackendSpec]:  # type: ignore[empty-body]
    """Return the backends that the package offers: what executes rules on a kind of array."""


@hookspec
def optreg_targets() -> Iterable[TargetSpec]:  # type: ignore[empty-body]
    """Return the adapters that the package offers for objects that ``setup()`` should accept."""


@hookspec
def optreg_tasks() -> Iterable[TaskSpec]:  # type: ignore[empty-body]
    """Return the problems that the package offers to ``optreg compare``."""


@hookspec
def optreg_commands() -> Iterable[CommandSpec]:  # type: ignore[empty-body]
    """Return the commands that the package adds to ``optreg``, called as ``optreg namespace/name``."""


@hookspec
def optreg_addhooks(pluginmanager: pluggy.PluginManager) -> None:
    """Add hook specifications of the package's own, with ``pluginmanager.add_hookspecs(module)``.

    Called once for each package, after its module was imported. Other packages may then implement these hooks, and
    the package calls them with ``optreg.plugin_manager().hook``.
    """


DECLARING: dict[str, type[Declaration]] = {
    "optreg_optimizers": OptimizerSpec,
    "optreg_hooks": HookSpec,
    "optreg_hook_sets": HookSetSpec,
    "optreg_backends": BackendSpec,
    "optreg_targets": TargetSpec,
    "optreg_tasks": TaskSpec,
    "optreg_commands": CommandSpec,
}
"""The hooks that return declarations, and of which class."""
