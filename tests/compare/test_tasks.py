"""The tasks: their gradients, their data, and what they promise to every optimizer."""

from itertools import islice

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss

from optreg.compare.classification import BreastCancer, Digits, DigitsSoftmax
from optreg.compare.surfaces import Beale, Rosenbrock

DATA_TASKS = [Digits, DigitsSoftmax, BreastCancer]
SURFACES = [Rosenbrock, Beale]


def in_float64(cls):
    return cls("float64") if cls in DATA_TASKS else cls()


def arrays_in(nested, path=""):
    for name, value in nested.items():
        if isinstance(value, dict):
            yield from arrays_in(value, f"{path}/{name}")
        else:
            yield f"{path}/{name}", value


@pytest.mark.parametrize("cls", DATA_TASKS + SURFACES)
def test_gradients_agree_with_finite_differences(cls):
    task = in_float64(cls)
    random = np.random.default_rng(7)
    parameters = task.initial_parameters(0)
    arrays = dict(arrays_in(parameters))
    for array in arrays.values():
        array[...] += random.normal(scale=0.1, size=array.shape)
    batch = next(task.batches(0, 16))
    _, gradients = task.loss_and_gradients(parameters, batch)
    gradients = dict(arrays_in(gradients))
    assert gradients.keys() == arrays.keys()
    eps = 1e-6
    for path, array in arrays.items():
        assert gradients[path].shape == array.shape
        for index in random.permutation(list(np.ndindex(array.shape)))[:40]:
            place = tuple(index)
            kept = array[place]
            array[place] = kept + eps
            above, _ = task.loss_and_gradients(parameters, batch)
            array[place] = kept - eps
            below, _ = task.loss_and_gradients(parameters, batch)
            array[place] = kept
            assert gradients[path][place] == pytest.approx((above - below) / (2 * eps), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("cls", DATA_TASKS)
def test_the_loss_is_the_cross_entropy_that_scikit_learn_computes(cls):
    task = in_float64(cls)
    random = np.random.default_rng(3)
    parameters = task.initial_parameters(0)
    for _, array in arrays_in(parameters):
        array[...] += random.normal(scale=0.1, size=array.shape)
    inputs, labels = task.split.validation
    scores = task.scores(parameters, inputs)
    if scores.ndim == 1:
        scores = np.stack([np.zeros_like(scores), scores], axis=1)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected = log_loss(labels, probabilities, labels=range(probabilities.shape[1]))
    assert task.measure(parameters)["validation loss"] == pytest.approx(expected)


@pytest.mark.parametrize("cls", DATA_TASKS)
def test_losses_stay_finite_for_enormous_scores(cls):
    task = cls()
    parameters = task.initial_parameters(0)
    for _, array in arrays_in(parameters):
        array[...] += 1e4
    loss, gradients = task.loss_and_gradients(parameters, next(task.batches(0, 32)))
    assert np.isfinite(loss)
    assert all(np.isfinite(array).all() for _, array in arrays_in(gradients))


@pytest.mark.parametrize("cls", DATA_TASKS)
def test_an_epoch_holds_every_training_example_once(cls):
    task = cls()
    inputs, _ = task.split.training
    length = task.epoch_length(32)
    batches = list(islice(task.batches(0, 32), length))
    seen = np.concatenate([rows for rows, _ in batches])
    assert len(batches[0][0]) == 32
    assert sorted(map(bytes, seen)) == sorted(map(bytes, inputs))


def test_the_three_parts_of_the_digits_are_all_of_them_and_share_none():
    split = Digits("float64").split
    sizes = [len(labels) for _, labels in (split.training, split.validation, split.test)]
    assert sizes == [1078, 359, 360]
    rows = np.concatenate([rows for rows, _ in (split.training, split.validation, split.test)])
    original = load_digits().data
    assert len(np.unique(rows, axis=0)) == len(np.unique(original, axis=0))


@pytest.mark.parametrize("cls", DATA_TASKS + SURFACES)
def test_a_seed_decides_the_start_and_the_batches_and_nothing_else_does(cls):
    first, second = cls(), cls()
    for one, other in zip(arrays_in(first.initial_parameters(3)), arrays_in(second.initial_parameters(3)), strict=True):
        np.testing.assert_array_equal(one[1], other[1])
    for one, other in zip(islice(first.batches(3, 32), 3), islice(second.batches(3, 32), 3), strict=True):
        np.testing.assert_equal(one, other)


def test_other_seeds_give_other_starts_and_batches():
    task = Digits()
    assert (task.initial_parameters(0)["l1"]["W"] != task.initial_parameters(1)["l1"]["W"]).all()
    assert (next(task.batches(0, 32))[0] != next(task.batches(1, 32))[0]).any()
    assert (Beale().initial_parameters(0)["point"] != Beale().initial_parameters(1)["point"]).all()


def test_rosenbrock_is_the_function_that_scipy_has():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    np.testing.assert_allclose(Rosenbrock().height(x, y), rosen(np.stack([x, y])))
    np.testing.assert_allclose(np.stack(Rosenbrock().slope(x, y)), rosen_der(np.stack([x, y])))


@pytest.mark.parametrize("cls", SURFACES)
def test_a_surface_is_flat_and_zero_at_its_minimum(cls):
    x, y = map(np.float64, cls.minimum)
    assert cls().height(x, y) == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(cls().slope(x, y), 0, atol=1e-12)


@pytest.mark.parametrize("cls", SURFACES)
def test_start_and_minimum_lie_in_the_view(cls):
    for point in (cls.start, cls.minimum):
        for value, (low, high) in zip(point, cls.view, strict=True):
            assert low < value < high


@pytest.mark.gpu
@pytest.mark.parametrize("cls", DATA_TASKS + SURFACES)
def test_the_same_code_runs_on_cupy(cls):
    cupy = pytest.importorskip("cupy")
    task = in_float64(cls)
    parameters = task.initial_parameters(0)

    def moved(nested):
        return {k: moved(v) if isinstance(v, dict) else cupy.asarray(v) for k, v in nested.items()}

    batch = next(task.batches(0, 16))
    loss, gradients = task.loss_and_gradients(parameters, batch)
    loss_there, gradients_there = task.loss_and_gradients(moved(parameters), batch)
    assert loss_there == pytest.approx(loss)
    for (_, here), (_, there) in zip(arrays_in(gradients), arrays_in(gradients_there), strict=True):
        np.testing.assert_allclose(cupy.asnumpy(there), here, rtol=1e-9, atol=1e-12)
    assert task.measure(moved(parameters)) == pytest.approx(task.measure(parameters))
