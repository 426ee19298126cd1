"""Learning rates that fall from the layers at the output to those at the input."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from optreg import adapters
from optreg.errors import HyperparameterError, PatternError
from optreg.options import matches
from optreg.schedules import Scaled, schedule_from_config
from optreg.targets import all_parameters, as_target

_NUMBERED = re.compile(r"(.*?)(\d+)(?=/|$)")
"""The beginning of a path, up to the number that ends the first name which ends in one."""


def layer_wise_lr_decay(
    target: Any,
    lr: float | Callable[[int], float] | Mapping[str, Any],
    decay: float,
    layers: Sequence[str | Sequence[str]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Options in which each layer has a lower learning rate than the one after it: ``lr · decay^(layers after it)``.

    As in ELECTRA (Clark et al. 2020, arXiv:2003.10555) and BEiT (Bao et al. 2021, arXiv:2106.08254).

    Where ``layers`` are not given, the numbers in the paths say which they are: ``/blocks/0/…``, ``/blocks/1/…``, or
    ``/l1/…``, ``/l2/…``, in the order of the paths. Neighbours without numbers are one layer together: what comes
    before the blocks, what comes after them. Where no path has a number, the first names are the layers. Look at what
    comes out: a model whose parameters come in another order needs ``layers``.

    Args:
        target: what ``setup()`` takes, or the paths of parameters, from the input to the output.
        lr: of the last layer, a number or a schedule.
        decay: from each layer to the one before it, > 0 and <= 1.
        layers: from the input to the output, each a pattern of paths or several of them. One without patterns is no
            layer, but a distance.

    Returns:
        What ``create(..., options=...)`` takes: the learning rates by path pattern, from the input to the output.

    Raises:
        HyperparameterError: (a ValueError) the decay is out of its bounds, or the rate is neither number nor schedule.
        PatternError: (a ValueError) a path is in no layer or in several, a pattern matches none, or there is one layer.

    >>> paths = ["/embed/W", "/blocks/0/W", "/blocks/0/b", "/blocks/1/W", "/blocks/1/b", "/head/W"]
    >>> for pattern, overrides in layer_wise_lr_decay(paths, lr=0.1, decay=0.5).items():
    ...     print(pattern, overrides)
    /embed/W {'lr': 0.0125}
    /blocks/0/* {'lr': 0.025}
    /blocks/1/* {'lr': 0.05}
    /head/W {'lr': 0.1}
    """
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0 < decay <= 1:
        raise HyperparameterError(f"the decay from layer to layer must be a number > 0 and <= 1, but it is {decay!r}")
    paths = _paths_of(target)
    found = _found_in(paths) if layers is None else _given(layers)
    _check(found, paths)
    return {
        pattern: {"lr": _scaled(lr, decay ** (len(found) - number))}
        for number, patterns in enumerate(found, 1)
        for pattern in patterns
    }


def _given(layers: Sequence[str | Sequence[str]]) -> list[tuple[str, ...]]:
    is_list = isinstance(layers, Sequence) and not isinstance(layers, str)
    found: list[Any] = [(each,) if isinstance(each, str) else each for each in layers] if is_list else [layers]
    if not is_list or not all(isinstance(each, Sequence) and all(isinstance(p, str) for p in each) for each in found):
        raise PatternError(
            f"layers are patterns of paths, or lists of these, from the input to the output, as in "
            f"['embed/*', ['body/*', 'norm/*'], 'head/*']; got {layers!r}"
        )
    return [tuple(each) for each in found]


def _paths_of(target: Any) -> list[str]:
    if isinstance(target, Sequence) and not isinstance(target, str) and all(isinstance(each, str) for each in target):
        return list(target)
    return list(dict.fromkeys(name for name, _ in all_parameters(as_target(target, adapters.adapt))))


def _found_in(paths: Sequence[str]) -> list[tuple[str, ...]]:
    """The layers as patterns, by the numbers in the paths and by their order."""
    numbered = {path: match for path in paths if (match := _NUMBERED.match(path))}
    if not numbered:
        return [(pattern,) for pattern in dict.fromkeys(map(_first_name, paths))]
    layers: list[tuple[str, ...]] = []
    for prefix, run in groupby(paths, lambda path: numbered[path][1] if path in numbered else None):
        if prefix is None:
            layers.append(tuple(map(_escaped, run)))
        else:  # 10 comes after 9, in whatever order they are given
            blocks = sorted({(int(numbered[path][2]), _beginning(path, numbered[path].end())) for path in run})
            layers += [(pattern,) for _, pattern in blocks if (pattern,) not in layers]
    return layers


def _first_name(path: str) -> str:
    return _beginning(path, len(path) - len(path.lstrip("/")) + len(path.strip("/").partition("/")[0]))


def _beginning(path: str, end: int) -> str:
    """The pattern of all that begins with a whole part of a path."""
    return _escaped(path[:end]) + ("/*" if end < len(path) else "")


def _escaped(path: str) -> str:
    """The pattern of one path, whose brackets, stars and question marks mean themselves."""
    return re.sub(r"([*?[])", r"[\1]", path)


def _check(layers: Sequence[tuple[str, ...]], paths: Sequence[str]) -> None:
    if len(layers) < 2:
        raise PatternError(
            f"the paths do not show more than one layer: {', '.join(paths) or 'there are none'}; say which the layers "
            f"are, from the input to the output, as in layers=['embed/*', 'body/*', 'head/*']"
        )
    for path in paths:
        of_path = [patterns for patterns in layers if any(matches(path, pattern) for pattern in patterns)]
        if len(of_path) != 1:
            where = " and in ".join(repr(each[0] if len(each) == 1 else each) for each in of_path)
            raise PatternError(
                f"the parameter {path} is in {f'the layers {where}' if of_path else 'none of the layers'}; each must "
                f"be in one of them"
            )
    for pattern in (pattern for patterns in layers for pattern in patterns):
        if not any(matches(path, pattern) for path in paths):
            raise PatternError(
                f"the pattern {pattern!r} of a layer matches no parameter; the paths are: {', '.join(paths) or 'none'}"
            )


def _scaled(lr: Any, factor: float) -> Any:
    if isinstance(lr, Mapping):
        lr = schedule_from_config(lr)
    if callable(lr):
        return lr if factor == 1 else Scaled(lr, factor)
    try:
        return float(lr) * factor
    except (TypeError, ValueError) as error:
        raise HyperparameterError(f"lr must be a number or a schedule, but it is {lr!r}") from error
