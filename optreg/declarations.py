"""Declarations: what a package offers, as cold data. Making one imports nothing of the implementation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import attrs

from optreg.errors import PluginError
from optreg.named_defaults import NamedDefaults

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NAME_WITH_HYPHENS = re.compile(r"[a-z][a-z0-9_-]*")
_MODULE = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_ATTRIBUTE = r"(?:[^\W\d]\w*|<locals>|<lambda>)"  # so that what register() is given can be told, too
_TARGET = re.compile(rf"{_MODULE}:{_ATTRIBUTE}(?:\.{_ATTRIBUTE})*")
_TYPE = re.compile(rf"(?!(?:builtins|collections(?:\.abc)?|typing)\.){_MODULE}")
_REQUIREMENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

SNAKE_CASE = "a lower-case letter, then lower-case letters, digits and _"
WITH_HYPHENS = "a lower-case letter, then lower-case letters, digits, _ and -"


def is_name(text: object) -> bool:
    """Whether ``text`` can name an optimizer, a hook, a hook set or a backend."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def is_namespace(text: object) -> bool:
    """Whether ``text`` can be the namespace of a package."""
    return isinstance(text, str) and _NAME_WITH_HYPHENS.fullmatch(text) is not None


def _refuse(instance: object, attribute: attrs.Attribute[Any], value: object, accepted: str) -> None:
    name = getattr(instance, "name", None)
    owner = type(instance).__name__ + (f" {name!r}" if attribute.name != "name" else "")
    raise PluginError(f"{owner}: {attribute.name} must be {accepted}, but it is {value!r}")


def _matching(pattern: re.Pattern[str], accepted: str) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            _refuse(instance, attribute, value, accepted)

    return check


def _each_matching(pattern: re.Pattern[str], accepted: str) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, tuple):
            _refuse(instance, attribute, value, f"a tuple of texts, each {accepted}")
            return
        for each in value:
            if not isinstance(each, str) or pattern.fullmatch(each) is None:
                _refuse(instance, attribute, value, f"a tuple of texts, each {accepted}")

    return check


def _one_line(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or "\n" in value or "\r" in value:
        _refuse(instance, attribute, value, "one line of text")


def _as_tuple(value: Any) -> Any:
    """Lists become tuples, so that a declaration can't change; a single text is left for the validator to refuse."""
    return tuple(value) if isinstance(value, list) else value


def _name_field() -> Any:
    return attrs.field(validator=_matching(_NAME, f"a name ({SNAKE_CASE})"))


def _name_with_hyphens_field() -> Any:
    return attrs.field(validator=_matching(_NAME_WITH_HYPHENS, f"a name ({WITH_HYPHENS})"))


def _target_field() -> Any:
    return attrs.field(validator=_matching(_TARGET, 'text of the form "module:Class"'))


def _text_field(default: Any = attrs.NOTHING) -> Any:
    return attrs.field(default=default, validator=_one_line)


def _aliases_field() -> Any:
    return attrs.field(default=(), converter=_as_tuple, validator=_each_matching(_NAME, f"a name ({SNAKE_CASE})"))


def _types_field() -> Any:
    # Of an adapter for dict, or for object, installing a package would change what setup() does with what it knows.
    check = _each_matching(_TYPE, 'the full name of a class, "module.Class", and not of one of Python\'s own')
    return attrs.field(converter=_as_tuple, validator=check)


def _requires_field() -> Any:
    accepted = "the name of a distribution or module, without a version"
    return attrs.field(default=(), converter=_as_tuple, validator=_each_matching(_REQUIREMENT, accepted))


def _check_named_defaults(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, dict) or not all(is_name(k) and isinstance(v, NamedDefaults) for k, v in value.items()):
        _refuse(instance, attribute, value, 'a dict of NamedDefaults, as in {"torch": NamedDefaults({"lr": 1e-3})}')


@attrs.frozen
class OptimizerSpec:
    """An optimizer that a package offers.

    Args:
        name: its name inside the package's namespace, in snake case.
        target: where its class is, ``"module:Class"``; imported on use.
        summary: what it is, in one line.
        paper: authors, year, arXiv number.
        aliases: other names, inside the same namespace.
        requires: distributions or modules that must be installed to use it.
        defaults: what ``create(..., defaults="torch")`` may name, each :class:`NamedDefaults`.
    """

    kind: ClassVar[str] = "optimizer"
    name: str = _name_field()
    target: str = _target_field()
    summary: str = _text_field()
    paper: str = _text_field("")
    aliases: tuple[str, ...] = _aliases_field()
    requires: tuple[str, ...] = _requires_field()
    defaults: dict[str, NamedDefaults] = attrs.field(factory=dict, validator=_check_named_defaults, hash=False)


@attrs.frozen
class HookSpec:
    """A hook that a package offers. Its target is a class, made with arguments, or a plain function of the optimizer.

    The arguments are those of :class:`OptimizerSpec`, without defaults.
    """

    kind: ClassVar[str] = "hook"
    name: str = _name_field()
    target: str = _target_field()
    summary: str = _text_field()
    paper: str = _text_field("")
    aliases: tuple[str, ...] = _aliases_field()
    requires: tuple[str, ...] = _requires_field()


def _hook_pairs(value: Any) -> Any:
    """Read hooks written as ``"name"`` or ``("name", {arguments})`` as pairs of name and arguments."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return value
    return tuple(_hook_pair(each) for each in value)


def _hook_pair(entry: Any) -> Any:
    if isinstance(entry, str):
        return (entry, {})
    if isinstance(entry, (tuple, list)) and len(entry) == 2 and isinstance(entry[1], Mapping):
        return (entry[0], dict(entry[1]))
    return entry


def _check_hook_pairs(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    pairs = value if isinstance(value, tuple) else (None,)
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and is_reference(pair[0]) and isinstance(pair[1], dict)):
            _refuse(instance, attribute, value, 'a sequence of ("hook name", {arguments}) pairs')


def is_reference(text: object) -> bool:
    """Whether ``text`` can refer to something offered: ``"name"`` or ``"namespace/name"``."""
    if not isinstance(text, str):
        return False
    namespace, slash, name = text.rpartition("/")
    return is_name(name) and (not slash or is_namespace(namespace))


def _check_references(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, tuple) or not all(is_reference(each) for each in value):
        _refuse(instance, attribute, value, 'a tuple of hook set names, "name" or "namespace/name"')


@attrs.frozen
class HookSetSpec:
    """Hooks that belong together, in order, with their arguments.

    Args:
        name: the set's name inside the package's namespace, in snake case.
        hooks: ``("hook name", {arguments})`` pairs, in order. A bare name means the hook of the same package where it
            has one, the built-in otherwise.
        summary: what the set is for, in one line.
        extends: names of other sets, whose hooks come first.
    """

    kind: ClassVar[str] = "hook set"
    name: str = _name_field()
    hooks: tuple[tuple[str, dict[str, Any]], ...] = attrs.field(
        default=(), converter=_hook_pairs, validator=_check_hook_pairs, hash=False
    )
    summary: str = _text_field("")
    extends: tuple[str, ...] = attrs.field(default=(), converter=_as_tuple, validator=_check_references)


@attrs.frozen
class BackendSpec:
    """What executes rules on a kind of array. Its target is a class without arguments (``optreg.backends.Backend``).

    The arguments are those of :class:`OptimizerSpec`.
    """

    kind: ClassVar[str] = "backend"
    name: str = _name_field()
    target: str = _target_field()
    summary: str = _text_field("")
    aliases: tuple[str, ...] = _aliases_field()
    requires: tuple[str, ...] = _requires_field()


@attrs.frozen
class TargetSpec:
    """A kind of object that ``setup()`` accepts, and the function that makes a target of it.

    Args:
        name: the adapter's name inside the package's namespace, in snake case.
        target: where the adapter is, ``"module:function"``; it is called with the object.
        types: full names, ``"module.Class"``, looked up among the object's class and its bases; nothing is imported
            to compare them.
        summary: what it is, in one line.
        requires: distributions or modules that must be installed to use it.
    """

    kind: ClassVar[str] = "target"
    name: str = _name_field()
    target: str = _target_field()
    types: tuple[str, ...] = _types_field()
    summary: str = _text_field("")
    requires: tuple[str, ...] = _requires_field()


@attrs.frozen
class TaskSpec:
    """A problem for ``optreg compare``. Task names may have hyphens.

    The arguments are those of :class:`OptimizerSpec`.
    """

    kind: ClassVar[str] = "task"
    name: str = _name_with_hyphens_field()
    target: str = _target_field()
    summary: str = _text_field("")
    requires: tuple[str, ...] = _requires_field()


@attrs.frozen
class CommandSpec:
    """A command of ``optreg``, called as ``optreg namespace/name``. Command names may have hyphens.

    Its target is a click command or group, imported only when the command is called. The arguments are those of
    :class:`OptimizerSpec`; the summary is its line in ``optreg --help``.
    """

    kind: ClassVar[str] = "command"
    name: str = _name_with_hyphens_field()
    target: str = _target_field()
    summary: str = _text_field("")
    requires: tuple[str, ...] = _requires_field()


Declaration = OptimizerSpec | HookSpec | HookSetSpec | BackendSpec | TargetSpec | TaskSpec | CommandSpec

KINDS: dict[str, type[Declaration]] = {
    spec.kind: spec for spec in (OptimizerSpec, HookSpec, HookSetSpec, BackendSpec, TargetSpec, TaskSpec, CommandSpec)
}

WITH_HYPHENS_TOO = (TaskSpec.kind, CommandSpec.kind)
"""The kinds whose names may have hyphens: people type them in a shell."""
