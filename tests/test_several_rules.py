"""An optimizer that has one rule for matrices and another for all else."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import optreg
from optreg.hyperparameters import boolean, positive


@attrs.define(eq=False)
class ByShape(optreg.GradientMethod):
    """Signs for matrices, momentum for what is none."""

    rules = "rule", "rule_of_vectors"

    lr: float = positive(0.1)
    matrix: bool = boolean(True)

    def rule_for(self, param):
        return "rule" if param.data.ndim == 2 and self.matrix else "rule_of_vectors"

    def rule(self, param, grad, rows):
        rows += 1
        param -= self.lr * np.sign(grad)

    def rule_of_vectors(self, param, grad, momentum):
        momentum *= 0.9
        momentum += grad
        param -= self.lr * momentum


def parameters(dtype="float32"):
    rng = np.random.default_rng(0)
    shapes = {"embedding": (4, 3), "b": (3,), "w": (3, 2), "scale": ()}
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def gradients(number, of):
    rng = np.random.default_rng(number)
    return {name: rng.standard_normal(array.shape).astype(array.dtype) for name, array in of.items()}


def walked(optimizer, steps=5, dtype="float32"):
    arrays = parameters(dtype)
    optimizer.setup(arrays)
    for number in range(steps):
        optimizer.apply_gradients(gradients(number, arrays))
    return arrays


def by_hand(is_matrix, steps=5, lr=0.1):
    arrays = parameters()
    momentum = {name: np.zeros_like(array) for name, array in arrays.items()}
    for number in range(steps):
        for name, grad in gradients(number, arrays).items():
            momentum[name] = momentum[name] * np.float32(0.9) + grad
            step = np.sign(grad) if name in is_matrix else momentum[name]
            arrays[name][...] = arrays[name] - np.float32(lr) * step
    return arrays


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in other)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_each_parameter_has_the_rule_that_its_shape_asks_for(backend, monkeypatch):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    with optreg.use_backend(backend):
        arrays = walked(ByShape())
    assert same(arrays, by_hand({"embedding", "w"}))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_options_choose_the_rule_by_path(backend, monkeypatch):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    optimizer = ByShape()
    optimizer.setup(parameters())
    with optreg.use_backend(backend):
        arrays = walked(with_options(ByShape()))
    assert same(arrays, by_hand({"w"}))


def with_options(optimizer, **embedding):
    optimizer.options = {"*embedding": {"matrix": False, **embedding}}
    return optimizer


def test_a_parameter_has_only_the_slots_of_its_rule():
    optimizer = with_options(ByShape())
    optimizer.setup(parameters())
    slots = {path: set(state) for path, state in optimizer._states.items()}
    vector = {"momentum"}
    assert slots == {"/embedding": vector, "/b": vector, "/w": {"rows"}, "/scale": vector}


def test_hooks_and_schedules_go_with_all_rules(monkeypatch):
    monkeypatch.setenv("OPTREG_COMPILE", "now")

    def made():
        optimizer = with_options(ByShape(lr=lambda t: 0.1 / t), lr=0.5)
        optimizer.add_hook("weight_decay", rate=0.01)
        optimizer.add_hook("exponential_moving_average")
        return optimizer

    with optreg.use_backend("numpy"):
        expected = walked(made())
    with optreg.use_backend("numba"):
        compiled = walked(made())
    assert same(compiled, expected)
    assert not same(compiled, walked(with_options(ByShape())))


def test_a_step_that_repeats_is_made_by_both_kernels(monkeypatch):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    optimizer = with_options(ByShape())
    with optreg.use_backend("numba"):
        walked(optimizer)
        assert optimizer._own_repeats().fit()


def test_float16_parameters_keep_the_rule_of_their_shape():
    optimizer = ByShape(lr=1e-4)
    optimizer.master_weights = True
    arrays = walked(optimizer, dtype="float16")
    assert {path: set(state) for path, state in optimizer._states.items()}["/w"] == {"rows", "master"}
    assert not same(arrays, parameters("float16"))


def test_a_resumed_run_is_the_unbroken_one(tmp_path):
    unbroken = walked(with_options(ByShape()), steps=6)
    optimizer = with_options(ByShape())
    arrays = walked(optimizer, steps=3)
    optreg.save(tmp_path / "c.npz", optimizer)
    later = ByShape()  # the checkpoint brings the options, and with them another rule for the embedding
    later.setup(arrays)
    optreg.load(tmp_path / "c.npz", later)
    assert set(later._states["/embedding"]) == {"momentum"}
    for number in range(3, 6):
        later.apply_gradients(gradients(number, arrays))
    assert same(arrays, unbroken)


def test_another_rule_after_setup_is_an_error_that_says_what_to_do():
    optimizer = ByShape()
    walked(optimizer)
    optimizer.matrix = False
    with pytest.raises(optreg.errors.HyperparameterError, match=r"now uses the slot 'momentum'.*setup\(\) again"):
        optimizer.apply_gradients(gradients(0, parameters()))


def test_rule_for_must_name_a_method():
    class Wrong(ByShape):
        def rule_for(self, param):
            return "matrix_rule"

    with pytest.raises(
        optreg.errors.OptregError, match=r"Wrong\.rule_for\(\) returned 'matrix_rule'.*rule, rule_of_vectors"
    ):
        Wrong().setup(parameters())


def test_the_rule_of_whole_tensors_and_a_compiled_one_work_side_by_side(monkeypatch):
    class Whole(ByShape):
        elementwise = False

        def rule(self, param, grad, rows):
            assert param.ndim == 2
            rows += 1
            param -= self.lr * np.sign(grad[::-1][::-1])

    monkeypatch.setenv("OPTREG_COMPILE", "now")
    with optreg.use_backend("numba"):
        arrays = walked(Whole())
    assert same(arrays, by_hand({"embedding", "w"}))
