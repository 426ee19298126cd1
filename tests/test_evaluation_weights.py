"""Weights to evaluate with, in place for a while."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optreg
from optreg.errors import OptregError


def _trained(hooks: Any = (), name: str = "adam", steps: int = 7, **arguments: Any) -> Any:
    optimizer = optreg.create(name, hooks=hooks, **arguments)
    optimizer.setup({"W": np.linspace(-1, 1, 6).reshape(2, 3), "half": np.ones(3, np.float16), "b": np.zeros(())})
    rng = np.random.default_rng(0)
    for _ in range(steps):
        _step(optimizer, rng)
    return optimizer


def _step(optimizer: Any, rng: np.random.Generator) -> None:
    for parameter in optimizer.target.params():
        parameter.grad = np.asarray(rng.normal(size=parameter.data.shape), parameter.data.dtype)
    optimizer.update()


def _values(optimizer: Any) -> dict[str, Any]:
    return {name: parameter.data.copy() for name, parameter in optimizer.target.namedparams()}


OWNERS = {
    "an average that forgets": {"hooks": [("exponential_moving_average", {"decay": 0.9})]},
    "a mean": {"hooks": [("stochastic_weight_average", {"start": 3})]},
    "slow weights": {"hooks": [("lookahead", {"k": 3})]},
    "a schedule-free method": {"name": "schedule_free_adamw"},
    "master weights": {"name": "schedule_free_adamw", "master_weights": True},
    "options by path": {"name": "schedule_free_sgd", "options": {"*/b": {"momentum": 0.5}}},
}
every_owner = pytest.mark.parametrize("arguments", OWNERS.values(), ids=OWNERS)


@every_owner
def test_the_parameters_come_back_bit_for_bit(arguments):
    optimizer = _trained(**arguments)
    arrays = [parameter.data for parameter in optimizer.target.params()]
    before = _values(optimizer)
    with optimizer.evaluation_weights():
        assert not np.array_equal(optimizer.target["W"].data, before["/W"])
        assert all(new.data is old for new, old in zip(optimizer.target.params(), arrays, strict=True))
    np.testing.assert_equal(_values(optimizer), before)


@every_owner
def test_an_exception_inside_does_not_leave_them_there(arguments):
    optimizer = _trained(**arguments)
    before = _values(optimizer)
    with pytest.raises(ZeroDivisionError), optimizer.evaluation_weights():
        1 / 0  # noqa: B018
    np.testing.assert_equal(_values(optimizer), before)
    _step(optimizer, np.random.default_rng(1))


@every_owner
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_training_goes_on_as_if_nothing_had_been_evaluated(arguments, backend, monkeypatch):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    if backend == "numba":
        pytest.importorskip("numba")
    with optreg.use_backend(backend):
        evaluated, other = _trained(**arguments), _trained(**arguments)
        with evaluated.evaluation_weights():
            pass
        for optimizer in (evaluated, other):
            _step(optimizer, np.random.default_rng(1))
    np.testing.assert_equal(_values(evaluated), _values(other))


@every_owner
def test_what_is_evaluated_is_the_same_after_a_checkpoint(arguments, tmp_path):
    optimizer = _trained(**arguments)
    optreg.save(tmp_path / "run.npz", optimizer)
    resumed = _trained(**arguments, steps=0)
    for (_, new), (_, old) in zip(resumed.target.namedparams(), optimizer.target.namedparams(), strict=True):
        new.data[...] = old.data
    optreg.load(tmp_path / "run.npz", resumed)
    with optimizer.evaluation_weights(), resumed.evaluation_weights():
        np.testing.assert_equal(_values(resumed), _values(optimizer))


def test_without_such_weights_the_parameters_are_evaluated_as_they_are():
    optimizer = _trained()
    before = _values(optimizer)
    with optimizer.evaluation_weights():
        np.testing.assert_equal(_values(optimizer), before)


@pytest.mark.parametrize("arguments", [{"hooks": ["exponential_moving_average"]}, {"hooks": ["lookahead"]}])
def test_before_the_first_step_the_parameters_are_evaluated_as_they_are(arguments):
    optimizer = _trained(**arguments, steps=0)
    before = _values(optimizer)
    with optimizer.evaluation_weights():
        np.testing.assert_equal(_values(optimizer), before)


@pytest.mark.parametrize("what", ["update", "save", "load", "serialize", "evaluation_weights"])
def test_nothing_is_updated_saved_or_loaded_inside(what, tmp_path):
    optimizer = _trained(**OWNERS["an average that forgets"])
    path = tmp_path / "run.npz"
    optreg.save(path, optimizer)
    written = path.read_bytes()
    before = _values(optimizer)
    calls = {
        "update": optimizer.update,
        "save": lambda: optreg.save(path, optimizer),
        "load": lambda: optreg.load(path, optimizer),
        "serialize": lambda: optimizer.serialize(lambda key, value: value),
        "evaluation_weights": lambda: optimizer.evaluation_weights().__enter__(),
    }
    with optimizer.evaluation_weights():
        inside = _values(optimizer)
        with pytest.raises(OptregError, match=rf"{what}\(\) was called inside of evaluation_weights\(\)"):
            calls[what]()
        np.testing.assert_equal(_values(optimizer), inside)
    np.testing.assert_equal(_values(optimizer), before)
    assert (optimizer.t, path.read_bytes()) == (7, written)


def test_two_averages_are_one_too_many():
    optimizer = _trained(hooks=["exponential_moving_average", "lookahead"])
    before = _values(optimizer)
    with pytest.raises(OptregError, match="exponential_moving_average and lookahead each have weights"):
        optimizer.evaluation_weights().__enter__()
    np.testing.assert_equal(_values(optimizer), before)
    _step(optimizer, np.random.default_rng(1))


def test_what_raises_half_way_changes_nothing():
    class Half(optreg.Hook):
        timing = "post"

        def rule(self, param: Any, grad: Any, slot: Any) -> None:
            slot += 1

        def evaluation_weight(self, param: Any, slot: Any) -> Any:
            if param.ndim == 0:
                raise ZeroDivisionError
            return slot

    optimizer = _trained(hooks=[Half()])
    before = _values(optimizer)
    with pytest.raises(ZeroDivisionError):
        optimizer.evaluation_weights().__enter__()
    np.testing.assert_equal(_values(optimizer), before)
    _step(optimizer, np.random.default_rng(1))


def test_before_setup_it_is_an_error():
    with pytest.raises(RuntimeError, match="call setup"):
        optreg.create("adam").evaluation_weights().__enter__()


def test_an_average_of_a_half_is_one_of_its_master_weights():
    def averaged(dtype: Any, **arguments: Any) -> Any:
        w = np.ones(4, dtype)
        optimizer = optreg.create("schedule_free_sgd", lr=1e-4, **arguments).setup({"w": w})
        for _ in range(30):
            optimizer.apply_gradients({"w": np.full(4, 0.25, dtype)})
        with optimizer.evaluation_weights():
            return w.copy()

    expected = averaged(np.float32).astype(np.float16)
    np.testing.assert_array_equal(averaged(np.float16, master_weights=True), expected)
    assert expected[0] < 1
