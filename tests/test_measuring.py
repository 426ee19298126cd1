"""Optimizers that adapt to sums over all tensors: ``measure()``, then ``adapt()``, then the rule."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import attrs
import numpy as np
import pytest

import optreg
from optreg.errors import CheckpointError, HyperparameterError, OptregError, SkipStep
from optreg.hyperparameters import nonnegative, positive, remembered
from optreg.optimizer import GradientMethod


@attrs.define(eq=False)
class ByNorm(GradientMethod):
    """Steps as long as lr, all parameters together; the longest gradient so far is remembered."""

    lr: float = positive(1.0)
    decay: float = nonnegative(0.0)
    longest: float = remembered(0.0)
    seen: Any = attrs.field(factory=list, init=False)

    def measure(self, param: Any, grad: Any, m: Any) -> Any:
        return np.sum(np.square(grad + self.decay * param)), np.max(np.abs(m))

    def adapt(self, squares: float, momentum: float) -> None:
        self.seen.append((self.t, squares, momentum))
        self.longest = max(self.longest, math.sqrt(squares))

    def rule(self, param: Any, grad: Any, m: Any) -> None:
        m[...] = grad + self.decay * param
        param -= self.lr * m / self.longest


def gradients(t):
    rng = np.random.default_rng(t)
    return {name: rng.normal(size=shape) for name, shape in {"a": (3, 4), "b": (5,), "c": (), "d": (0, 2)}.items()}


def parameters(dtype=float):
    return {name: np.asarray(array).astype(dtype) for name, array in gradients(99).items()}


def run(optimizer, arrays, steps):
    for t in steps:
        optimizer.apply_gradients({name: gradients(t)[name].astype(array.dtype) for name, array in arrays.items()})
    return arrays


def test_the_totals_are_those_of_all_tensors_before_the_step_is_made():
    arrays = parameters()
    optimizer = ByNorm(decay=0.5).setup(arrays)
    for t in (1, 2, 3):
        given = {name: gradients(t)[name] + 0.5 * array for name, array in arrays.items()}
        before = {name: each.copy() for name, each in arrays.items()}
        run(optimizer, arrays, [t])
        step_made, squares, _ = optimizer.seen[-1]
        assert step_made == t == optimizer.t
        assert squares == pytest.approx(sum(np.sum(each**2) for each in given.values()), rel=1e-14)
        for name, array in arrays.items():
            np.testing.assert_allclose(array, before[name] - given[name] / optimizer.longest, rtol=1e-14)


def test_hooks_before_the_update_are_seen_and_each_group_has_its_hyperparameters():
    arrays = {"a": np.ones(2), "b": np.ones(2)}
    decay = optreg.create_hook("weight_decay", rate=1.0)
    optimizer = ByNorm().setup(arrays)
    optimizer.options = {"b": {"decay": 1.0}}
    optimizer.add_hook(decay)
    optimizer.apply_gradients({"a": np.zeros(2), "b": np.zeros(2)})
    assert optimizer.seen == [(1, 2 * 1 + 2 * 4, 0)]


def test_totals_are_rounded_once_so_that_the_order_of_parameters_does_not_matter():
    rng = np.random.default_rng(0)
    pieces = {str(index): 10 ** rng.uniform(-8, 8, 3) for index in range(40)}
    found = []
    for names in (list(pieces), list(pieces)[::-1]):
        optimizer = ByNorm().setup({name: np.ones(3) for name in names})
        optimizer.apply_gradients({name: pieces[name] for name in names})
        found.append(optimizer.seen)
    assert found[0] == found[1]


def test_a_compiled_step_is_made_again_without_a_plan(monkeypatch):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    with optreg.use_backend("numba"):
        arrays = {"a": np.ones((30, 30)), "b": np.ones(7)}
        optimizer = optreg.create("prodigy", d0=1e-2, hooks=[optreg.create_hook("weight_decay", rate=0.1)])
        optimizer.setup(arrays)
        for t in range(4):
            optimizer.apply_gradients({name: array - t for name, array in arrays.items()})
        monkeypatch.setattr("optreg.measuring.prepare_pass", None)
        monkeypatch.setattr("optreg.optimizer.prepare_pass", None)
        for t in range(4):
            optimizer.apply_gradients({name: array - t for name, array in arrays.items()})
    assert optimizer.t == 8


@pytest.mark.parametrize("name", ["prodigy", "dadapt_sgd", "dadapt_adam"])
def test_what_is_remembered_comes_back_and_begins_anew(name, tmp_path):
    arrays = parameters()
    optimizer = optreg.create(name, d0=1e-3).setup(arrays)
    for _ in range(9):
        optimizer.apply_gradients({key: each - 3 for key, each in arrays.items()})
    optreg.save(tmp_path / "5.npz", optimizer)
    assert optimizer.d > 1e-3
    with np.load(tmp_path / "5.npz") as file:
        assert float(file["d"]) == optimizer.d
    other = optreg.create(name).setup({key: each.copy() for key, each in arrays.items()})
    optreg.load(tmp_path / "5.npz", other)
    assert (other.d, other.d0) == (optimizer.d, 1e-3)
    copied = pickle.loads(pickle.dumps(optimizer))
    assert copied.d == copy.deepcopy(optimizer).d == optimizer.d
    assert optimizer.setup(arrays).d == 1e-3


def test_a_checkpoint_without_the_numbers_is_refused(tmp_path):
    arrays = parameters()
    optimizer = optreg.create("prodigy").setup(arrays)
    run(optimizer, arrays, range(2))
    optreg.save(tmp_path / "a.npz", optimizer)
    with np.load(tmp_path / "a.npz") as file:
        arrays_alone = {key: value for key, value in file.items() if key not in ("d", "__optreg__")}
    d = optimizer.d
    for wrong, message in (({}, "d is missing"), ({"d": np.ones(3)}, "which is no number")):
        np.savez(tmp_path / "b.npz", **arrays_alone, **wrong)
        with pytest.raises(CheckpointError, match=message):
            optreg.load(tmp_path / "b.npz", optimizer)
        assert optimizer.d == d
    np.savez(tmp_path / "b.npz", **arrays_alone, d=np.array(0.25))
    optreg.load(tmp_path / "b.npz", optimizer)
    assert optimizer.d == 0.25


def test_a_step_that_fails_leaves_what_was_remembered():
    class Failing(ByNorm):
        def rule(self, param: Any, grad: Any, m: Any) -> None:
            raise ArithmeticError("wrong")

    optimizer = Failing().setup({"a": np.ones(2)})
    with optreg.use_backend("numpy"), pytest.raises(ArithmeticError):
        optimizer.apply_gradients({"a": np.ones(2)})
    assert (optimizer.longest, optimizer.t) == (0.0, 0)
    optimizer = ByNorm(lr=lambda t: 2.0 - t).setup({"a": np.ones(2)})
    optimizer.apply_gradients({"a": np.ones(2)})
    optimizer.apply_gradients({"a": np.ones(2)})  # at a rate of 0
    with pytest.raises(HyperparameterError, match="the schedule of lr"):
        optimizer.apply_gradients({"a": np.full(2, 9.0)})
    assert (optimizer.longest, optimizer.t, len(optimizer.seen)) == (math.sqrt(2), 2, 2)


def test_adapt_may_leave_the_step_out():
    class Waiting(ByNorm):
        def adapt(self, squares: float, momentum: float) -> None:
            self.longest = 7.0
            if squares < 1:
                raise SkipStep

    w = np.ones(2)
    optimizer = Waiting().setup({"a": w})
    optimizer.apply_gradients({"a": np.zeros(2)})
    np.testing.assert_array_equal(w, 1)
    assert (optimizer.t, optimizer.longest) == (1, 0.0)
    optimizer.apply_gradients({"a": np.ones(2)})
    assert (w < 1).all()


def test_steps_without_any_gradient_are_left_out():
    for name in ("prodigy", "dadapt_sgd", "dadapt_adam"):
        w = np.ones(3)
        optimizer = optreg.create(name, weight_decay=0.1 if name == "prodigy" else 0.0, d0=0.1).setup({"w": w})
        for _ in range(3):
            optimizer.apply_gradients({"w": np.zeros(3)})
        np.testing.assert_array_equal(w, 1)
        optimizer.apply_gradients({"w": np.ones(3)})
        assert (w < 1).all()
        assert math.isfinite(optimizer.d)


def test_parameters_with_a_rate_of_zero_rest():
    arrays = {"w": np.ones(3), "frozen": np.ones(3)}
    optimizer = optreg.create("prodigy", d0=0.1, weight_decay=0.1).setup(arrays)
    optimizer.options = {"frozen": {"lr": lambda t: 0.0}}
    alone = {"w": np.ones(3)}
    reference = optreg.create("prodigy", d0=0.1, weight_decay=0.1).setup(alone)
    for t in range(1, 9):
        gradient = np.random.default_rng(t).normal(size=3)
        optimizer.apply_gradients({"w": gradient, "frozen": 5 * gradient})
        reference.apply_gradients({"w": gradient})
    np.testing.assert_array_equal(arrays["frozen"], 1)
    np.testing.assert_array_equal(arrays["w"], alone["w"])


def test_a_step_with_a_gradient_that_is_not_finite_can_be_skipped():
    arrays = parameters()
    optimizer = optreg.create("prodigy", hooks=[optreg.create_hook("skip_nonfinite")]).setup(arrays)
    run(optimizer, arrays, range(2))
    d, kept = optimizer.d, {name: each.copy() for name, each in arrays.items()}
    optimizer.apply_gradients({"b": np.array([1, np.nan, np.inf, 1, 1])})
    assert (optimizer.d, optimizer.t) == (d, 3)
    for name, each in arrays.items():
        np.testing.assert_array_equal(each, kept[name])


@pytest.mark.parametrize("master_weights", [False, True])
def test_float16_parameters_go_nearly_the_way_of_float32(master_weights):
    full, half = parameters(np.float32), parameters(np.float16)
    one, other = (optreg.create("prodigy", d0=1e-2) for _ in range(2))
    other.master_weights = master_weights
    run(one.setup(full), full, range(9))
    run(other.setup(half), half, range(9))
    assert other.d == pytest.approx(one.d, rel=5e-2)
    for name, array in half.items():
        assert array.dtype == np.float16
        np.testing.assert_allclose(array, full[name], atol=2e-2)


def test_a_complex_parameter_is_measured_as_its_two_parts():
    start = np.linspace(-1, 1, 6)
    numbers, parts = start.view(complex).copy(), start.copy()
    one, other = (optreg.create("prodigy", d0=1e-2) for _ in range(2))
    one.setup({"w": numbers})
    other.setup({"w": parts})
    for t in range(5):
        gradient = np.random.default_rng(t).normal(size=6)
        one.apply_gradients({"w": gradient.view(complex)})
        other.apply_gradients({"w": gradient})
    assert one.d == pytest.approx(other.d, rel=1e-13)
    np.testing.assert_allclose(numbers.view(float), parts, rtol=1e-13)


def test_a_measure_that_returns_something_else_is_told_what_to_return():
    class Forgets(ByNorm):
        def measure(self, param: Any, grad: Any, m: Any) -> Any:
            return grad * grad, 0.0

    class TooFew(ByNorm):
        def measure(self, param: Any, grad: Any, m: Any) -> Any:
            return np.sum(grad)

    for cls in (Forgets, TooFew):
        optimizer = cls().setup({"a": np.ones(3)})
        with (
            optreg.use_backend("numpy"),
            pytest.raises(OptregError, match=r"must return one number for each of the totals .*squares, momentum"),
        ):
            optimizer.apply_gradients({"a": np.ones(3)})
        assert optimizer.t == 0


def test_a_parameter_that_comes_later_is_measured_as_well():
    arrays = {"a": np.ones(2)}
    optimizer = ByNorm().setup(arrays)
    optimizer.apply_gradients({"a": np.ones(2)})
    arrays["b"] = np.ones(3)
    optimizer.apply_gradients({"a": np.ones(2), "b": np.ones(3)})
    assert [squares for _, squares, _ in optimizer.seen] == [2, 5]


def test_an_optimizer_that_updates_one_parameter_at_a_time_may_measure():
    class OneByOne(ByNorm):
        def update_one(self, param: Any, state: Any) -> None:
            param.data -= param.grad / self.longest

    w = np.zeros(2)
    optimizer = OneByOne().setup({"w": w})
    optimizer.apply_gradients({"w": np.array([3.0, 4.0])})
    np.testing.assert_allclose(w, [-0.6, -0.8])


def test_what_it_measures_with_is_among_its_slots():
    assert optreg.info("prodigy").slots == ("m", "v", "s", "p0")


def test_no_parameters_is_a_step_as_well():
    optimizer = ByNorm().setup({})
    optimizer.update()
    assert optimizer.seen == [(1, 0.0, 0.0)]
