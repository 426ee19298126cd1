"""optreg: pick an optimizer by name, from any installed package, and run it on any arrays.

>>> import numpy as np, optreg
>>> w = np.array([1.0, -2.0])
>>> optimizer = optreg.create("sgd", lr=0.5).setup({"w": w})
>>> optimizer.apply_gradients({"w": w})
>>> w
array([ 0.5, -1. ])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optreg import errors as errors
    from optreg import hyperparameters as hyperparameters
    from optreg import schedules as schedules
    from optreg.backends import use_backend as use_backend
    from optreg.declarations import BackendSpec as BackendSpec
    from optreg.declarations import CommandSpec as CommandSpec
    from optreg.declarations import HookSetSpec as HookSetSpec
    from optreg.declarations import HookSpec as HookSpec
    from optreg.declarations import OptimizerSpec as OptimizerSpec
    from optreg.declarations import TargetSpec as TargetSpec
    from optreg.declarations import TaskSpec as TaskSpec
    from optreg.errors import SkipStep as SkipStep
    from optreg.hook import Hook as Hook
    from optreg.hooks.clipping import GradientClipping as GradientClipping
    from optreg.hooks.clipping import GradientHardClipping as GradientHardClipping
    from optreg.hooks.decay import Lasso as Lasso
    from optreg.hooks.decay import WeightDecay as WeightDecay
    from optreg.hooks.noise import GradientNoise as GradientNoise
    from optreg.hooks.noise import exponential_decay_noise as exponential_decay_noise
    from optreg.hooks.nonfinite import SkipNonfinite as SkipNonfinite
    from optreg.hookspecs import hookimpl as hookimpl
    from optreg.layers import layer_wise_lr_decay as layer_wise_lr_decay
    from optreg.named_defaults import NamedDefaults as NamedDefaults
    from optreg.optimizer import GradientMethod as GradientMethod
    from optreg.optimizer import Optimizer as Optimizer
    from optreg.registry import create as create
    from optreg.registry import create_hook as create_hook
    from optreg.registry import get as get
    from optreg.registry import hook_names as hook_names
    from optreg.registry import info as info
    from optreg.registry import names as names
    from optreg.registry import plugin_manager as plugin_manager
    from optreg.registry import plugins as plugins
    from optreg.registry import register as register
    from optreg.registry import temporary as temporary
    from optreg.serializers import load as load
    from optreg.serializers import save as save
    from optreg.targets import Parameter as Parameter

    __version__: str

_HOMES = {
    "optreg.backends": ("use_backend",),
    "optreg.declarations": (
        "BackendSpec",
        "CommandSpec",
        "HookSetSpec",
        "HookSpec",
        "OptimizerSpec",
        "TargetSpec",
        "TaskSpec",
    ),
    "optreg.errors": ("SkipStep",),
    "optreg.hook": ("Hook",),
    "optreg.hooks.clipping": ("GradientClipping", "GradientHardClipping"),
    "optreg.hooks.decay": ("Lasso", "WeightDecay"),
    "optreg.hooks.noise": ("GradientNoise", "exponential_decay_noise"),
    "optreg.hooks.nonfinite": ("SkipNonfinite",),
    "optreg.hookspecs": ("hookimpl",),
    "optreg.layers": ("layer_wise_lr_decay",),
    "optreg.named_defaults": ("NamedDefaults",),
    "optreg.optimizer": ("GradientMethod", "Optimizer"),
    "optreg.registry": (
        "create",
        "create_hook",
        "get",
        "hook_names",
        "info",
        "names",
        "plugin_manager",
        "plugins",
        "register",
        "temporary",
    ),
    "optreg.serializers": ("load", "save"),
    "optreg.targets": ("Parameter",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("errors", "hyperparameters", "schedules")

__all__ = sorted([*_HOME, *_MODULES, "__version__"])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    # Nothing is imported before it is used: `import optreg` stays cheap, and a plugin that declares needs no NumPy.
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = import_module(f"optreg.{name}")
    elif name == "__version__":
        from optreg.offers import version

        value = version()
    else:
        raise AttributeError(f"module 'optreg' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
