"""Sophia beside pytorch_optimizer, to which the diagonals that ours estimates are given."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_optimizer
import torch

import optreg
from optreg.errors import OptregError
from optreg.optimizers.sophia import Sophia

from .references import Torch, assert_same_path, every_problem

EVERY = 3


class _EstimatingSophia(Sophia):
    """Estimates before every third step, from gradients half as large."""

    def apply_gradients(self, gradients):
        if self.t % EVERY == 0:
            halves = {name: gradient / 2 for name, gradient in gradients.items()}
            self.update_hessian(lambda: (None, halves))
        super().apply_gradients(gradients)


class _Given(pytorch_optimizer.SophiaH):
    """Is given the squares of such gradients in place of its own estimate."""

    made = 0

    def step(self):
        params = [param for group in self.param_groups for param in group["params"]]
        given = [param.grad.square() / 4 for param in params] if self.made % EVERY == 0 else None
        if given is None:
            for param in params:
                self.state[param].pop("hessian", None)
        self.made += 1
        super().step(hessian=given)


def _reference(lr, betas, rho, weight_decay):
    # Theirs clips m / h at p, ours m / (p·h) at 1.
    p = rho * 5120
    return lambda params: _Given(
        params, lr / p, betas, weight_decay * p, p=p, eps=1e-30, update_period=10**9, foreach=False
    )


@every_problem
@pytest.mark.parametrize(
    ("changed", "theirs"),
    [
        pytest.param({}, {"lr": 1e-4, "betas": (0.965, 0.99), "rho": 0.04, "weight_decay": 0.1}, id="defaults"),
        pytest.param(
            {"lr": 0.05, "beta1": 0.7, "beta2": 0.8, "rho": 0.01, "weight_decay": 0.5},
            {"lr": 0.05, "betas": (0.7, 0.8), "rho": 0.01, "weight_decay": 0.5},
            id="changed",
        ),
    ],
)
def test_sophia_walks_the_path_of_pytorch_optimizer(changed, theirs, problem):
    ours = _EstimatingSophia(**changed, eps=1e-30)  # theirs is no summand, but a bound
    assert_same_path(ours, Torch(_reference(**theirs)), problem, states={"m": "momentum", "h": "hessian_moment"})


def _authors_step(t, rng):
    return (0.1 if t == 3 else 1.0) * rng.normal(size=4)


def test_sophia_makes_the_steps_of_its_authors_code():
    """The numbers were printed by SophiaG of the authors' sophia.py in double precision, with bs=100."""
    rng = np.random.default_rng(0)
    w = np.linspace(-1, 1, 4)
    sophia = Sophia(lr=0.1, beta1=0.6, beta2=0.9, rho=0.05, batch_size=100, weight_decay=0.2).setup({"w": w})
    for t in range(1, 6):
        sophia.apply_gradients({"w": _authors_step(t, rng)})
        if t in (1, 3):
            sophia.update_hessian(lambda: (None, {"w": rng.normal(size=4)}))
    np.testing.assert_allclose(w, PUBLISHED, rtol=1e-14)


PUBLISHED = [-0.823687107609976, -0.2169109162666667, 0.32817766203880294, 0.8197450841313021]


def test_an_estimate_makes_no_step_and_calls_no_hook():
    calls = []
    w = np.ones(2)
    sophia = optreg.create("sophia", hooks=[optreg.create_hook("weight_decay", rate=1.0)]).setup({"w": w})
    sophia.add_hook(calls.append, name="counts")
    loss = sophia.update_hessian(lambda: (7.0, {"w": np.array([1.0, 2.0])}))
    assert (loss, sophia.t, calls) == (7.0, 0, [])
    np.testing.assert_array_equal(w, 1)
    np.testing.assert_allclose(sophia._states["/w"]["h"], [0.01, 0.04])
    with sophia.evaluation_weights(), pytest.raises(OptregError, match="inside of evaluation_weights"):
        sophia.update_hessian()


def test_estimates_that_torch_makes_by_backward_are_taken():
    weights = torch.tensor([1.0, -2.0], dtype=torch.float64)
    w = weights.numpy()
    sophia = optreg.create("sophia", lr=0.1, beta1=0.0, weight_decay=0.0, batch_size=1.0, rho=1.0).setup({"w": w})

    def sampled():
        leaf = torch.tensor(w, requires_grad=True)
        (leaf**2).sum().backward()
        return None, {"w": leaf.grad.numpy()}

    sophia.update_hessian(sampled)
    np.testing.assert_allclose(sophia._states["/w"]["h"], [0.04, 0.16])
