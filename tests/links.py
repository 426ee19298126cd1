"""Links, variables and serializers with the interface of Chainer 1.24, as small as the tests need them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class Variable:
    """An array, its gradient, and how to go back to the variables that it was computed from."""

    def __init__(self, data: Any, name: str | None = None, backward: Any = None) -> None:
        self.data = data
        self.grad: Any = None
        self.name = name
        self._backward = backward

    def cleargrad(self) -> None:
        self.grad = None

    def zerograd(self) -> None:
        if self.grad is None:
            self.grad = np.zeros_like(self.data)
        else:
            self.grad.fill(0)

    def addgrad(self, other: Variable) -> None:
        if other.grad is not None:
            self.grad = other.grad.copy() if self.grad is None else self.grad + other.grad

    def accumulate(self, grad: Any) -> None:
        """What backward() does to a variable that nothing else has computed."""
        if self.grad is None:
            self.grad = grad
        else:
            self.grad += grad

    def backward(self) -> None:
        self._backward()


class Link:
    """Parameters under names; new parameters have NaN as gradient until it is cleared, as in Chainer."""

    def __init__(self, **params: Any) -> None:
        self._params: list[str] = []
        self._waiting: dict[str, str | None] = {}
        for name, data in params.items():
            self.add_param(name, data)

    def add_param(self, name: str, data: Any) -> None:
        variable = Variable(data, name)
        cleared = self._waiting.pop(name, "never")
        if cleared != "cleared":
            variable.grad = np.full_like(data, 0 if cleared == "zeroed" else np.nan)
        self._params.append(name)
        setattr(self, name, variable)

    def add_uninitialized_param(self, name: str) -> None:
        self._waiting[name] = None

    @property
    def has_uninitialized_params(self) -> bool:
        return len(self._waiting) > 0

    def params(self) -> Iterator[Variable]:
        for name in self._params:
            yield getattr(self, name)

    def namedparams(self) -> Iterator[tuple[str, Variable]]:
        for name in self._params:
            yield "/" + name, getattr(self, name)

    def links(self) -> Iterator[Link]:
        yield self

    def cleargrads(self) -> None:
        for param in self.params():
            param.cleargrad()
        for link in self.links():
            link._waiting = dict.fromkeys(link._waiting, "cleared")

    def zerograds(self) -> None:
        for param in self.params():
            param.zerograd()
        for link in self.links():
            link._waiting = dict.fromkeys(link._waiting, "zeroed")

    def addgrads(self, link: Link) -> None:
        theirs = dict(link.namedparams())
        for name, param in self.namedparams():
            param.addgrad(theirs[name])


class Chain(Link):
    """Links under names."""

    def __init__(self, **links: Link) -> None:
        super().__init__()
        self._children = list(links)
        for name, link in links.items():
            setattr(self, name, link)

    def children(self) -> Iterator[tuple[str, Link]]:
        for name in self._children:
            yield name, getattr(self, name)

    def params(self) -> Iterator[Variable]:
        yield from super().params()
        for _, link in self.children():
            yield from link.params()

    def namedparams(self) -> Iterator[tuple[str, Variable]]:
        yield from super().namedparams()
        for name, link in self.children():
            for path, param in link.namedparams():
                yield f"/{name}{path}", param

    def links(self) -> Iterator[Link]:
        yield self
        for _, link in self.children():
            yield from link.links()


class Linear(Link):
    """``x @ W.T + b``, whose W is made at the first call, when the size of the input is known."""

    def __init__(self, outputs: int, inputs: int | None = None) -> None:
        super().__init__(b=np.zeros(outputs, np.float32))
        if inputs is None:
            self.add_uninitialized_param("W")
        else:
            self.initialize(inputs)

    def initialize(self, inputs: int) -> None:
        shape = (self.b.data.size, inputs)
        self.add_param("W", np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape))

    def __call__(self, x: Any) -> Variable:
        """Half the sum of squares of the output, as a loss."""
        if self.has_uninitialized_params:
            self.initialize(x.shape[1])
        y = x @ self.W.data.T + self.b.data

        def backward() -> None:
            self.b.accumulate(y.sum(axis=0))
            self.W.accumulate(y.T @ x)

        return Variable(np.square(y).sum() / 2, backward=backward)


class Serializer:
    """Writes values into a flat dictionary."""

    def __init__(self, target: dict[str, Any], path: str = "") -> None:
        self.target, self.path = target, path

    def __getitem__(self, key: str) -> Serializer:
        return Serializer(self.target, self.path + key.strip("/") + "/")

    def __call__(self, key: str, value: Any) -> Any:
        self.target[self.path + key.lstrip("/")] = np.array(value)
        return value

    def save(self, obj: Any) -> None:
        obj.serialize(self)


class Deserializer:
    """Reads values from a flat dictionary: into the arrays that it is given, as Chainer's does."""

    def __init__(self, source: Any, path: str = "") -> None:
        self.source, self.path = source, path

    def __getitem__(self, key: str) -> Deserializer:
        return Deserializer(self.source, self.path + key.strip("/") + "/")

    def __call__(self, key: str, value: Any) -> Any:
        found = self.source[self.path + key.lstrip("/")]
        if value is None:
            return found
        if isinstance(value, np.ndarray):
            np.copyto(value, found)
            return value
        return type(value)(np.asarray(found))

    def load(self, obj: Any) -> None:
        obj.serialize(self)
