"""What containers hold, to see later whether that is still the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import is_
from typing import Any


class Contents:
    """The keys and values of mappings, and the items of sequences, at a moment. Copies and pickles of it are None."""

    def __init__(self, containers: Sequence[Any]) -> None:
        self._mappings = [each for each in containers if isinstance(each, Mapping)]
        self._sequences = [each for each in containers if not isinstance(each, Mapping)]
        # The views of a dict are alive; what else a class gives as its values may not be.
        alive = all(type(each).values is dict.values for each in self._mappings)
        self._views = [*(each.values() for each in self._mappings), *self._sequences] if alive else None
        views = self._present()
        self._lengths = list(map(len, views))
        self._keys = list(chain.from_iterable(self._mappings))
        self._values = list(chain.from_iterable(views))

    def __reduce__(self) -> Any:
        return type(None), ()

    def _present(self) -> Sequence[Any]:
        views: Iterable[Any] = (each.values() for each in self._mappings)
        return self._views or [*views, *self._sequences]

    def are_still(self) -> bool:
        """Whether nothing was put in, taken out, replaced, moved or renamed."""
        views = self._views or self._present()
        return (
            list(map(len, views)) == self._lengths
            and list(chain.from_iterable(self._mappings)) == self._keys
            and all(map(is_, chain.from_iterable(views), self._values))
        )
