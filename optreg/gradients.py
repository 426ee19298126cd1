"""Gradients: cleared, checked, and given by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from optreg.arrays import Array, device_of, is_array, zeros_like
from optreg.errors import GradientError, did_you_mean
from optreg.targets import ArrayTarget, all_parameters, check_parameter, children, described, leaves, named_parameters


def check_gradient(name: str, data: Array, grad: Array, *, integers: bool = False) -> None:
    """Raise a GradientError unless ``grad`` fits the parameter's array; ``integers`` will do where they are added."""
    if not is_array(data):
        check_parameter(name, data)
    if not is_array(grad):
        raise GradientError(f"the gradient of {name} is {described(grad)}; gradients are arrays, or None")
    if grad.shape != data.shape:
        raise GradientError(
            f"the gradient of {name} has the shape {grad.shape}, but the parameter has {data.shape}; "
            f"nothing was updated"
        )
    if isinstance(grad, np.ndarray) != isinstance(data, np.ndarray):
        raise GradientError(
            f"the gradient of {name} is a {type(grad).__module__} array, but the parameter is a "
            f"{type(data).__module__} array; move one to the other's device"
        )
    if not isinstance(data, np.ndarray) and grad.data.device_id != data.data.device_id:
        raise GradientError(
            f"the gradient of {name} is on device {grad.data.device_id}, but the parameter is on device "
            f"{data.data.device_id}; move one to the other's device"
        )
    if grad.dtype.kind not in ("fciub" if integers else "fc"):
        raise GradientError(f"the gradient of {name} is of dtype {grad.dtype}; convert it to {data.dtype}")
    if grad.dtype.kind == "c" and data.dtype.kind != "c":
        raise GradientError(f"the gradient of {name} is complex, but the parameter is real; give its real part")


def fit_gradients(parameters: Iterable[tuple[str, Any]]) -> None:
    """Check every gradient that is there; make NumPy's numbers arrays, and those of complex parameters complex.

    Raises:
        GradientError: one does not fit its parameter. Nothing was changed.
    """
    fitted = []
    for name, parameter in parameters:
        grad = parameter.grad
        if grad is None:
            continue
        if isinstance(grad, np.generic):  # what NumPy gives for arithmetic on arrays without axes
            grad = np.asarray(grad)
        check_gradient(name, parameter.data, grad)
        if parameter.data.dtype.kind == "c" and grad.dtype.kind != "c":
            grad = grad.astype(parameter.data.dtype)
        if grad is not parameter.grad:
            fitted.append((parameter, grad))
    for parameter, grad in fitted:
        parameter.grad = grad


def clear_gradients(target: Any) -> None:
    """Set every gradient to None, as ``cleargrads()`` of the target does where there is one."""
    if callable(getattr(target, "cleargrads", None)):
        target.cleargrads()
    else:
        for _, parameter in all_parameters(target):
            parameter.grad = None


def zero_gradients(target: Any) -> None:
    """Fill every gradient with zeros, as ``zerograds()`` of the target does where there is one."""
    if callable(getattr(target, "zerograds", None)):
        target.zerograds()
        return
    for _, parameter in named_parameters(target):
        if parameter.grad is None:
            parameter.grad = zeros_like(parameter.data)
        else:
            parameter.grad[...] = 0


def fill_gradients(target: Any) -> None:
    """Give parameters whose gradient is None one of zeros."""
    for _, parameter in named_parameters(target):
        if parameter.grad is None:
            parameter.grad = zeros_like(parameter.data)


def assign_gradients(target: Any, gradients: Mapping[str, Any] | Sequence[Any]) -> None:
    """Give every parameter its gradient by name; parameters that are not named get None.

    Arrays are taken as they are, so that what hooks do to them is seen by their owner; a copy is made where one
    array would stand for two gradients, shares memory with the parameter, or is of integers.

    Raises:
        GradientError: a name without a parameter, or a shape or dtype that does not fit. Nothing was assigned.
    """
    paths = dict(target.paths() if isinstance(target, ArrayTarget) else all_parameters(target))
    found: dict[int, Array] = {}
    taken = {id(parameter.data) for parameter in paths.values()}
    if children(gradients) is None:
        raise GradientError(
            f"gradients are given by name, as a mapping like the parameters' own; got {type(gradients).__name__}"
        )
    for path, _, _, grad in leaves(gradients):
        parameter = paths.get(path)
        if parameter is not None and parameter.data is None and grad is not None:
            raise GradientError(f"the parameter {path} has no array yet, so it takes no gradient; give it one, or None")
        if parameter is None:
            raise GradientError(
                f"there is no parameter {path} for this gradient; there are: {', '.join(paths) or 'none'}."
                f"{did_you_mean(path, paths)}"
            )
        if grad is None:
            continue
        if id(parameter) in found:
            raise GradientError(
                f"{path} is an array that the mapping shares with another path, and both were given a gradient; "
                f"add the two and give the sum under one of the paths"
            )
        found[id(parameter)] = usable = _usable_gradient(path, parameter.data, grad, taken)
        taken.add(id(usable))
    for parameter in paths.values():
        parameter.grad = found.get(id(parameter))


def _usable_gradient(path: str, data: Array, grad: Any, taken: set[int]) -> Array:
    if not is_array(grad):
        grad = np.asarray(grad)
    if grad.dtype.kind in "biu":
        with device_of(data):
            grad = grad.astype(data.dtype)
    check_gradient(path, data, grad)
    if data.dtype.kind == "c" and grad.dtype.kind != "c":
        return grad.astype(data.dtype)
    shares = isinstance(grad, np.ndarray) and np.may_share_memory(grad, data)
    return grad.copy() if shares or id(grad) in taken else grad


def gradients_of(target: Any) -> list[Array]:
    """Every gradient that has elements."""
    gradients = (parameter.grad for _, parameter in named_parameters(target))
    return [grad for grad in gradients if grad is not None and grad.size]


def changeable_gradients(parameters: Iterable[tuple[str, Any]]) -> list[Array]:
    """Every gradient that is there; one that is read-only, another's as well, or the parameter becomes a copy first."""
    found: dict[int, Array] = {}
    for _, parameter in parameters:
        grad = parameter.grad
        shared = id(grad) in found or grad is parameter.data
        if shared or (isinstance(grad, np.ndarray) and not grad.flags.writeable):
            parameter.grad = grad = grad.copy()
        if grad is not None:
            found[id(grad)] = grad
    return list(found.values())


def compute_gradients(target: Any, lossfun: Callable[..., Any], args: Any, kwds: Any, *, cleared: bool) -> Any:
    """Give the parameters the gradients of a loss function, and return the loss; ``cleared`` ones are None before."""
    if not callable(lossfun):
        raise TypeError(
            f"update() takes a loss function, which it calls, but got {described(lossfun)}; where the gradients "
            f"are there already, call update() without arguments"
        )
    (clear_gradients if cleared else zero_gradients)(target)
    result = lossfun(*args, **kwds)
    if isinstance(result, tuple) and len(result) == 2:
        loss, gradients = result
        assign_gradients(target, gradients)
        return loss
    if not callable(getattr(result, "backward", None)):
        raise GradientError(
            f"the loss function returned {type(result).__name__}, which has no gradients; return something with "
            f"backward(), or a pair (loss, gradients) with the gradients by name, as the parameters are"
        )
    result.backward()
    return result
