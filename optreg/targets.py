"""What an optimizer optimizes: parameters with a path name, an array, and its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs
import numpy as np

from optreg.arrays import Array, array_module, device_of, is_array
from optreg.contents import Contents
from optreg.errors import TargetError, UnknownKeyError, did_you_mean

ACCEPTED = (
    "a mapping (nested at will) of arrays, or an object with namedparams() or params() "
    "whose parameters have .data and .grad, such as a Chainer link"
)


class Target(Protocol):
    """What ``setup()`` accepts as it is: Chainer's links, and what a plugin's target adapter returns.

    ``zerograds()`` and ``cleargrads()`` are used where they exist.
    """

    def namedparams(self) -> Iterable[tuple[str, Any]]:
        """Pairs of a path such as ``/l1/W`` and a parameter with ``.data`` and ``.grad``."""


class Parameter:
    """One array of a nested mapping, and its gradient.

    Attributes:
        name: the path, such as ``/l1/W``.
        data: the array, read from the mapping and written to it; None while not initialized.
        grad: an array of the same shape, or None.
    """

    __slots__ = ("_container", "_key", "grad", "name")

    def __init__(self, name: str, container: Any, key: Any) -> None:
        self.name = name
        self._container = container
        self._key = key
        self.grad: Array | None = None

    @property
    def place(self) -> tuple[Any, Any]:
        """The mapping or sequence that holds the array, and the key there."""
        return self._container, self._key

    @property
    def data(self) -> Array:
        return self._container[self._key]

    @data.setter
    def data(self, value: Array) -> None:
        self._container[self._key] = value

    def __repr__(self) -> str:
        data = self.data
        held = "not initialized" if data is None else f"{data.shape} {data.dtype}"
        return f"<Parameter {self.name} {held}>"


def children(node: Any) -> Iterable[tuple[Any, Any]] | None:
    """The children of a mapping or sequence with their keys; None for a leaf."""
    if isinstance(node, np.ndarray):  # (asked first, because it is by far the most frequent)
        return None
    if isinstance(node, Mapping):
        return node.items()
    if isinstance(node, Sequence) and not isinstance(node, (str, bytes)):
        return enumerate(node)
    return None


def leaves(node: Any, path: str = "", inside: Sequence[Any] = ()) -> Iterator[tuple[str, Any, Any, Any]]:
    """Every leaf of nested mappings and sequences, with its path and where it is kept.

    Raises:
        TargetError: one contains itself.
    """
    for key, child in children(node) or ():
        child_path = f"{path}/{str(key).strip('/')}"
        if children(child) is None:
            yield child_path, node, key, child
        elif any(child is each for each in (*inside, node)):
            raise TargetError(
                f"what lies at {child_path} contains itself, so its arrays have no end; take it out there"
            )
        else:
            yield from leaves(child, child_path, (*inside, node))


def nested(node: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Every mapping and sequence inside of another, with that and its key there."""
    for key, child in children(node) or ():
        if children(child) is not None:
            yield node, key, child
            yield from nested(child)


@attrs.frozen(eq=False)
class Snapshot:
    """The parameters of a nested mapping at a moment.

    Attributes:
        paths: every path with its parameter; a shared array's paths lead to the parameter of the first.
        named: every parameter once, with its path.
        initialized: those of them that have an array.
        contents: of the mapping and all that are in it.
    """

    paths: Sequence[tuple[str, Parameter]]
    named: Sequence[tuple[str, Parameter]]
    initialized: Sequence[tuple[str, Parameter]]
    contents: Contents | None


class ArrayTarget:
    """A nested mapping of arrays as a target. Arrays put into the mapping later are parameters from then on.

    An array that stands at two places is one parameter, known under both paths. A None is a parameter that is
    not initialized yet.

    >>> import numpy as np
    >>> target = ArrayTarget({"l1": {"W": np.ones((2, 3)), "b": np.zeros(2)}})
    >>> [name for name, _ in target.namedparams()]
    ['/l1/W', '/l1/b']
    >>> target["/l1/b"]
    <Parameter /l1/b (2,) float64>
    """

    def __init__(self, arrays: Mapping[str, Any] | Sequence[Any]) -> None:
        self.arrays = arrays
        self._parameters: dict[str, Parameter] = {}
        self._snapshot: Snapshot | None = None
        for path, container, key, leaf in leaves(arrays):
            if container[key] is not leaf:
                raise TargetError(
                    f"{type(container).__name__} gives a new array for {path} at each access, so updates in place "
                    f"would be lost; read the arrays into a dict, and give that"
                )
        self.snapshot()  # so that a wrong mapping is found out here

    def namedparams(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once, with its path, in the order of the mapping."""
        return iter(self.snapshot().named)

    def paths(self) -> Iterator[tuple[str, Parameter]]:
        """Every path with its parameter; a shared array's paths lead to the parameter of the first."""
        return iter(self.snapshot().paths)

    def snapshot(self) -> Snapshot:
        """What the mapping holds now: the same object for as long as that is the same."""
        last = self._snapshot
        if last is None or last.contents is None or not last.contents.are_still():
            paths = list(self._read())
            named = [(path, parameter) for path, parameter in paths if path == parameter.name]
            initialized = [(path, parameter) for path, parameter in named if parameter.data is not None]
            contents = Contents([self.arrays, *(child for _, _, child in nested(self.arrays))])
            last = self._snapshot = Snapshot(paths, named, initialized, contents)
        return last

    def _read(self) -> Iterator[tuple[str, Parameter]]:
        first: dict[int, Parameter] = {}
        seen = set()
        for path, container, key, leaf in leaves(self.arrays):
            if path in seen:
                raise TargetError(f"two arrays of the mapping have the path {path}; rename one of their keys")
            seen.add(path)
            parameter = self._parameters.get(path)
            if parameter is None or parameter._container is not container or parameter._key != key:
                parameter = self._parameters[path] = Parameter(path, container, key)
            if leaf is not None:
                parameter = first.setdefault(id(leaf), parameter)
            yield path, parameter

    def params(self) -> Iterator[Parameter]:
        """Every parameter once."""
        return iter([parameter for _, parameter in self.namedparams()])

    def cleargrads(self) -> None:
        """Set every gradient to None."""
        for parameter in self.params():
            parameter.grad = None

    def zerograds(self) -> None:
        """Give every parameter a new gradient of zeros; the arrays that were its gradients are left as they are."""
        for parameter in self.params():
            if parameter.data is not None:
                with device_of(parameter.data):
                    # zeros, not zeros_like: the system hands out zeroed pages, so unused ones cost nothing.
                    zeros = array_module(parameter.data).zeros
                    parameter.grad = zeros(parameter.data.shape, parameter.data.dtype)

    def __getitem__(self, path: str) -> Parameter:
        """The parameter at a path such as ``/l1/W``."""
        wanted = "/" + str(path).strip("/")
        found = dict(self.paths())
        if wanted not in found:
            raise UnknownKeyError(
                f"there is no parameter {path!r}; there are: {', '.join(found) or 'none'}.{did_you_mean(wanted, found)}"
            )
        return found[wanted]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.namedparams())

    def __len__(self) -> int:
        return len(self.snapshot().named)

    def __repr__(self) -> str:
        return f"<ArrayTarget {', '.join(self) or 'without parameters'}>"


def as_target(value: Any, adapt: Callable[[Any], Any]) -> Any:
    """What the optimizer will keep as its ``target``: ``value`` itself where it is a target already.

    Args:
        value: what was given to ``setup()``.
        adapt: asks the installed packages for an adapter; returns a target or None.

    Raises:
        TargetError: nothing knows how to optimize ``value``.
    """
    if isinstance(value, type):
        raise TargetError(f"optimization target must be a link, or {ACCEPTED}; got the class {value.__name__}")
    if any(callable(getattr(value, method, None)) for method in ("namedparams", "params")):
        return value
    adapted = adapt(value)
    if adapted is not None:
        return adapted
    if children(value) is not None:
        return ArrayTarget(value)
    raise TargetError(f"optimization target must be a link, or {ACCEPTED}; got {type(value).__name__}")


def all_parameters(target: Any) -> Iterable[tuple[str, Any]]:
    """Every parameter with its path, shared ones under each of theirs.

    A target that has ``params()`` only: its parameters are named by their own names, or by their positions.
    """
    if callable(getattr(target, "namedparams", None)):
        return target.namedparams()  # type: ignore[no-any-return]
    return [
        (f"/{getattr(parameter, 'name', None) or position}", parameter)
        for position, parameter in enumerate(target.params())
    ]


def named_parameters(target: Any) -> list[tuple[str, Any]]:
    """Every initialized parameter once, under its first path."""
    if isinstance(target, ArrayTarget):
        return list(target.snapshot().initialized)
    seen: set[int] = set()
    found = []
    for name, parameter in all_parameters(target):
        if id(parameter) not in seen and parameter.data is not None:
            seen.add(id(parameter))
            found.append((name, parameter))
    return found


def uninitialized_names(target: Any) -> list[str] | None:
    """The paths of the parameters that have no array yet; None where more may come under names not known yet."""
    if getattr(target, "has_uninitialized_params", False):
        return None
    links = target.links() if callable(getattr(target, "links", None)) else ()
    if any(getattr(link, "has_uninitialized_params", False) for link in links):
        return None
    return [name for name, parameter in all_parameters(target) if parameter.data is None]


def check_parameter(name: str, data: Any) -> None:
    """Raise a TargetError unless ``data`` is an array that can be optimized in place."""
    if not is_array(data):
        raise TargetError(
            f"the parameter {name} is {described(data)}; parameters are arrays, changed in place: "
            f"wrap it, as in numpy.array(value, dtype=float)"
        )
    if data.dtype.kind not in "fc":
        raise TargetError(
            f"the parameter {name} is of dtype {data.dtype}, which has no gradients; "
            f"convert it to a floating-point array first, or leave it out of the target"
        )
    if isinstance(data, np.ndarray) and not data.flags.writeable:
        raise TargetError(f"the parameter {name} is read-only, so it cannot be updated in place; give a copy of it")


def described(value: object) -> str:
    return f"a {type(value).__name__}" + (f" ({value!r})" if isinstance(value, (bool, int, float)) else "")
