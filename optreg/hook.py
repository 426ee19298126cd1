"""The base of hooks: what happens to gradients or parameters at each step, beside the optimizer's own update."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from optreg.copying import Copied
from optreg.errors import OptregError
from optreg.passes import hook_states, prepare_pass, run
from optreg.rule import keeps_states
from optreg.signatures import values_of
from optreg.states import States
from optreg.targets import named_parameters


class Hook(Copied):
    """A hook that is a rule, or that overrides ``__call__(optimizer)``.

    Any other callable that takes the optimizer is a hook as well; this class adds rules, slots and schedules.

    A hook with a ``rule(self, param, grad, *slots)`` is run together with its neighbours and with the optimizer in
    one pass over memory. It may change ``grad``, its slots, and, after the update, ``param``. Its slots are saved
    with the optimizer.

    Attributes:
        timing: "pre", before the update, or "post", after it.
        name: what it is registered by, where nothing else is given: the name of its class.
        t: while the rule runs: the optimizer's ``t``, the number of steps made.
        elementwise: False if the rule needs whole tensors.
        changes_gradients: what the rule does to ``grad`` stays visible after the update.
        stays_on_device: ``observe()`` and ``__call__`` only ask devices for work, so that they need not wait for a
            device to say whether the step is made.
    """

    timing: ClassVar[Literal["pre", "post"]] = "pre"
    elementwise: ClassVar[bool] = True
    changes_gradients: ClassVar[bool] = True
    stays_on_device: ClassVar[bool] = False
    name: str
    t: int = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = cls.__name__

    def uses_slot(self, name: str) -> bool:  # noqa: ARG002 (a subclass decides by the name)
        """Whether a slot that the rule's signature makes optional is in use."""
        return True

    def init_state(self, param: Any, state: dict[str, Any]) -> None:
        """Put what the slots begin with into ``state``; those left out begin with zeros."""

    def forget(self) -> None:
        """Forget what goes with the slots: called by ``setup()`` and ``remove_hook()``, where these end."""

    def observe(self, opt: Any) -> None:
        """Look at the whole optimizer before the rule runs; overriding this splits the pass over memory here."""

    def __call__(self, opt: Any) -> None:
        """Run the hook on every parameter of the optimizer's target."""
        if not callable(getattr(self, "rule", None)):
            raise OptregError(
                f"the hook {type(self).__name__} does nothing: "
                f"give it a rule(self, param, grad), or __call__(self, opt)"
            )
        self.observe(opt)
        run(prepare_pass(opt, [(self, opt.t)]))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in values_of(self).items())
        return f"{type(self).__name__}({values})"


def is_rule_hook(hook: Any) -> bool:
    """Whether a hook is its rule and nothing more, so that it can share a pass with others."""
    has_rule = isinstance(hook, Hook) and callable(getattr(hook, "rule", None))
    return has_rule and type(hook).__call__ is Hook.__call__


def observes(hook: Any) -> bool:
    """Whether a hook has to see what the hooks before it have done, before its rule runs."""
    return isinstance(hook, Hook) and type(hook).observe is not Hook.observe


def timing_of(hook: Any) -> Literal["pre", "post"]:
    """When a hook runs: before the update, unless its ``timing`` says "post"."""
    timing = getattr(hook, "timing", "pre")
    if isinstance(timing, str) and timing not in ("pre", "post"):
        raise OptregError(f"the timing of the hook {name_of_hook(hook)} is {timing!r}; it must be 'pre' or 'post'")
    return "post" if timing == "post" else "pre"


def name_of_hook(hook: Any) -> str:
    """The name that a hook is registered by where none is given.

    Raises:
        TypeError: it is a lambda, which has none.
    """
    names = getattr(hook, "name", None), getattr(hook, "__name__", None), type(hook).__name__
    name = next(name for name in names if isinstance(name, str))
    if name == "<lambda>":
        raise TypeError("a lambda has no name of its own; give one, as in add_hook(hook, name='my_hook')")
    return name


def forget_slots(hook: Any) -> None:
    """Tell a hook that its slots are no more."""
    if isinstance(hook, Hook):
        hook.forget()


def prepare_hook_states(optimizer: Any) -> dict[str, States]:
    """The states of every hook that keeps some, by the hook's name, made where missing."""
    parameters = named_parameters(optimizer.target)
    return {
        name: hook_states(optimizer, name, hook, parameters)
        for name, hook in optimizer._hooks.items()
        if isinstance(hook, Hook) and keeps_states(hook)
    }
