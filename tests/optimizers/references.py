"""An optimizer of optreg and an implementation that is not ours, side by side on the same problem.

A test module names the pairs, and each pair runs on every problem::

    @every_problem
    def test_adam_walks_the_path_of_torch(problem):
        theirs = Torch(lambda params: torch.optim.Adam(params, lr=0.1))
        assert_same_path(Adam(lr=0.1), theirs, problem, states={"m": "exp_avg", "v": "exp_avg_sq"})

References: ``Torch`` (a torch.optim class), ``Optax`` (a gradient transformation), ``Keras`` (a keras.optimizers
object), ``Formula`` (a formula that the test spells out, for a method that no package has).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

import attrs
import jax
import numpy as np
import optax
import pytest
import torch

from optreg.optimizer import GradientMethod

Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]

_SHAPES = {"W": (4, 6), "b": (6,), "filters": (2, 3, 3), "scale": ()}


class Method(Protocol):
    """An implementation at work: it holds parameters and changes them, one set of gradients at a time."""

    def start(self, values: Arrays) -> None:
        """Begin at copies of ``values``."""

    def step(self, gradients: Arrays) -> None:
        """Make one update."""

    def values(self) -> Arrays:
        """The parameters as they are now."""

    def state(self, key: Any) -> Arrays:
        """One state of every parameter, under the implementation's own key."""


@attrs.frozen
class Problem:
    """Where a run starts, and its gradient at every step; equal for every method that is run on it.

    ``open``: gradients that do not depend on the parameters. They differ in size by factors up to 1000, a
    sixth of them are exact zeros, and in every array one element's gradient is zero always, another's until
    the third step, and a third's from the fourth step on.

    ``closed``: g = c·(p − target + noise), so that what a method does comes back in its gradients; some of ``c``
    are zero. Without the noise, methods that divide by the size of the gradient would blow rounding up at the
    target.
    """

    kind: str
    dtype: str
    steps: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.dtype}-{self.steps}"

    def start(self) -> Arrays:
        """The parameters before the first step."""
        return self._arrays(np.random.default_rng(1), lambda rng, shape: rng.uniform(-1, 1, shape))

    def gradients(self, t: int, values: Arrays) -> Arrays:
        """The gradients of step ``t``, counted from 1, at ``values``."""
        if self.kind == "closed":
            curvature = self._arrays(np.random.default_rng(2), _curvature)
            target = self._arrays(np.random.default_rng(3), lambda rng, shape: rng.normal(size=shape))
            noise = self._arrays(np.random.default_rng((6, t)), lambda rng, shape: rng.normal(size=shape))
            return {
                name: np.asarray(curvature[name] * (values[name] - target[name] + noise[name] / 2)) for name in values
            }
        size = self._arrays(np.random.default_rng(4), lambda rng, shape: 10 ** rng.uniform(-2, 1, shape))
        noise = self._arrays(np.random.default_rng((5, t)), _noise)
        for array in noise.values():
            if array.size > 3:
                array.flat[0] = 0
                array.flat[1] *= t > 3
                array.flat[2] *= t <= 3
        return {name: np.asarray(size[name] * noise[name]) for name in noise}

    def _arrays(self, rng: np.random.Generator, draw: Callable[..., Any]) -> Arrays:
        return {name: np.asarray(draw(rng, shape), dtype=self.dtype) for name, shape in _SHAPES.items()}


def _curvature(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return 10 ** rng.uniform(-1, 0.5, shape) * (rng.random(shape) > (0.1 if shape else 0))


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.normal(size=shape) * (rng.random(shape) > 1 / 6)


# Both are looked at after each step, so a hundred steps are ten as well.
PROBLEMS = [Problem("open", "float64", 100), Problem("closed", "float32", 50)]
every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=str)


class _Recorder:
    """A serializer that keeps what an optimizer writes."""

    def __init__(self) -> None:
        self.written: dict[str, Any] = {}
        self.children: dict[str, _Recorder] = {}

    def __call__(self, key: str, value: Any) -> Any:
        self.written[key] = value
        return value

    def __getitem__(self, path: str) -> _Recorder:
        return self.children.setdefault(path.strip("/"), _Recorder())


def written_states(optimizer: GradientMethod) -> dict[str, dict[str, Any]]:
    """The states as a checkpoint gets them: by the path without its first slash, and by slot."""
    record = _Recorder()
    optimizer.serialize(record)
    return {path: child.written for path, child in record.children.items()}


class Ours:
    """An optimizer of optreg; its states are keyed by slot."""

    def __init__(self, optimizer: GradientMethod) -> None:
        self.optimizer = optimizer

    def start(self, values: Arrays) -> None:
        self.arrays = {name: array.copy() for name, array in values.items()}
        self.optimizer.setup(self.arrays)

    def step(self, gradients: Arrays) -> None:
        given = {name: array.copy() for name, array in gradients.items()}
        self.optimizer.apply_gradients(given)
        for name, array in given.items():
            np.testing.assert_array_equal(array, gradients[name], err_msg=f"the rule changed the gradient {name}")

    def values(self) -> Arrays:
        return {name: array.copy() for name, array in self.arrays.items()}

    def state(self, key: str) -> Arrays:
        states = written_states(self.optimizer)
        return {name: np.array(states[name][key]) for name in self.arrays}


class Torch:
    """An optimizer of torch.optim, made by ``make(params)``; its states are keyed as in ``state_dict()``.

    With ``lr``, a schedule, the optimizer's rate is set to ``lr(t)`` before step ``t``.
    """

    def __init__(
        self,
        make: Callable[[list[torch.Tensor]], torch.optim.Optimizer],
        lr: Callable[[int], float] | None = None,
    ) -> None:
        self.make = make
        self.lr = lr

    def start(self, values: Arrays) -> None:
        self.t = 0
        self.dtype = next(iter(values.values())).dtype
        self.tensors = {name: torch.tensor(array) for name, array in values.items()}
        with self._scalars_in_the_same_dtype():
            self.optimizer = self.make(list(self.tensors.values()))

    def step(self, gradients: Arrays) -> None:
        for name, tensor in self.tensors.items():
            tensor.grad = torch.tensor(gradients[name])
        self.t += 1
        if self.lr is not None:
            self.optimizer.param_groups[0]["lr"] = self.lr(self.t)
        with self._scalars_in_the_same_dtype():
            self.optimizer.step()

    def values(self) -> Arrays:
        return {name: tensor.numpy().copy() for name, tensor in self.tensors.items()}

    def state(self, key: str) -> Arrays:
        return {name: self.optimizer.state[tensor][key].numpy().copy() for name, tensor in self.tensors.items()}

    @contextmanager
    def _scalars_in_the_same_dtype(self) -> Iterator[None]:
        # torch keeps step counts and products of scalars in its default dtype, whatever the parameters are.
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64 if self.dtype == np.float64 else torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


class Optax:
    """A gradient transformation of optax; a state's key is a function that finds it in optax's state."""

    def __init__(self, transformation: optax.GradientTransformation) -> None:
        self.transformation = transformation

    def start(self, values: Arrays) -> None:
        self.double = next(iter(values.values())).dtype == np.float64
        with jax.enable_x64(self.double):
            self.arrays = {name: jax.numpy.asarray(array) for name, array in values.items()}
            self.optimizer_state = self.transformation.init(self.arrays)

    def step(self, gradients: Arrays) -> None:
        with jax.enable_x64(self.double):
            given = {name: jax.numpy.asarray(array) for name, array in gradients.items()}
            updates, self.optimizer_state = self.transformation.update(given, self.optimizer_state, self.arrays)
            self.arrays = optax.apply_updates(self.arrays, updates)

    def values(self) -> Arrays:
        return {name: np.array(array) for name, array in self.arrays.items()}

    def state(self, key: Callable[[Any], Mapping[str, Any]]) -> Arrays:
        return {name: np.array(array) for name, array in key(self.optimizer_state).items()}


class Keras:
    """An optimizer of Keras, made by ``make()``, on NumPy's arrays; it computes in float32 only."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def start(self, values: Arrays) -> None:
        import keras

        self.variables = {name: keras.Variable(array) for name, array in values.items()}
        self.optimizer = self.make()

    def step(self, gradients: Arrays) -> None:
        self.optimizer.apply([gradients[name] for name in self.variables], list(self.variables.values()))

    def values(self) -> Arrays:
        return {name: np.array(variable.value) for name, variable in self.variables.items()}

    def state(self, key: str) -> Arrays:
        raise NotImplementedError("the numbers of Keras's states are looked at by no test")


class Formula:
    """A formula spelled out in a test: ``update(value, grad, state, t)`` returns the new value.

    It always computes in float64, on whole arrays; ``state`` is a dict of its own for each parameter, empty
    before the first step.
    """

    def __init__(self, update: Callable[[Any, Any, dict[str, Any], int], Any]) -> None:
        self.update = update

    def start(self, values: Arrays) -> None:
        self.t = 0
        self.arrays = {name: array.astype(np.float64) for name, array in values.items()}
        self.states: dict[str, dict[str, Any]] = {name: {} for name in values}

    def step(self, gradients: Arrays) -> None:
        self.t += 1
        for name, grad in gradients.items():
            value = self.update(self.arrays[name], grad.astype(np.float64), self.states[name], self.t)
            self.arrays[name] = np.asarray(value, dtype=np.float64)

    def values(self) -> Arrays:
        return dict(self.arrays)

    def state(self, key: str) -> Arrays:
        return {name: np.asarray(state[key]) for name, state in self.states.items()}


def assert_same_path(
    optimizer: GradientMethod,
    reference: Method,
    problem: Problem,
    *,
    states: Mapping[str, Any] | None = None,
    slack: float = 1.0,
) -> None:
    """Assert that after every step the parameters, and the named states, of both are equal up to rounding.

    The two write the same formula in different orders, so each step may add a few units in the last place of
    the largest number at hand, and the steps' errors add up: after step t the tolerance is
    16·t·eps·max(1, max|value|), which is 1e-5 for five steps of float32 and 2e-13 for fifty of float64.
    ``slack`` multiplies it for a formula that subtracts nearly equal numbers; say which where you give it.

    Args:
        states: our slots and the reference's keys for them.
    """
    ours = Ours(optimizer)
    start = problem.start()
    ours.start(start)
    reference.start(start)
    for t in range(1, problem.steps + 1):
        ours.step(problem.gradients(t, ours.values()))
        reference.step(problem.gradients(t, _in(problem.dtype, reference.values())))
        tolerance = 16 * t * slack * np.finfo(problem.dtype).eps
        _assert_equal(ours.values(), reference.values(), tolerance, f"parameters after step {t}")
        for slot, key in (states or {}).items():
            _assert_equal(ours.state(slot), reference.state(key), tolerance, f"slot {slot} after step {t}")
    for name, array in ours.values().items():
        assert array.dtype == problem.dtype
        assert not np.array_equal(array, start[name]), f"{name} was never changed"


def _in(dtype: str, arrays: Arrays) -> Arrays:
    return {name: array.astype(dtype) for name, array in arrays.items()}


def _assert_equal(actual: Arrays, desired: Arrays, tolerance: float, what: str) -> None:
    for name, array in actual.items():
        assert array.shape == desired[name].shape, f"{what}: {name}"
        allowed = tolerance * max(1.0, float(np.max(np.abs(desired[name]))))
        apart = float(np.max(np.abs(array - desired[name])))
        assert apart <= allowed, f"{what}: {name} is apart by {apart:.3g}, of which {allowed:.3g} are rounding"
