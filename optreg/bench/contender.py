"""What is measured against each other: the shape that all contenders have, and optreg's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Protocol

import attrs
import numpy as np

from optreg.backends import use_backend
from optreg.bench.cases import Array, Shape, Variant
from optreg.bench.devices import CPU, device_named
from optreg.registry import create
from optreg.signatures import values_of


@attrs.frozen
class Job:
    """The same work for every contender.

    Attributes:
        optimizer: its name in optreg.
        variant: what is done besides.
        dtype: of the parameters.
        threads: that each contender may use.
        device: where its arrays are, "cpu" or "cuda".
    """

    optimizer: str
    variant: Variant
    dtype: str
    threads: int
    device: str = CPU

    def our_optimizer(self) -> Any:
        """The optimizer of optreg, with hooks where it has no decay of its own, and for clipping."""
        own_decay = has_own_decay(self.optimizer)
        hyperparameters: dict[str, Any] = {"weight_decay": self.variant.decay} if own_decay else {}
        hooks: list[Any] = []
        if self.variant.threshold is not None:
            hooks.append(("gradient_clipping", {"threshold": self.variant.threshold}))
        if self.variant.decay and not own_decay:
            hooks.append(("weight_decay", {"rate": self.variant.decay}))
        return create(self.optimizer, hooks=hooks, **hyperparameters)

    def values(self) -> dict[str, Any]:
        """The optimizer's hyperparameters."""
        return dict(values_of(self.our_optimizer()))


def has_own_decay(optimizer: str) -> bool:
    """Whether the method has weight decay in its formula; others get that of a hook, through the gradient."""
    return "weight_decay" in values_of(create(optimizer))


class Contender(Protocol):
    """An implementation at work on parameters of its own."""

    name: str

    def start(self, values: Sequence[Array]) -> None:
        """Begin at copies of ``values``."""

    def renew_gradients(self, gradients: Sequence[Array]) -> None:
        """Put new arrays, copies of ``gradients``, in the places of the gradients."""

    def step(self) -> None:
        """Make one step and wait for its end: this is what is timed."""

    def drop_gradients(self) -> None:
        """Give their memory back."""

    def values(self) -> list[Array]:
        """Copies of the parameters as they are now."""

    def at_work(self) -> AbstractContextManager[None]:
        """What a program would do once around its steps."""


class Ours:
    """optreg with one of its backends."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        self._job = job

    def start(self, values: Sequence[Array]) -> None:
        self._device = device_named(self._job.device)
        self._arrays = {str(position): self._device.copy(value) for position, value in enumerate(values)}
        self._optimizer = self._job.our_optimizer().setup(self._arrays)
        self._parameters = [parameter for _, parameter in self._optimizer.target.namedparams()]

    def renew_gradients(self, gradients: Sequence[Array]) -> None:
        self.drop_gradients()
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = self._device.copy(gradient)
        self._device.wait()

    def step(self) -> None:
        self._optimizer.update()
        self._device.wait()

    def drop_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def values(self) -> list[Array]:
        return [self._device.fetch(array) for array in self._arrays.values()]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with use_backend(self.name):
            yield


@cache
def arrays_changed(optimizer: str, shape: Shape) -> int:
    """How many arrays as large as a parameter a step changes: itself, and its states; AdamW's p, m, v.

    States that are smaller, such as one number for each row, do not count.
    """
    like = np.zeros(shape, np.float32)  # of which no page is touched
    made = create(optimizer).setup({"p": like})
    return 1 + sum(bool(np.shape(value) == shape) for value in _written(made).values())


def arrays_moved(optimizer: str, shape: Shape = (2,)) -> int:
    """How many such arrays a step moves: AdamW reads p, g, m, v and writes p, m, v."""
    return 1 + 2 * arrays_changed(optimizer, shape)


def _written(optimizer: Any) -> dict[str, Any]:
    """The state of the only parameter, as a checkpoint gets it."""
    found: dict[str, Any] = {}

    class Recorder:
        def __init__(self, into: dict[str, Any]) -> None:
            self.into = into

        def __call__(self, key: str, value: Any) -> Any:
            self.into[key] = value
            return value

        def __getitem__(self, path: str) -> Any:
            return Recorder(found)

    optimizer.serialize(Recorder({}))
    return found
