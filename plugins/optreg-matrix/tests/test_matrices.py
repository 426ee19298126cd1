"""Which parameters a method treats as matrices, and what the others get."""

from __future__ import annotations

import numpy as np
import pytest

import optreg
from optreg.errors import HyperparameterError

MUONS = ("muon", "normuon")


def weights(dtype=np.float64):
    rng = np.random.default_rng(0)
    shapes = {"wte": (5, 3), "h": {"W": (4, 6), "b": (4,), "filters": (2, 3, 2, 2)}, "scale": (), "none": (0, 3)}
    return {
        name: {key: rng.normal(size=each).astype(dtype) for key, each in shape.items()}
        if isinstance(shape, dict)
        else np.asarray(rng.normal(size=shape), dtype)
        for name, shape in shapes.items()
    }


def states(optimizer):
    """The names of the slots of each parameter."""
    return {path: set(state) for path, state in optimizer._states.items()}


@pytest.mark.parametrize(("name", "slots"), [("muon", {"buf"}), ("normuon", {"buf", "v"})])
def test_a_parameter_has_the_states_of_its_own_rule_only(name, slots):
    optimizer = optreg.create(f"matrix/{name}", options={"wte": {"matrix": False}}).setup(weights())
    adamw = {"m", "v"}
    assert states(optimizer) == {
        "/wte": adamw,
        "/h/W": slots,
        "/h/b": adamw,
        "/h/filters": slots,
        "/scale": adamw,
        "/none": adamw,
    }


@pytest.mark.parametrize("name", MUONS)
def test_what_is_no_matrix_moves_as_by_adamw(name):
    hyperparameters = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.2}
    prefixed = {f"adamw_{key}": value for key, value in hyperparameters.items()}
    ours, theirs = weights(), weights()
    optimizer = optreg.create(f"matrix/{name}", **prefixed, options={"wte": {"matrix": False}}).setup(ours)
    adamw = optreg.create("adamw", **hyperparameters).setup(theirs)
    for seed in range(3):
        gradients = {path: param.data * (seed + 1) - 0.3 for path, param in adamw.target.namedparams()}
        optimizer.apply_gradients(gradients)
        adamw.apply_gradients(gradients)
    for path in ("wte", "scale", "h/b"):
        np.testing.assert_array_equal(optimizer.target[path].data, adamw.target[path].data)
    assert not np.allclose(ours["h"]["W"], theirs["h"]["W"])


def test_the_choice_is_made_before_setup():
    optimizer = optreg.create("matrix/muon").setup(weights())
    optimizer.options = {"wte": {"matrix": False}}
    with pytest.raises(HyperparameterError, match="state of /wte"):
        optimizer.apply_gradients({})


@pytest.mark.parametrize("name", MUONS)
def test_filters_are_rows(name):
    """A convolution's filters move as the matrix that they make up."""
    filters = weights()["h"]["filters"]
    as_rows = filters.reshape(2, -1).copy()
    gradient = np.random.default_rng(1).normal(size=filters.shape)
    one = optreg.create(f"matrix/{name}").setup({"w": filters})
    other = optreg.create(f"matrix/{name}").setup({"w": as_rows})
    for _ in range(3):
        one.apply_gradients({"w": gradient})
        other.apply_gradients({"w": gradient.reshape(2, -1)})
    np.testing.assert_array_equal(filters.reshape(2, -1), as_rows)


def copied(array):
    return array.copy()


def by_columns(array):
    return np.asfortranarray(array)


def every_other(array):
    return np.repeat(np.repeat(array, 2, axis=0), 2, axis=1)[::2, ::2]


@pytest.mark.parametrize("name", [*MUONS, "scion"])
@pytest.mark.parametrize("layout", [by_columns, every_other])
def test_the_order_in_memory_makes_no_difference(name, layout):
    rng = np.random.default_rng(0)
    start, gradient = rng.normal(size=(2, 4, 3, 2))
    found = []
    for laid_out in (copied, layout):
        array = laid_out(start)
        optimizer = optreg.create(f"matrix/{name}", lr=0.1).setup({"w": array})
        for _ in range(3):
            optimizer.apply_gradients({"w": laid_out(gradient)})
        found.append(array)
    np.testing.assert_allclose(*found, rtol=0, atol=1e-10)
    assert not np.array_equal(found[0], start)


def test_blocks_of_a_large_matrix_are_joined_without_a_seam():
    rng = np.random.default_rng(0)
    start, gradient = rng.normal(size=(2, 3, 100_000))
    large, optimizer = start.copy(), optreg.create("matrix/muon", lr=0.5, momentum=0.5, weight_decay=0.1)
    optimizer.setup({"w": large}).apply_gradients({"w": gradient})
    direction = (start * 0.95 - large) / 0.5
    u, _, vh = np.linalg.svd(gradient, full_matrices=False)
    values = np.diag(u.T @ direction @ vh.T)
    assert ((values > 0.68) & (values < 1.21)).all()
    np.testing.assert_allclose(direction, (u * values) @ vh, atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (3, 4, 2)], ids=str)
@pytest.mark.parametrize("name", [*MUONS, "scion"])
def test_it_goes_down_a_bowl_of_matrices(name, shape):
    rng = np.random.default_rng(0)
    array, minimum = rng.normal(size=(2, *shape))
    optimizer = optreg.create(f"matrix/{name}", lr=optreg.schedules.Cosine(initial=0.2, steps=200)).setup({"w": array})
    first = np.linalg.norm(array - minimum)
    for _ in range(200):
        optimizer.apply_gradients({"w": array - minimum})
    assert np.linalg.norm(array - minimum) < 0.02 * first


def test_complex_matrices_are_orthogonalized_as_well():
    rng = np.random.default_rng(0)
    array = np.zeros((3, 4), complex)
    gradient = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))
    optimizer = optreg.create("matrix/muon", lr=1.0).setup({"w": array})
    optimizer.apply_gradients({"w": gradient})
    values = np.linalg.svd(array, compute_uv=False)
    assert ((values > 0.68) & (values < 1.21)).all()
    assert np.trace(gradient.conj().T @ array).real < 0


def test_float16_is_computed_in_float32():
    half, single = (weights(dtype)["h"]["W"].astype(np.float16).astype(dtype) for dtype in (np.float16, np.float32))
    for array in (half, single):
        optimizer = optreg.create("matrix/muon", lr=0.1).setup({"w": array})
        optimizer.apply_gradients({"w": (array * 0.5).astype(array.dtype)})
    np.testing.assert_array_equal(half, single.astype(np.float16))
