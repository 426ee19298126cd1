"""L-BFGS beside PyTorch's, evaluation by evaluation."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import optreg
from optreg.errors import ConfigError, GradientError, HyperparameterError, OptregError
from optreg.optimizers.line_search import Point, strong_wolfe


def rosenbrock(arrays, call=0):
    (x, y), scale = arrays["x"], arrays["scale"]
    valley = y - x * x
    slope = np.array([-2 * (1 - x) - 400 * x * valley, 200 * valley], arrays["x"].dtype)
    return float((1 - x) ** 2 + 100 * valley**2 + (scale - 3) ** 2), {"x": slope, "scale": 2 * (scale - 3)}


def bowls(arrays, call=0):
    """A convex function that is no quadratic, tilted anew in each call."""
    total, gradients = 0.0, {}
    for number, (name, array) in enumerate(arrays.items()):
        tilt = np.random.default_rng([number, call]).normal(size=array.shape).astype(array.dtype) / 20
        curvature = np.random.default_rng(number).uniform(0.1, 5, size=array.shape).astype(array.dtype)
        total += float((curvature / 2 * array**2 + array**4 / 4 + tilt * array).sum())
        gradients[name] = np.asarray(curvature * array + array**3 + tilt)
    return total, gradients


def start(dtype="float64"):
    rng = np.random.default_rng(7)
    shapes = {"W": (4, 3), "b": (3,), "scale": ()}
    return {name: np.asarray(rng.normal(size=shape), dtype) for name, shape in shapes.items()}


def in_valley(dtype="float64"):
    return {"x": np.array([-1.2, 1.0], dtype), "scale": np.array(0.5, dtype)}


class Torchs:
    """PyTorch's, with a loss that NumPy computes."""

    def __init__(self, arrays, **hyperparameters):
        self.tensors = {name: torch.nn.Parameter(torch.tensor(array)) for name, array in arrays.items()}
        self.optimizer = torch.optim.LBFGS(list(self.tensors.values()), **hyperparameters)
        self.losses = []

    def arrays(self):
        return {name: tensor.detach().numpy() for name, tensor in self.tensors.items()}

    def step(self, loss, call):
        def closure():
            value, gradients = loss(self.arrays(), call)
            for name, tensor in self.tensors.items():
                tensor.grad = torch.tensor(gradients[name])
            self.losses.append(value)
            return value

        return self.optimizer.step(closure)


def both(loss, begin, calls, rtol, changed=None, theirs=None):
    """Walk side by side, and compare every loss that was evaluated, and where each call ends."""
    arrays = copy.deepcopy(begin)
    losses = []

    def noted(call):
        found = loss(arrays, call)
        losses.append(found[0])
        return found

    hyperparameters = changed or {}
    ours = optreg.create("lbfgs", **hyperparameters).setup(arrays)
    names = {**hyperparameters, **(theirs or {"line_search_fn": "strong_wolfe"})}
    reference = Torchs(begin, **{name: value for name, value in names.items() if name != "line_search"})
    for call in range(calls):
        returned = ours.update(noted, call)
        assert returned == pytest.approx(reference.step(loss, call), rel=rtol, abs=rtol)
        assert len(losses) == len(reference.losses), f"call {call}"
        np.testing.assert_allclose(losses, reference.losses, rtol=rtol, atol=rtol)
        for name, array in reference.arrays().items():
            np.testing.assert_allclose(arrays[name], array, rtol=rtol, atol=rtol, err_msg=f"{name} in call {call}")
    assert ours.t == calls
    return arrays


WOLFE = {
    "defaults": {},
    "short steps": {"lr": 0.3, "max_iter": 4, "max_eval": 5},
    "few evaluations": {"max_iter": 3, "max_eval": 4},
    "one evaluation": {"max_iter": 3, "max_eval": 1},
    "short memory": {"history_size": 3, "max_iter": 21},
    "long steps": {"lr": 50.0, "max_iter": 5, "max_eval": 30},
    "one iteration": {"max_iter": 1, "max_eval": 25},
    "coarse": {"tolerance_grad": 1e-2, "tolerance_change": 1e-3},
}


@pytest.mark.parametrize("name", WOLFE)
def test_the_line_search_is_torchs_on_bowls_that_tilt(name):
    both(bowls, start(), 10 if name == "one iteration" else 3, 1e-8, WOLFE[name])


@pytest.mark.parametrize("name", ["defaults", "short steps", "short memory", "long steps"])
def test_the_line_search_is_torchs_in_rosenbrocks_valley(name):
    found = both(rosenbrock, in_valley(), 4, 1e-6, WOLFE[name])
    if name == "defaults":
        np.testing.assert_allclose(found["x"], [1, 1], rtol=1e-4)


FIXED = {
    "defaults": ({"lr": 0.2}, 3, 1e-8),
    "one direction": ({"lr": 0.3, "max_iter": 1}, 10, 1e-10),
    "a hundred": ({"lr": 0.3, "max_iter": 1}, 100, 1e-4),  # the tilts make the last bits grow
    "few": ({"lr": 0.3, "history_size": 2}, 3, 1e-8),
}


@pytest.mark.parametrize("name", FIXED)
def test_steps_of_a_fixed_length_are_torchs(name):
    changed, calls, rtol = FIXED[name]
    both(bowls, start(), calls, rtol, {**changed, "line_search": "none"}, {"line_search_fn": None})


def test_in_float32_it_goes_the_same_way():
    both(bowls, start("float32"), 2, 1e-3, {"max_iter": 5, "max_eval": 9})
    both(
        bowls,
        start("float32"),
        2,
        1e-3,
        {"max_iter": 5, "max_eval": 9, "line_search": "none", "lr": 0.2},
        {"line_search_fn": None},
    )


def test_a_hundred_small_steps_get_to_the_bottom_of_a_narrow_valley():
    arrays = in_valley()
    optimizer = optreg.create("lbfgs", max_iter=1).setup(arrays)
    for _ in range(100):
        optimizer.update(rosenbrock, arrays)
    np.testing.assert_allclose(arrays["x"], [1, 1], rtol=1e-4)


def test_complex_parameters_are_pairs_of_real_ones():
    z = np.array([1 + 2j, -3j, 0.5])
    goal = np.array([2 - 1j, 1.0, 1j])

    def loss():
        away = z - goal
        return float((abs(away) ** 2).sum() + (abs(away) ** 4).sum()), {"z": 2 * away * (1 + 2 * abs(away) ** 2)}

    optreg.create("lbfgs").setup({"z": z}).update(loss)
    np.testing.assert_allclose(z, goal, atol=1e-4)


@pytest.mark.parametrize("line_search", ["strong_wolfe", "none"])
def test_a_run_resumes_bit_for_bit_when_the_oldest_pairs_are_forgotten_already(tmp_path, line_search):
    made = {"history_size": 3, "max_iter": 4, "lr": 0.2, "line_search": line_search}
    arrays = start()
    optimizer = optreg.create("lbfgs", **made).setup(arrays)
    for call in range(6):
        if call == 3:
            optreg.save(tmp_path / "run.npz", optimizer)
            kept = copy.deepcopy(arrays)
        optimizer.update(bowls, arrays, call)
    resumed = optreg.create("lbfgs", **made).setup(kept)
    optreg.load(tmp_path / "run.npz", resumed)
    for call in range(3, 6):
        resumed.update(bowls, kept, call)
    assert {name: array.tobytes() for name, array in kept.items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }


def test_setup_and_a_new_parameter_begin_with_the_gradient_again():
    arrays = start()
    optimizer = optreg.create("lbfgs", max_iter=3).setup(arrays)
    optimizer.update(bowls, arrays)
    fresh = start()
    optimizer.setup(fresh).update(bowls, fresh)
    assert all(np.array_equal(fresh[name], arrays[name]) for name in arrays)
    arrays["late"] = np.ones(2)
    twin = copy.deepcopy(arrays)
    optimizer.setup({name: array for name, array in arrays.items() if name != "late"})
    optimizer = optreg.create("lbfgs", max_iter=3).setup(twin)
    optimizer.update(bowls, twin)
    growing = {name: array for name, array in arrays.items() if name != "late"}
    other = optreg.create("lbfgs", max_iter=3).setup(growing)
    begin = copy.deepcopy(growing)
    other.update(bowls, growing)
    for name, array in begin.items():
        growing[name][...] = array
    growing["late"] = arrays["late"]
    other.update(bowls, growing)
    assert all(np.array_equal(growing[name], twin[name]) for name in twin)


def test_gradients_at_hand_are_not_enough():
    optimizer = optreg.create("lbfgs").setup(start())
    for call in (optimizer.update, lambda: optimizer.apply_gradients(bowls(start())[1])):
        with pytest.raises(OptregError, match=r"lbfgs evaluates the loss at several points.*; call update\(lossfun\)"):
            call()
    assert optimizer.t == 0


def test_options_for_some_parameters_are_refused():
    with pytest.raises(ConfigError, match=r"in one direction with all parameters.*; leave options out"):
        optreg.create("lbfgs", options={"*b": {"lr": 0.1}})
    assert optreg.create("lbfgs").options == {}


def test_a_history_of_another_size_is_refused_after_setup():
    arrays = start()
    optimizer = optreg.create("lbfgs").setup(arrays)
    optimizer.history_size = 5
    with pytest.raises(HyperparameterError, match=r"history_size is now 5, .*; choose it before setup\(\)"):
        optimizer.update(bowls, arrays)
    optimizer.setup(arrays).update(bowls, arrays)
    assert optimizer._states["/b"]["steps"].shape == (5, 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"max_iter": 0}, "max_iter must be a whole number >= 1"),
        ({"max_eval": 0}, "max_eval must be a whole number >= 1"),
        ({"line_search": "strong-wolfe"}, "Did you mean 'strong_wolfe'"),
        ({"line_search": None}, "must be 'strong_wolfe' or 'none'"),
    ],
    ids=["max_iter", "max_eval", "line_search", "none"],
)
def test_hyperparameters_that_cannot_be_are_refused(changed, message):
    with pytest.raises(HyperparameterError, match=message):
        optreg.create("lbfgs", **changed)


def test_a_loss_that_is_no_number_is_refused_before_anything_changes():
    arrays = start()
    optimizer = optreg.create("lbfgs").setup(arrays)
    with pytest.raises(GradientError, match=r"lbfgs compares losses, so each must be a number.*gave None"):
        optimizer.update(lambda: (None, bowls(arrays)[1]))
    assert all(np.array_equal(array, start()[name]) for name, array in arrays.items())


def test_losses_of_a_framework_are_numbers_in_data():
    w = np.array([3.0])
    optimizer = optreg.create("lbfgs").setup({"w": w})

    class Loss:
        data = property(lambda self: w**2 / 2)

        def backward(self):
            optimizer.target["w"].grad = w.copy()

    assert isinstance(optimizer.update(Loss), Loss)
    np.testing.assert_allclose(w, 0, atol=1e-9)


def barrier(w):
    """x − log x, with no loss at all below zero; its minimum is at 1."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(w[0] - np.log(w[0])), {"w": 1 - 1 / w}


@pytest.mark.parametrize("hooks", [[], ["skip_nonfinite"]], ids=["alone", "skipping"])
def test_a_line_search_comes_back_from_where_there_is_no_loss(hooks):
    w = np.array([8.0])
    optimizer = optreg.create("lbfgs", lr=30.0, hooks=hooks).setup({"w": w})
    for _ in range(3):
        optimizer.update(barrier, w)
    np.testing.assert_allclose(w, 1, rtol=1e-6)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_gradient_that_is_no_number_moves_nothing(number):
    w = np.array([1.0])
    optimizer = optreg.create("lbfgs").setup({"w": w})
    optimizer.update(lambda: (number, {"w": np.array([number])}))
    assert (w.tolist(), optimizer.t) == ([1.0], 1)
    optimizer.update(lambda: (float((w[0] - 3) ** 2), {"w": 2 * (w - 3)}))
    np.testing.assert_allclose(w, 3, rtol=1e-6)


@pytest.mark.parametrize("line_search", ["strong_wolfe", "none"])
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_loss_function_that_raises_on_the_way_leaves_the_parameters_where_the_line_began(line_search, dtype):
    arrays = start(dtype)
    optimizer = optreg.create("lbfgs", lr=0.1, line_search=line_search).setup(arrays)
    places = []

    def loss():
        places.append(copy.deepcopy(arrays))
        if len(places) == 2:
            raise KeyboardInterrupt
        return bowls(arrays)

    with pytest.raises(KeyboardInterrupt):
        optimizer.update(loss)
    assert not np.array_equal(places[1]["W"], places[0]["W"])
    assert all(arrays[name].tobytes() == array.tobytes() for name, array in places[0].items())
    assert optimizer.t == 0
    optimizer.update(loss)


def test_hooks_run_on_every_gradient_and_averages_once_a_step():
    arrays = start()
    counts = {"loss": 0, "before": 0}

    def loss():
        counts["loss"] += 1
        value, gradients = bowls(arrays)
        penalty = sum(float((array**2).sum()) for array in arrays.values()) / 2
        return value + 0.5 * penalty, gradients  # whose gradient is the hook's

    def before(opt):
        counts["before"] += 1

    hooks = [("weight_decay", {"rate": 0.5}), before, ("stochastic_weight_average", {})]
    optimizer = optreg.create("lbfgs", hooks=hooks).setup(arrays)
    optimizer.update(loss)
    assert counts["before"] == counts["loss"] > 2
    gradients = bowls(arrays)[1]
    for name, array in arrays.items():
        np.testing.assert_allclose(gradients[name], -0.5 * array, atol=1e-4)
        np.testing.assert_array_equal(optimizer._hook_states["stochastic_weight_average"][f"/{name}"]["seen"], 1)


def test_a_learning_rate_may_follow_a_schedule():
    ours, theirs = start(), start()
    scheduled = optreg.create("lbfgs", line_search="none", max_iter=1, lr=lambda t: 0.1 * t).setup(ours)
    plain = optreg.create("lbfgs", line_search="none", max_iter=1).setup(theirs)
    for call in range(3):
        scheduled.update(bowls, ours, call)
        plain.lr = 0.1 * (call + 1)
        plain.update(bowls, theirs, call)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_gradients_of_several_calls_cannot_make_a_step():
    arrays = start()
    optimizer = optreg.create("lbfgs", hooks=[("gradient_accumulation", {"steps": 2})]).setup(arrays)
    optimizer.update(bowls, arrays)
    with pytest.raises(OptregError, match="do without gradient_accumulation"):
        optimizer.update(bowls, arrays)
    assert all(np.array_equal(array, start()[name]) for name, array in arrays.items())


def test_a_line_search_gives_up_after_some_evaluations():
    steps = []

    def falling(step):
        steps.append(step)
        return Point(step, -step, -1.0, [])

    found = strong_wolfe(falling, Point(0.0, 0.0, -1.0, []), 1.0, most=3, narrow=0.0)
    assert len(steps) == 4
    assert found.step == steps[-1]
