"""Parameters and gradients that share memory: errors that change nothing, or right results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from links import Link, Variable
from untouched import untouched

import optreg
from backends.steps import assert_same, both, everything, gradient, repeats, step
from optreg.errors import TargetError


@pytest.fixture(params=["numpy", "numba"])
def backend(request):
    with optreg.use_backend(request.param):
        yield request.param


def _halves() -> dict[str, Any]:
    memory = np.zeros(10)
    return {"first": {"w": memory[:6]}, "second": memory[5:]}


def _one_inside_the_other() -> dict[str, Any]:
    memory = np.zeros((4, 4))
    return {"first": {"w": memory}, "second": memory[1:3, 1:3]}


def _same() -> dict[str, Any]:
    memory = np.zeros(4)
    return {"first": {"w": memory}, "second": memory[:]}


def _transposed() -> dict[str, Any]:
    memory = np.zeros((2, 3))
    return {"first": {"w": memory}, "second": memory.T}


def _of_other_dtypes() -> dict[str, Any]:
    memory = np.zeros(8)
    return {"first": {"w": memory[2:]}, "second": memory.view("float32")[:5]}


def _of_a_buffer() -> dict[str, Any]:
    memory = bytearray(80)
    return {"first": {"w": np.frombuffer(memory)}, "second": np.frombuffer(memory, "float32")}


OVERLAPS = [_halves, _one_inside_the_other, _same, _transposed, _of_other_dtypes, _of_a_buffer]


@pytest.mark.parametrize("tree", OVERLAPS)
def test_parameters_that_share_memory_are_named_at_setup(tree):
    optimizer = optreg.create("sgd")
    with pytest.raises(TargetError, match="the parameters /first/w and /second share memory"):
        optimizer.setup(tree())
    assert "target" not in vars(optimizer)


@pytest.mark.parametrize("tree", OVERLAPS)
def test_parameters_that_share_memory_later_change_nothing(backend, tree):
    arrays = {"first": {"w": np.zeros(3)}, "other": np.ones(3)}
    optimizer = optreg.create("sgd").setup(arrays)
    for _ in range(3):
        step(optimizer, np.random.default_rng(0))
    new = tree()
    arrays["first"]["new"], arrays["second"] = new["first"]["w"], new["second"]
    for parameter in optimizer.target.params():
        parameter.grad = np.ones_like(parameter.data)
    with untouched(optimizer), pytest.raises(TargetError, match="the parameters /first/new and /second share memory"):
        optimizer.update()


def _slices_of_a_buffer() -> dict[str, Any]:
    memory = np.linspace(0, 1, 30)
    return {"a": memory[:10].reshape(2, 5), "b": memory[10:13], "none": memory[12:12], "c": memory[13:]}


def _even_and_odd() -> dict[str, Any]:
    memory = np.linspace(0, 1, 30)
    return {"even": memory[::2], "odd": memory[1::2]}


@pytest.mark.parametrize(("tree", "compiled"), [(_slices_of_a_buffer, True), (_even_and_odd, False)])
def test_views_of_a_buffer_that_have_no_element_in_common_are_fine(tree, compiled):
    def run() -> Any:
        optimizer = optreg.create("adamw").setup(tree())
        rng = np.random.default_rng(0)
        for _ in range(3):
            step(optimizer, rng)
        return everything(optimizer), repeats(optimizer)

    (expected, _), (found, repeated) = both(run)
    assert_same(expected, found)
    assert repeated == compiled


def test_an_array_at_two_places_of_a_mapping_is_one_parameter():
    def run() -> Any:
        shared = np.linspace(0, 1, 5)
        optimizer = optreg.create("adamw").setup({"a": shared, "b": {"c": shared}})
        assert [name for name, _ in optimizer.target.namedparams()] == ["/a"]
        rng = np.random.default_rng(0)
        for _ in range(3):
            step(optimizer, rng)
        return everything(optimizer)

    assert_same(*both(run))


def test_an_array_in_two_parameters_of_a_link_is_updated_for_each_of_them_in_turn():
    def run() -> Any:
        link = Link(a=np.linspace(0, 1, 5), b=np.ones(5))
        link.b.data = link.a.data
        optimizer = optreg.create("adamw").setup(link)
        rng = np.random.default_rng(0)
        for _ in range(4):
            step(optimizer, rng)
        return everything(optimizer)

    assert_same(*both(run))


def test_parameters_that_are_no_arrays_of_a_mapping_are_compiled_as_well():
    def run() -> Any:
        link = Link(a=np.linspace(0, 1, 5), b=np.ones(5))
        optimizer = optreg.create("adamw").setup(link)
        rng = np.random.default_rng(0)
        for number in range(8):
            step(optimizer, rng)
            if number == 2:
                link.b.data = np.zeros(5)
            if number == 4:
                link.b = Variable(np.zeros(5), "b")
        return everything(optimizer), repeats(optimizer)

    (expected, _), (found, repeated) = both(run)
    assert_same(expected, found)
    assert repeated


# Gradients that share memory

Sharing = Callable[[Any, Any, Any], None]


def _own_parameter(one: Any, other: Any, g: Any) -> None:
    one.grad = one.data


def _view_of_its_parameter(one: Any, other: Any, g: Any) -> None:
    one.grad = one.data[:]


def _part_of_its_parameter(one: Any, other: Any, g: Any) -> None:
    one.grad = one.data[::-1]


def _each_others_parameter(one: Any, other: Any, g: Any) -> None:
    one.grad, other.grad = other.data, one.data


def _views_of_each_others_parameter(one: Any, other: Any, g: Any) -> None:
    one.grad, other.grad = other.data[:], one.data.reshape(6)


def _the_same_gradient(one: Any, other: Any, g: Any) -> None:
    one.grad = other.grad = g


def _views_of_the_same_gradient(one: Any, other: Any, g: Any) -> None:
    one.grad, other.grad = g[:], g[:]


def _reversed(one: Any, other: Any, g: Any) -> None:
    one.grad, other.grad = g, g[::-1]


def _overlapping_gradients(one: Any, other: Any, g: Any) -> None:
    both_of_them = np.concatenate([g, g])
    one.grad, other.grad = both_of_them[:6], both_of_them[3:9]


def _read_only_gradients(one: Any, other: Any, g: Any) -> None:
    one.grad = np.broadcast_to(1.5, 6)
    other.grad = g
    g.flags.writeable = False


SHARINGS: list[Sharing] = [
    _own_parameter, _view_of_its_parameter, _part_of_its_parameter, _each_others_parameter,
    _views_of_each_others_parameter, _the_same_gradient, _views_of_the_same_gradient, _reversed, _overlapping_gradients,
    _read_only_gradients,
]  # fmt: skip


@pytest.mark.parametrize("hooks", [[], [("weight_decay", {"rate": 0.1})]], ids=["sgd", "with a hook"])
@pytest.mark.parametrize("sharing", SHARINGS)
def test_gradients_that_share_memory_count_as_they_were_before_the_step(sharing, hooks):
    def run(*, copied: bool) -> Any:
        options = {"/other": {"lr": 0.2}}  # in another group
        tree = {"one": np.linspace(1, 2, 6), "other": np.linspace(3, 4, 6)}
        optimizer = optreg.create("momentum_sgd", hooks=hooks, options=options).setup(tree)
        rng = np.random.default_rng(0)
        for _ in range(3):
            step(optimizer, rng)
        for _ in range(3):
            one, other = optimizer.target["one"], optimizer.target["other"]
            one.grad, other.grad = gradient(one.data, rng), gradient(other.data, rng)
            sharing(one, other, gradient(one.data, rng))
            if copied:
                one.grad, other.grad = one.grad.copy(), other.grad.copy()
            optimizer.update()
        return everything(optimizer)

    expected, found = both(lambda: run(copied=False))
    with optreg.use_backend("numpy"):
        apart = run(copied=True)
    assert_same(apart, expected)
    assert_same(apart, found)


@pytest.mark.parametrize("gradients", [{"x": "y", "y": "x"}, {"x": "x", "y": "y"}])
def test_gradients_by_name_that_are_parameters_count_as_they_were_before_the_step(gradients):
    def run(*, copied: bool) -> Any:
        tree = {"x": np.linspace(1, 2, 6), "y": np.linspace(3, 4, 6)}
        optimizer = optreg.create("sgd", lr=0.1).setup(tree)
        for _ in range(4):
            given = {name: tree[of] for name, of in gradients.items()}
            optimizer.apply_gradients({name: array.copy() for name, array in given.items()} if copied else given)
        return everything(optimizer)["/x data"], everything(optimizer)["/y data"]

    expected, found = both(lambda: run(copied=False))
    assert expected == found == run(copied=True)
