"""LARS, LAMB, NovoGrad and StableAdamW beside optax and pytorch_optimizer, and a formula where neither has one."""

from __future__ import annotations

import attrs
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import pytorch_optimizer

from optreg.optimizers.lamb import LAMB, LARS
from optreg.optimizers.novograd import NovoGrad
from optreg.optimizers.stable_adamw import StableAdamW

from .references import Formula, Optax, Problem, Torch, assert_same_path, every_problem


@attrs.frozen
class WithZeros(Problem):
    """The array b begins at zero, and the gradient of all of "filters" is zero in the first two steps."""

    def start(self):
        """As of Problem."""
        return super().start() | {"b": np.zeros(6, self.dtype)}

    def gradients(self, t, values):
        """As of Problem."""
        nothing = {} if t > 2 else {"filters": np.zeros((2, 3, 3), self.dtype)}
        return super().gradients(t, values) | nothing


zeros_as_well = pytest.mark.parametrize(
    "problem", [WithZeros("open", "float32", 50), WithZeros("closed", "float64", 50)], ids=str
)


def _optax_lars(lr=1e-2, momentum=0.9, trust=1e-3, weight_decay=0.0):
    return Optax(optax.lars(lr, weight_decay, trust_coefficient=trust, momentum=momentum))


def _optax_lamb(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-6, weight_decay=1e-2):
    return Optax(optax.lamb(lr, beta1, beta2, eps, weight_decay=weight_decay))


def _stable_adamw(lr=1e-3, beta1=0.9, beta2=0.99, eps=1e-6, weight_decay=1e-2):
    return Torch(
        lambda params: pytorch_optimizer.StableAdamW(
            params, lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay, foreach=False
        )
    )


def _apex_novograd(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """What Apex's kernel computes by default; it runs on GPUs alone."""

    def update(value, grad, state, t):
        norm = np.sqrt(np.sum(grad**2))
        # Apex begins with the norm of the first gradient; a first gradient of zero is no beginning for us.
        old = state["norm"] if state.get("norm") else norm
        state["norm"] = np.sqrt(beta2 * old**2 + (1 - beta2) * norm**2)
        state["v"] = state["norm"] ** 2
        state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * grad
        divisor = state["norm"] / np.sqrt(1 - beta2**t) + eps
        return value - lr * (state["m"] / (1 - beta1**t) / divisor + weight_decay * value)

    return Formula(update)


MOMENTS = {"m": lambda state: state[0].mu, "v": lambda state: state[0].nu}
BUF = {"buf": lambda state: {name: -array for name, array in state[3].trace.items()}}  # optax adds its steps
CASES = [
    pytest.param(LARS, _optax_lars, BUF, {}, id="lars"),
    pytest.param(LARS, _optax_lars, BUF, {"lr": 0.3, "momentum": 0.7, "trust": 0.1, "weight_decay": 0.05}, id="lars-2"),
    pytest.param(LARS, _optax_lars, BUF, {"lr": 0.3, "momentum": 0.0, "trust": 0.02}, id="lars-no-momentum"),
    pytest.param(LAMB, _optax_lamb, MOMENTS, {}, id="lamb"),
    pytest.param(
        LAMB,
        _optax_lamb,
        MOMENTS,
        {"lr": 0.02, "beta1": 0.7, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.1},
        id="lamb-2",
    ),
    pytest.param(LAMB, _optax_lamb, MOMENTS, {"lr": 0.02, "weight_decay": 0.0}, id="lamb-no-decay"),
    pytest.param(NovoGrad, _apex_novograd, {"m": "m", "v": "v"}, {}, id="novograd"),
    pytest.param(
        NovoGrad,
        _apex_novograd,
        {"m": "m", "v": "v"},
        {"lr": 0.1, "beta1": 0.7, "beta2": 0.5, "eps": 1e-3, "weight_decay": 0.1},
        id="novograd-2",
    ),
    pytest.param(StableAdamW, _stable_adamw, {}, {}, id="stable-adamw"),
    pytest.param(
        StableAdamW,
        _stable_adamw,
        {},
        {"lr": 0.1, "beta1": 0.7, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.2},
        id="stable-adamw-2",
    ),
]


@every_problem
@pytest.mark.parametrize(("ours", "theirs", "states", "changed"), CASES)
def test_the_path_is_that_of_another_implementation(ours, theirs, states, changed, problem):
    assert_same_path(ours(**changed), theirs(**changed), problem, states=states)


@zeros_as_well
@pytest.mark.parametrize(("ours", "theirs", "states", "changed"), CASES)
def test_the_path_is_the_same_from_zero_and_with_gradients_of_zero(ours, theirs, states, changed, problem):
    assert_same_path(ours(**changed), theirs(**changed), problem, states=states)


@every_problem
@pytest.mark.parametrize("beta2", [0.0, 0.5, 0.98])
def test_the_norm_of_novograd_is_averaged_as_that_of_optax(beta2, problem):
    """Without an average of the gradient, optax's steps are as ours but for the correction of v."""

    def rate(count):
        return 0.1 * jnp.sqrt(1 - jnp.asarray(beta2, problem.dtype) ** (count + 1))

    theirs = Optax(optax.novograd(rate, 0.0, beta2, 1e-30))
    ours = NovoGrad(lr=0.1, beta1=0.0, beta2=beta2, eps=1e-30)
    assert_same_path(ours, theirs, problem, states={"v": lambda state: state[0].nu})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_novograd_keeps_one_number_for_each_array(dtype):
    optimizer = NovoGrad().setup({"w": np.ones((3, 4), dtype)})
    optimizer.apply_gradients({"w": np.full((3, 4), 2, dtype)})
    v = optimizer._states["/w"]["v"]
    assert (v.shape, v.dtype, float(v)) == ((), np.dtype(dtype), 48.0)


def test_a_gradient_of_zero_is_no_beginning_for_the_norm_of_novograd():
    w = np.ones(4)
    optimizer = NovoGrad(lr=0.1, beta2=0.99).setup({"w": w})
    optimizer.apply_gradients({"w": np.zeros(4)})
    np.testing.assert_array_equal(w, 1)
    optimizer.apply_gradients({"w": np.full(4, 3.0)})
    assert float(optimizer._states["/w"]["v"]) == 36.0


def test_stable_adamw_slows_down_when_a_gradient_is_much_larger_than_those_before():
    def second_step(method):
        w = np.zeros(5)
        optimizer = method.setup({"w": w})
        optimizer.apply_gradients({"w": np.ones(5)})
        before = w.copy()
        optimizer.apply_gradients({"w": np.full(5, 100.0)})
        return w - before

    # v̂ = 0.99/1.99 + 100²/1.99, so g²/v̂ is 1.99 to four digits: the rate is divided by its root.
    ours, without = second_step(StableAdamW(beta1=0.0)), np.full(5, -1e-3 * 100 / np.sqrt((0.99 + 1e4) / 1.99))
    np.testing.assert_allclose(ours, without / np.sqrt(1.99 / (1 + 0.99e-4)), rtol=1e-4)
