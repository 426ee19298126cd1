"""What the paths beside other implementations do not reach: long arrays, complex ones, no gradient, schedules."""

from __future__ import annotations

import numpy as np
import pytest

from optreg.optimizers.adabelief import AdaBelief
from optreg.optimizers.adabound import AdaBound
from optreg.optimizers.adan import Adan
from optreg.optimizers.ademamix import AdEMAMix
from optreg.optimizers.adopt import ADOPT
from optreg.optimizers.grams import Grams
from optreg.optimizers.lamb import LAMB, LARS
from optreg.optimizers.laprop import LaProp
from optreg.optimizers.msvag import MSVAG
from optreg.optimizers.novograd import NovoGrad
from optreg.optimizers.sign import Lion, SignSGD, Signum
from optreg.optimizers.stable_adamw import StableAdamW
from optreg.optimizers.yogi import Yogi
from optreg.schedules import Exponential

METHODS = [SignSGD, Signum, Lion, AdaBelief, AdaBound, Yogi, Adan, AdEMAMix, ADOPT, LaProp, Grams, MSVAG]
LAYERWISE = [LARS, LAMB, NovoGrad, StableAdamW]
"""A long array and its pieces have other norms, so they go other ways."""

every_elementwise_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
every_method = pytest.mark.parametrize("method", METHODS + LAYERWISE, ids=lambda method: method.__name__)


def _gradients(count, steps):
    rng = np.random.default_rng(7)
    return rng.normal(size=(steps, count)) * (rng.random((steps, count)) > 0.2)


@every_method
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_without_a_gradient_from_the_first_step_nothing_moves(method, dtype):
    w = np.ones(5, dtype)
    optimizer = method(**({"weight_decay": 0.0} if method in LAYERWISE else {})).setup({"w": w})
    for _ in range(3):
        optimizer.apply_gradients({"w": np.zeros(5, dtype)})
    # Yogi's averages begin at 1e-6, in optax as well.
    np.testing.assert_allclose(w, np.ones(5, dtype), atol=1e-4 if method is Yogi else 0, rtol=0)
    optimizer.apply_gradients({"w": np.full(5, 2, dtype)})
    optimizer.apply_gradients({"w": np.full(5, 2, dtype)})
    assert (w.real < 1).all()


@every_elementwise_method
def test_a_long_array_goes_the_way_of_its_pieces(method):
    """Longer than a block of the backend, so that what is one number a tensor is seen by several of them."""
    count, steps = 50_000, 4
    whole = np.linspace(-1, 1, count)
    pieces = {str(index): piece.copy() for index, piece in enumerate(np.split(whole, 5))}
    falling = Exponential(initial=0.1, factor=0.5)
    one = method(lr=falling).setup({"w": whole})
    other = method(lr=falling).setup(pieces)
    for gradient in _gradients(count, steps):
        one.apply_gradients({"w": gradient})
        other.apply_gradients({str(index): piece for index, piece in enumerate(np.split(gradient, 5))})
    np.testing.assert_array_equal(whole, np.concatenate(list(pieces.values())))


@every_method
def test_a_complex_array_goes_the_way_of_its_two_parts(method):
    start = np.linspace(-1, 1, 12)
    numbers, parts = start.view(complex).copy(), start.copy()
    one, other = method(lr=0.1).setup({"w": numbers}), method(lr=0.1).setup({"w": parts})
    for gradient in _gradients(12, 5):
        one.apply_gradients({"w": gradient.view(complex)})
        other.apply_gradients({"w": gradient})
    np.testing.assert_array_equal(numbers.view(float), parts)


@every_method
def test_a_schedule_is_at_every_step_the_number_that_it_gives(method):
    falling = Exponential(initial=0.1, factor=0.5)
    scheduled, set_by_hand = np.ones(6), np.ones(6)
    one, other = method(lr=falling).setup({"w": scheduled}), method().setup({"w": set_by_hand})
    for t, gradient in enumerate(_gradients(6, 5), start=1):
        other.lr = falling(t)
        one.apply_gradients({"w": gradient})
        other.apply_gradients({"w": gradient})
    np.testing.assert_array_equal(scheduled, set_by_hand)


@every_method
def test_very_large_and_very_small_gradients_make_finite_steps(method):
    w = np.zeros(4, np.float32)
    optimizer = method().setup({"w": w})
    for _ in range(3):
        optimizer.apply_gradients({"w": np.array([1e15, -1e15, 1e-30, -1e-30], np.float32)})
    assert np.isfinite(w).all()
