"""The hooks of the reference page, against their formulas."""

from __future__ import annotations

import math
import warnings
from unittest import mock

import numpy as np
import pytest
from links import Link

import optreg
from optreg.errors import HyperparameterError


def gradients_after(hook, gradients, parameters=None, steps=1):
    """What hooks leave in the gradients of the last step."""
    start = {name: np.ones_like(grad) for name, grad in gradients.items()} if parameters is None else parameters
    parameters = {name: array.copy() for name, array in start.items()}
    optimizer = optreg.create("sgd", lr=1e-300).setup(parameters)
    optimizer.add_hook(hook)
    for _ in range(steps):
        given = {name: grad.copy() for name, grad in gradients.items()}
        optimizer.apply_gradients(given)
    return given


RNG = np.random.default_rng(5)
W = {"l": RNG.normal(size=(40, 5)), "b": np.array([0.0, -2.0, 3.0])}
G = {"l": RNG.normal(size=(40, 5)), "b": np.array([1.0, 0.0, -1.0])}


def test_weight_decay_adds_the_parameter_scaled():
    found = gradients_after(optreg.WeightDecay(0.25), G, W)
    for name, values in W.items():
        np.testing.assert_allclose(found[name], G[name] + 0.25 * values, atol=1e-15)


def test_lasso_adds_the_sign_of_the_parameter_scaled_and_nothing_at_zero():
    found = gradients_after(optreg.Lasso(0.25), G, W)
    np.testing.assert_array_equal(found["b"], [1.0, -0.25, -0.75])
    np.testing.assert_allclose(found["l"], G["l"] + 0.25 * np.sign(W["l"]), atol=1e-15)


def test_hard_clipping_keeps_every_element_between_the_bounds():
    found = gradients_after(optreg.GradientHardClipping(-0.5, 0.75), G)
    for name, values in G.items():
        np.testing.assert_array_equal(found[name], np.clip(values, -0.5, 0.75))


def test_hard_clipping_leaves_nan_for_others_to_find():
    found = gradients_after(optreg.GradientHardClipping(-1.0, 1.0), {"w": np.array([np.nan, np.inf, -np.inf])})
    np.testing.assert_array_equal(found["w"], [np.nan, 1, -1])


def test_hard_clipping_needs_bounds_in_order():
    with pytest.raises(HyperparameterError, match=r"at most upper_bound, but they are 1\.0 and -1\.0"):
        optreg.GradientHardClipping(1.0, -1.0)


# Clipping by the global norm


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("threshold", [0.5, 5.0, 1e4])
def test_clipping_scales_all_gradients_by_one_factor_as_torch_does(dtype, threshold):
    torch = pytest.importorskip("torch")
    gradients = {name: grad.astype(dtype) for name, grad in G.items()}
    theirs = [torch.nn.Parameter(torch.zeros(grad.shape, dtype=torch.float64)) for grad in gradients.values()]
    for parameter, grad in zip(theirs, gradients.values(), strict=True):
        parameter.grad = torch.tensor(grad.astype(np.float64))
    torch.nn.utils.clip_grad_norm_(theirs, threshold)
    found = gradients_after(optreg.GradientClipping(threshold), gradients)
    for parameter, grad in zip(theirs, found.values(), strict=True):
        assert grad.dtype == dtype
        np.testing.assert_allclose(grad, parameter.grad.numpy(), rtol=2 * np.finfo(dtype).eps + 1e-6, atol=1e-7)


def test_clipping_leaves_gradients_below_the_threshold_bit_for_bit():
    norm = math.sqrt(sum((grad**2).sum() for grad in G.values()))
    found = gradients_after(optreg.GradientClipping(norm * 1.000001), G)
    assert all(found[name].tobytes() == G[name].tobytes() for name in G)


def test_clipping_leaves_zeros_alone():
    found = gradients_after(optreg.GradientClipping(1.0), {"w": np.zeros(3), "empty": np.zeros((0, 2))})
    np.testing.assert_array_equal(found["w"], 0)


def test_clipping_to_zero_gives_zeros():
    np.testing.assert_array_equal(gradients_after(optreg.GradientClipping(0.0), G)["b"], 0)


def test_clipping_counts_both_parts_of_complex_gradients():
    found = gradients_after(optreg.GradientClipping(1.0), {"w": np.array([3 + 4j])})
    np.testing.assert_allclose(found["w"], [0.6 + 0.8j])


def test_clipping_does_not_overflow_in_half_or_single_precision():
    found = gradients_after(optreg.GradientClipping(1.0), {"w": np.full(4, 3e4, np.float16)})
    np.testing.assert_allclose(found["w"], 0.5, rtol=1e-3)
    found = gradients_after(optreg.GradientClipping(1.0), {"w": np.full(4, 3e38, np.float32)})
    np.testing.assert_allclose(found["w"], 0.5, rtol=1e-6)


def test_an_array_that_is_the_gradient_of_two_parameters_counts_twice_and_is_scaled_once():
    parameters = {"a": np.zeros(1), "b": np.zeros(1)}
    optimizer = optreg.create("sgd", lr=1.0, hooks=[("gradient_clipping", {"threshold": 5.0})]).setup(parameters)
    shared = np.array([10.0])
    for parameter in optimizer.target.params():
        parameter.grad = shared
    optimizer.update()
    np.testing.assert_allclose([parameters["a"], parameters["b"]], -5 / math.sqrt(2), rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_changes_nothing_and_is_said_once(bad):
    hook = optreg.GradientClipping(1.0)
    gradients = {"w": np.array([100.0, bad])}
    with pytest.warns(
        RuntimeWarning, match=r"the norm of the gradients is (nan|inf).*add the hook skip_nonfinite"
    ) as said:
        found = gradients_after(hook, gradients, steps=3)
    assert len(said) == 1
    np.testing.assert_array_equal(found["w"], gradients["w"])


def test_a_step_with_a_gradient_that_is_not_finite_is_skipped_but_counted():
    parameters = {"w": np.ones(2)}
    optimizer = optreg.create(
        "momentum_sgd", lr=0.5, hooks=["skip_nonfinite", ("gradient_clipping", {"threshold": 1.0})]
    )
    optimizer.setup(parameters)
    optimizer.apply_gradients({"w": np.array([0.5, 0.0])})
    before = parameters["w"].copy(), optimizer._states["/w"]["buf"].copy()
    loss = optimizer.update(lambda: ("the loss", {"w": np.array([np.nan, 1.0])}))
    assert loss == "the loss"
    np.testing.assert_array_equal([parameters["w"], optimizer._states["/w"]["buf"]], before)
    assert (optimizer.t, optimizer._hooks["skip_nonfinite"].skipped) == (2, 1)
    optimizer.apply_gradients({"w": np.array([0.5, 0.0])})
    assert parameters["w"][0] < before[0][0]


# Noise


def test_noise_func_is_called_as_chainer_calls_it():
    link = Link(W=np.arange(6, dtype=np.float32).reshape(2, 3))
    link.W.grad = np.ones((2, 3), np.float32)
    noise = mock.Mock(return_value=np.full((2, 3), 0.5, np.float32))
    hook = optreg.GradientNoise(0.01, noise_func=noise)
    optimizer = optreg.create("sgd", lr=1.0).setup(link)
    optimizer.add_hook(hook)
    optimizer.update()
    noise.assert_called_once_with(np, (2, 3), np.float32, hook, optimizer)
    np.testing.assert_array_equal(link.W.data, np.arange(6).reshape(2, 3) - 1.5)


@pytest.mark.parametrize("t", [0, 9, 999])
@pytest.mark.parametrize("eta", [0.01, 1.0])
def test_the_noise_decays_with_the_step(t, eta):
    parameters = {"w": np.zeros(100_000)}
    optimizer = optreg.create("sgd", lr=1.0, hooks=[("gradient_noise", {"eta": eta, "seed": 3})]).setup(parameters)
    optimizer.t = t
    optimizer.apply_gradients({"w": np.zeros(100_000)})
    std = math.sqrt(eta / (1 + t) ** 0.55)
    assert abs(parameters["w"].std() / std - 1) < 0.01
    assert abs(parameters["w"].mean()) < 5 * std / math.sqrt(100_000)


def test_noise_has_the_dtype_of_the_gradient_and_both_parts_of_complex_ones():
    found = gradients_after(
        optreg.GradientNoise(1.0, seed=0), {"h": np.zeros(9, np.float16), "c": np.zeros(40_000, np.complex64)}
    )
    assert (found["h"].dtype, found["c"].dtype) == (np.float16, np.complex64)
    assert abs(found["c"].real.std() - 1) < 0.02 > abs(found["c"].imag.std() - 1)
    assert abs(np.corrcoef(found["c"].real, found["c"].imag)[0, 1]) < 0.02


def test_a_seed_makes_noise_reproducible_whatever_else_draws_random_numbers():
    found = []
    for _ in range(2):
        found.append(gradients_after(optreg.GradientNoise(1.0, seed=7), G, steps=3)["l"])
        np.random.seed(len(found))
        np.random.normal(size=len(found))
    np.testing.assert_array_equal(*found)
    assert not np.array_equal(found[0], gradients_after(optreg.GradientNoise(1.0, seed=8), G, steps=3)["l"])


def test_the_noise_function_serves_a_hook_that_is_no_gradient_noise_with_numpys_own_numbers():
    class Noise:
        name, eta = "noise", 0.25

        def __call__(self, opt):
            for param in opt.target.params():
                param.grad += optreg.exponential_decay_noise(np, param.grad.shape, param.grad.dtype, self, opt)

    np.random.seed(11)
    expected = np.random.normal(0, math.sqrt(0.25), 3)
    np.random.seed(11)
    found = gradients_after(Noise(), {"w": np.zeros(3)})
    np.testing.assert_allclose(found["w"], expected, rtol=1e-12)


def test_a_noise_func_must_be_a_function():
    with pytest.raises(TypeError, match=r"noise_func must be a function noise_func\(xp, shape, dtype, hook, opt\)"):
        optreg.GradientNoise(0.1, noise_func=0.5)


# Gradients that cannot be changed in place, and schedules

HOOKS = {
    "weight_decay": {"rate": 0.1},
    "lasso": {"rate": 0.1},
    "gradient_clipping": {"threshold": 0.1},
    "gradient_hard_clipping": {"lower_bound": -0.1, "upper_bound": 0.1},
    "gradient_noise": {"eta": 0.1, "seed": 0},
}


@pytest.mark.parametrize("name", HOOKS)
def test_a_read_only_gradient_is_left_as_it_is_and_counts_all_the_same(name):
    ended = []
    for writeable in (True, False):
        parameters = {"w": np.ones(4)}
        optimizer = optreg.create("sgd", lr=0.5, hooks=[(name, HOOKS[name])]).setup(parameters)
        for _ in range(3):
            grad = np.arange(4.0)
            grad.flags.writeable = writeable
            optimizer.apply_gradients({"w": grad})
            if not writeable:
                np.testing.assert_array_equal(grad, np.arange(4.0))
        ended.append(parameters["w"])
    np.testing.assert_array_equal(*ended)


@pytest.mark.parametrize("name", HOOKS)
def test_a_schedule_of_a_hook_counts_steps_from_one_as_those_of_an_optimizer_do(name):
    argument = next(iter(HOOKS[name]))
    seen = []

    def schedule(t):
        seen.append(t)
        return HOOKS[name][argument]

    ended = []
    for value in (schedule, HOOKS[name][argument]):
        parameters = {"w": np.ones(4), "b": np.zeros(2)}
        optimizer = optreg.create("sgd", lr=0.5, hooks=[(name, {**HOOKS[name], argument: value})]).setup(parameters)
        for _ in range(3):
            optimizer.apply_gradients({"w": np.arange(4.0), "b": np.ones(2)})
        ended.append(parameters["w"])
    assert list(dict.fromkeys(seen)) == [1, 2, 3]
    np.testing.assert_array_equal(*ended)


def test_hooks_do_not_warn_of_overflows():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gradients_after(optreg.WeightDecay(1e300), {"w": np.full(3, 1e300)}, {"w": np.full(3, 1e300)})
