"""How large states are, what becomes of them, and what the random numbers depend on."""

from __future__ import annotations

import numpy as np
import pytest
from optreg_matrix.psgd_kron import usual_probability

import optreg
from optreg.errors import GradientError, HyperparameterError

METHODS = ("shampoo", "soap", "psgd_kron", "galore", "apollo_mini")


def created(method, **hyperparameters):
    seed = {"seed": 0} if method == "psgd_kron" else {}
    return optreg.create(f"matrix/{method}", **seed, **hyperparameters)


def gradients(count, shapes):
    rng = np.random.default_rng(0)
    return [{name: rng.normal(size=shape) for name, shape in shapes.items()} for _ in range(count)]


def run(optimizer, steps, shapes):
    weights = {name: np.ones(shape) for name, shape in shapes.items()}
    optimizer.setup(weights)
    for each in gradients(steps, shapes):
        optimizer.apply_gradients(each)
    return weights


def sizes(optimizer, path):
    return {name: array.size for name, array in optimizer._states[path].items()}


@pytest.mark.parametrize("shape", [(60, 20), (20, 60), (20, 3, 20)])
def test_the_state_of_galore_has_rank_numbers_for_each_row_of_the_longer_side(shape):
    optimizer = created("galore", rank=5)
    run(optimizer, 2, {"W": shape})
    assert sizes(optimizer, "/W") == {"m": 60 * 5, "v": 60 * 5, "projector": 20 * 5, "steps": 1}


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_the_state_of_apollo_mini_holds_a_seed_in_place_of_the_projection(shape):
    optimizer = created("apollo_mini")
    run(optimizer, 2, {"W": shape})
    assert sizes(optimizer, "/W") == {"m": 60, "v": 60, "steps": 1, "norm": 1, "seed": 1}


def test_a_long_axis_has_no_basis_in_soap_and_blocks_in_shampoo():
    shapes = {"W": (30, 4)}
    soap, shampoo = created("soap", max_precond_dim=10), created("shampoo", block_size=10)
    run(soap, 2, shapes)
    run(shampoo, 2, shapes)
    assert sizes(soap, "/W")["bases"] == 4 * 4
    assert sizes(shampoo, "/W")["roots"] == 3 * (10 * 10 + 4 * 4)


@pytest.mark.parametrize("method", METHODS)
def test_complex_matrices_and_vectors_go_to_adamw(method):
    z, b = np.full((3, 2), 1 + 1j), np.ones(4)
    optimizer = created(method).setup({"z": z, "b": b})
    optimizer.apply_gradients({"z": np.full((3, 2), 2 - 1j), "b": np.ones(4)})
    np.testing.assert_allclose(z, 1 - 3e-4 + (1 + 3e-4) * 1j)
    np.testing.assert_allclose(b, 1 - 3e-4)
    assert set(optimizer._states["/z"]) == {"m", "v"}


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_that_comes_late_is_treated_as_one_that_was_there_at_the_first_step(method):
    late = created(method, lr=0.1)
    weights = {"first": np.ones((3, 3))}
    late.setup(weights)
    given = gradients(6, {"W": (4, 4)})
    late.apply_gradients({})
    late.apply_gradients({})
    weights["W"] = np.ones((4, 4))
    for each in given:
        late.apply_gradients(each)
    optimizer = created(method, lr=0.1)
    expected = run(optimizer, 6, {"W": (4, 4)})
    if method == "psgd_kron":  # has drawn other random numbers
        assert np.abs(weights["W"] - expected["W"]).max() < 0.2
    else:
        np.testing.assert_array_equal(weights["W"], expected["W"])


@pytest.mark.parametrize("method", ["shampoo", "soap", "galore"])
def test_a_gradient_that_is_not_finite_is_told_with_what_helps(method):
    every = {} if method == "galore" else {"precondition_frequency": 1}
    weights = {"W": np.ones((3, 2))}
    optimizer = created(method, **every).setup(weights)
    bad = {"W": np.full((3, 2), np.nan)}
    with pytest.raises(GradientError, match=r"\(3, [23]\).* holds a NaN or an infinity; add the hook skip_nonfinite"):
        optimizer.apply_gradients(bad)
    np.testing.assert_array_equal(weights["W"], 1)
    hooked = created(method, hooks=["skip_nonfinite"], **every).setup(weights)
    hooked.apply_gradients(bad)
    for each in gradients(3, {"W": (3, 2)}):
        hooked.apply_gradients(each)
    assert np.isfinite(weights["W"]).all()


@pytest.mark.parametrize("method", METHODS)
def test_gradients_of_zero_move_nothing(method):
    weights = {"W": np.full((3, 4), 2.0), "K": np.full((2, 3, 2), 2.0)}
    optimizer = created(method, **({"weight_decay": 0.0} if method == "soap" else {})).setup(weights)
    for _ in range(12):
        optimizer.apply_gradients({})
    assert all((array == 2).all() for array in weights.values())


def test_the_projections_of_apollo_mini_are_others_for_each_name_seed_and_interval():
    shapes = {"V": (4, 3), "W": (4, 3)}

    def steps(**hyperparameters):
        optimizer = created("apollo_mini", norm_growth=1e6, **hyperparameters)
        weights = {name: np.ones(shape) for name, shape in shapes.items()}
        optimizer.setup(weights)
        found = []
        for _ in range(3):
            before = {name: array.copy() for name, array in weights.items()}
            optimizer.apply_gradients({name: np.eye(4, 3) + 1 for name in shapes})
            found.append({name: weights[name] - before[name] for name in shapes})
        return found

    ours, other_seed, at_every_step = steps(), steps(seed=1), steps(update_proj_gap=1)
    assert not np.allclose(ours[0]["V"], ours[0]["W"])
    assert not np.allclose(ours[0]["W"], other_seed[0]["W"])
    np.testing.assert_array_equal(ours[0]["W"], at_every_step[0]["W"])
    assert not np.allclose(ours[1]["W"], at_every_step[1]["W"])


def test_psgd_kron_learns_in_each_of_the_first_steps_and_later_in_one_of_33():
    assert [usual_probability(t) for t in (1, 501)] == [1.0, 1.0]
    assert usual_probability(1501) == pytest.approx(np.exp(-1))
    assert usual_probability(5000) == 0.03


def test_psgd_kron_learns_after_so_many_steps_as_the_probability_says():
    optimizer = created("psgd_kron", update_probability=lambda t: 1.0 if t < 3 else 0.4).setup({"W": np.ones((3, 2))})
    learned = []
    for t, each in enumerate(gradients(9, {"W": (3, 2)}), 1):
        before = np.array(optimizer._states["/W"]["factors"])
        optimizer.apply_gradients(each)
        if not np.array_equal(before, optimizer._states["/W"]["factors"]):
            learned.append(t)
    assert learned == [1, 2, 5, 8]


@pytest.mark.parametrize(
    ("method", "later"),
    [
        ("shampoo", {"block_size": 2}),
        ("soap", {"max_precond_dim": 5}),
        ("psgd_kron", {"memory_save_mode": "all_diag"}),
        ("galore", {"rank": 1}),
        ("apollo_mini", {"rank": 2}),
    ],
    ids=str,
)
def test_what_decides_about_the_states_is_not_changed_after_setup(method, later):
    optimizer = created(method)
    weights = run(optimizer, 2, {"W": (6, 4)})
    before = weights["W"].copy()
    ((name, value),) = later.items()
    setattr(optimizer, name, value)
    with pytest.raises(HyperparameterError, match=r"its state was made with .*; choose .* call setup\(\) again"):
        optimizer.apply_gradients(gradients(1, {"W": (6, 4)})[0])
    np.testing.assert_array_equal(weights["W"], before)


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("galore", {"rank": 0}),
        ("galore", {"proj_type": "lef"}),
        ("apollo_mini", {"norm_growth": 0.9}),
        ("soap", {"precondition_frequency": 0}),
        ("shampoo", {"graft": "adam"}),
        ("shampoo", {"beta2": 1.1}),
        ("psgd_kron", {"update_probability": 0.0}),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_by_name(method, wrong):
    with pytest.raises(HyperparameterError, match=next(iter(wrong))):
        created(method, **wrong)
