"""Hyperparameters of groups of parameters, chosen by patterns of their paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from optreg.errors import ConfigError, PatternError, UnknownHyperparameterError
from optreg.hyperparameters import Hyperparameter
from optreg.signatures import NOTHING, hyperparameter, signature


def _hyperparameter(owner: object, name: str) -> Hyperparameter:
    found = hyperparameter(owner, name)
    if not hasattr(owner, found.attribute):
        raise UnknownHyperparameterError(
            f"{type(owner).__name__} keeps {name!r} in no attribute of that name, so options cannot change it; "
            f"set it for the whole optimizer"
        )
    return found


class Options:
    """Overrides of hyperparameters by path pattern, ``{"*/b": {"weight_decay": 0.0}}``.

    Where several patterns match a path, the later ones win.

    Args:
        owner: the optimizer, whose fields check the values.
        patterns: the overrides, by a pattern of shell wildcards in which ``*`` matches ``/`` as well.
    """

    def __init__(self, owner: object, patterns: Mapping[str, Mapping[str, Any]]) -> None:
        if not isinstance(patterns, Mapping) or not all(
            isinstance(pattern, str) and isinstance(overrides, Mapping) for pattern, overrides in patterns.items()
        ):
            raise ConfigError(
                f"options map patterns of paths to hyperparameters, as in {{'*/b': {{'lr': 0.1}}}}; got {patterns!r}"
            )
        known = signature(type(owner))
        self.patterns: dict[str, dict[str, Any]] = {}
        for pattern, overrides in patterns.items():
            known.check_names(type(owner), overrides)
            self.patterns[pattern] = {
                name: _hyperparameter(owner, name).checked(owner, value) for name, value in overrides.items()
            }
        self._by_path: dict[str, Mapping[str, Any]] = {}

    def at(self, path: str) -> Mapping[str, Any]:
        """The overrides for a parameter; the same object for the same path."""
        if not self.patterns:
            return NOTHING
        if path not in self._by_path:
            matching = [overrides for pattern, overrides in self.patterns.items() if matches(path, pattern)]
            merged: dict[str, Any] = {}
            for overrides in matching:
                merged |= overrides
            # Parameters with equal overrides share them, so that they are updated as one group.
            same = [each for each in self._by_path.values() if each == merged]
            self._by_path[path] = same[0] if same else merged
        return self._by_path[path]

    def check_all_match(self, paths: Iterable[str]) -> None:
        """Raise a PatternError for a pattern that matches none of the paths."""
        paths = list(paths)
        for pattern in self.patterns:
            if not any(matches(path, pattern) for path in paths):
                raise PatternError(
                    f"the pattern {pattern!r} in options matches no parameter; the paths are: "
                    f"{', '.join(paths) or 'none'}"
                )


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern matches a path, which may be written without its first slash, as elsewhere."""
    return fnmatchcase(path, pattern) or fnmatchcase(path.removeprefix("/"), pattern)
