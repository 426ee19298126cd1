"""What an optimizer does with hooks: it keeps them by name, in order, and calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from optreg import registry
from optreg.copying import Copied
from optreg.errors import NameTakenError, UnknownKeyError, did_you_mean
from optreg.hook import Hook, forget_slots, name_of_hook, timing_of
from optreg.passes import keep_before, prepare_pass, run
from optreg.rule import sees_before
from optreg.states import States


class Hooked(Copied):
    """The part of :class:`optreg.Optimizer` that has hooks."""

    target: Any
    _hooks: dict[str, Any]
    _hook_states: dict[str, States]
    _before: dict[str, Any]
    _lossfun: Callable[[], Any] | None

    def _keep_no_hooks(self) -> None:
        self._hooks = {}
        self._before = {}
        self._lossfun = None

    def add_hook(self, hook: Any, name: str | None = None, **arguments: Any) -> None:
        """Register a hook; hooks run in the order of registration.

        Args:
            hook: any callable that takes the optimizer, a :class:`Hook`, or a registered name: a hook's, or a hook
                set's, which stands for its hooks in order.
            name: what to register it as; by default ``hook.name``, or the name of the function or class.
            arguments: the hook's own, where it is given by name.

        Raises:
            TypeError: not callable, or a lambda without a name.
            NameTakenError: (a KeyError) there is a hook of that name.
        """
        if isinstance(hook, str):
            hooks: Iterable[tuple[Any, str | None]] = registry.make_hooks(hook, arguments, name)
        elif arguments:
            raise TypeError(
                f"arguments ({', '.join(arguments)}) go with a hook's registered name, as in "
                f"add_hook('weight_decay', rate=1e-4); give them to the hook itself"
            )
        else:
            hooks = [(hook, name)]
        added: dict[str, Any] = {}
        for each, known_as in hooks:
            key = self._key_of_hook(each, known_as)
            if key in self._hooks or key in added:
                raise NameTakenError(
                    f"the hook {key} already exists; remove it with remove_hook({key!r}), or give another name"
                )
            added[key] = each
        self._hooks.update(added)

    @staticmethod
    def _key_of_hook(hook: Any, name: str | None) -> str:
        if not callable(hook) or (isinstance(hook, type) and issubclass(hook, Hook)):
            raise TypeError(
                f"a hook function must be callable with the optimizer, but {hook!r} is not; "
                f"give a function, an instance of a Hook, or a registered name"
            )
        timing_of(hook)
        return str(name or name_of_hook(hook))

    def remove_hook(self, name: str) -> None:
        """Remove a hook by the name it was registered with, and its states.

        Raises:
            UnknownKeyError: (a KeyError) no such hook; the message lists those there are.
        """
        if name not in self._hooks:
            raise UnknownKeyError(
                f"there is no hook {name!r}; there are: {', '.join(self._hooks) or 'none'}."
                f"{did_you_mean(name, self._hooks)}"
            )
        forget_slots(self._hooks.pop(name))
        vars(self).get("_hook_states", {}).pop(name, None)

    def call_hooks(self, timing: Literal["pre", "post"] = "pre") -> None:
        """Run the hooks that come before the update, or those that come after it, in order.

        An optimizer with an :meth:`update` of its own calls this before and after it changes the parameters.
        """
        _ = self.target  # which there must be
        try:
            for hook in tuple(self._hooks.values()):  # a hook may add or remove hooks
                if timing_of(hook) == timing and self._has_hook(hook):
                    hook(self)
                    self._after_hook()
        finally:
            self._lossfun = None
        self._keep_or_forget(timing)

    def _keep_or_forget(self, timing: Literal["pre", "post"]) -> None:
        """Before an update, copy the parameters where a hook after it wants them as they were."""
        if timing == "post":
            self._before.clear()
        elif any(map(sees_before, self._hooks.values())):
            keep_before(self)

    def _after_hook(self) -> None:
        """What is to be done after each hook that is called alone."""

    def _run_rules_of_hooks(self, hooks: Sequence[Any], t: int) -> None:
        """Run the rules of some hooks in a pass of their own."""
        run(prepare_pass(self, [(hook, t) for hook in hooks]))

    def _has_hook(self, hook: Any) -> bool:
        return any(each is hook for each in self._hooks.values())
