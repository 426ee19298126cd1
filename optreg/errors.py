"""Every exception of optreg: what happened, why, and what to do next, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable


class OptregError(Exception):
    """The base of all exceptions that optreg raises on purpose."""

    def __str__(self) -> str:
        # KeyError would print its message in quotes.
        return str(self.args[0]) if self.args else ""


class NotSetUpError(OptregError, RuntimeError, AttributeError):
    """An optimizer was asked for something that needs a target before ``setup(target)``.

    An AttributeError as well, so that ``hasattr(optimizer, "target")`` tells whether there is one.
    """


class TargetError(OptregError, TypeError):
    """What was given to ``setup()`` cannot be optimized."""


class GradientError(OptregError, ValueError):
    """A gradient does not fit its parameter, or belongs to no parameter."""


class HyperparameterError(OptregError, ValueError):
    """A hyperparameter's value is outside its bounds or of the wrong type."""


class UnknownHyperparameterError(OptregError, TypeError):
    """A hyperparameter that the optimizer or hook does not have."""


class PatternError(OptregError, ValueError):
    """A path pattern in ``options`` that matches no parameter."""


class UnknownNameError(OptregError, LookupError):
    """No installed package offers this optimizer, hook, backend or task."""


class UnknownKeyError(OptregError, KeyError):
    """A name that the optimizer or its target does not hold: a hook, a parameter."""


class NameTakenError(OptregError, KeyError):
    """A hook of that name is already registered with the optimizer."""


class PluginError(OptregError, RuntimeError):
    """A package's plugin is broken, disabled, or in conflict with another."""


class ConfigError(OptregError, ValueError):
    """A configuration that cannot be read, or an optimizer that cannot be written down as one."""


class CheckpointError(OptregError, ValueError):
    """A checkpoint that is damaged or does not belong to this optimizer and target."""


class MissingKeyError(CheckpointError, KeyError):
    """A checkpoint lacks a value that the optimizer needs."""


class UntraceableRuleError(OptregError, TypeError):
    """A rule does something that cannot be compiled; the message names the line and says what to write instead."""


class SkipStep(Exception):  # noqa: N818 (a signal, as StopIteration is, not an error)
    """Raised by a hook to leave parameters and states as they are in this step.

    The hooks after the one that raised it do not run. An optimizer with an ``update()`` of its own catches it around
    ``call_hooks()``, as in ``except SkipStep as skipped: self.t += skipped.counts``.

    Args:
        message: for where nothing catches it.
        counts: whether the step counts in ``t`` all the same; False where there was none to be made.
    """

    def __init__(
        self,
        message: str = "a hook asked to skip this step, but after the update, or where nothing catches SkipStep",
        *,
        counts: bool = True,
    ) -> None:
        super().__init__(message)
        self.counts = counts


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return " Did you mean 'a' or 'b'?" for the candidates that look like ``word``, or ""."""
    from difflib import get_close_matches

    normal = {_normalized(candidate): candidate for candidate in candidates}
    close = [normal[match] for match in get_close_matches(_normalized(word), normal, n=3, cutoff=0.6)]
    return f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


def _normalized(name: str) -> str:
    return name.lower().replace("-", "_")
