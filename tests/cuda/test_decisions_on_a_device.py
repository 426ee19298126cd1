"""Norms, and whether a step is made, are found out on the (emulated) device, and the host does not wait for them."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import optreg
from optreg.arrays import to_host
from optreg.backends.cuda_source import CHUNK, OPTIONS
from optreg.backends.device_survey import FINITE, NAME, SQUARES, Survey
from optreg.norms import global_norm

from .emulated_cupy import NDArray, on_device
from .nvrtc import cubin, library, resources


class Waiting:
    """How often the host has waited for the device inside of a ``with`` block."""

    def __enter__(self):
        self._before = NDArray.waits
        return self

    def __exit__(self, *error):
        self.times = NDArray.waits - self._before


SHAPES = {"W": (70, 30), "long": (3 * CHUNK + 5,), "b": (3,), "scale": (), "empty": (0, 4)}


def gradients(rng, dtype="float32"):
    return {name: np.asarray(rng.normal(size=shape)).astype(dtype) for name, shape in SHAPES.items()}


def set_up(make, device=on_device, dtype="float32"):
    arrays = {name: device(np.ones(shape, dtype)) for name, shape in SHAPES.items()}
    return make().setup(arrays), arrays


def give(optimizer, given, device=on_device):
    for name, gradient in given.items():
        optimizer.target[f"/{name}"].grad = device(gradient)


@pytest.mark.skipif(library() is None, reason="needs nvidia-cuda-nvrtc")
@pytest.mark.parametrize("source", [SQUARES, FINITE], ids=["squares", "finite"])
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_surveys_compile_and_keep_to_registers(source, architecture):
    found = resources(cubin(source, architecture, OPTIONS), NAME)
    assert found.stack == found.least_stack == 0
    assert found.registers <= 64


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64"])
def test_the_norm_of_all_gradients_is_that_of_numpy(emulation, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in [(3 * CHUNK + 5,), (70, 30), (3,), (0,)]]
    arrays.append(np.asfortranarray(rng.normal(size=(20, 30))).astype(dtype, order="F"))
    there = [on_device(array) for array in arrays] + [on_device(np.ones((40, 40), dtype))[::2, 1:5]]
    arrays.append(np.ones((20, 4), dtype))
    expected = np.sqrt(sum((np.abs(array.astype("complex128")) ** 2).sum() for array in arrays))
    assert global_norm(there) == pytest.approx(expected, rel=1e-13)
    assert [name for _, name, _ in emulation.launches] == ["send", "survey"]


def test_gradients_of_several_dtypes_are_read_by_one_launch(emulation):
    arrays = [on_device(np.full(5, 2, dtype)) for dtype in ("float16", "float32", "float64")]
    survey = Survey(SQUARES, 0)
    assert float(survey.run(arrays)[0]) == 60.0
    survey.run(arrays)
    assert [name for _, name, _ in emulation.launches] == ["send", "survey", "survey"]


@pytest.mark.parametrize("threshold", [0.0, 1.0, 1e9])
def test_clipping_does_not_wait_for_the_norm(emulation, threshold):
    make = lambda: optreg.create("adam", lr=0.1, hooks=[optreg.GradientClipping(threshold)])  # noqa: E731
    (here, expected), (there, found) = set_up(make, np.copy), set_up(make)
    rng = np.random.default_rng(0)
    for _ in range(4):
        given = gradients(rng)
        give(here, given, np.copy)
        with optreg.use_backend("numpy"):
            here.update()
        give(there, given)
        with Waiting() as waiting:
            there.update()
        assert waiting.times == 0
    for name, array in expected.items():
        np.testing.assert_allclose(found[name].get(), array, 1e-5, 1e-6)
        given = here.target[f"/{name}"].grad
        np.testing.assert_allclose(there.target[f"/{name}"].grad.get(), given, 1e-6, 1e-12)
    rate = float(there._hooks["GradientClipping"].rate)
    assert rate == pytest.approx(here._hooks["GradientClipping"].rate, rel=1e-12)
    steps = [name for _, name, _ in emulation.launches if name != "send"]
    assert steps == ["survey", "step"] * 4


def test_a_schedule_of_the_threshold_is_followed(emulation):
    make = lambda: optreg.create("sgd", lr=1.0, hooks=[optreg.GradientClipping(lambda t: 0.5 * t)])  # noqa: E731
    optimizer = make().setup({"w": (w := on_device(np.zeros(1)))})
    for _ in range(3):
        optimizer.apply_gradients({"w": on_device(np.full(1, -100.0))})
    np.testing.assert_allclose(w.get(), [0.5 + 1.0 + 1.5])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_leaves_the_gradients_as_they_are(emulation, bad):
    optimizer, _ = set_up(lambda: optreg.create("sgd", hooks=[optreg.GradientClipping(0.1)]))
    given = gradients(np.random.default_rng(0))
    given["long"][CHUNK + 3] = bad
    give(optimizer, given)
    optimizer.update()
    assert float(optimizer._hooks["GradientClipping"].rate) == 1.0
    np.testing.assert_array_equal(optimizer.target["/W"].grad.get(), given["W"])


def with_skip(**arguments):
    return lambda: optreg.create("adam", lr=0.1, hooks=["skip_nonfinite", optreg.GradientClipping(1.0)], **arguments)


def steps_with_bad_gradients(optimizer, device=on_device):
    """Six steps, of which two have a gradient that is not finite."""
    rng = np.random.default_rng(0)
    for step in range(6):
        given = gradients(rng)
        if step in (2, 3):
            given["W" if step == 2 else "long"].ravel()[7] = np.nan if step == 2 else -np.inf
        give(optimizer, given, device)
        optimizer.update()


def test_a_step_is_skipped_without_waiting(emulation):
    (here, expected), (there, found) = set_up(with_skip(), np.copy), set_up(with_skip())
    steps_with_bad_gradients(here, np.copy)
    with Waiting() as waiting:
        steps_with_bad_gradients(there)
    assert waiting.times == 0
    assert there.t == here.t == 6
    assert there._hooks["skip_nonfinite"].skipped == here._hooks["skip_nonfinite"].skipped == 2
    for name, array in expected.items():
        np.testing.assert_allclose(found[name].get(), array, 1e-5, 1e-6)
        for slot, value in here._states[f"/{name}"].items():
            np.testing.assert_allclose(there._states[f"/{name}"][slot].get(), value, 1e-5, 1e-6)


class Counting:
    def __init__(self, timing="pre"):
        self.calls, self.timing = 0, timing

    def __call__(self, optimizer):
        self.calls += 1


@pytest.mark.parametrize("timing", ["pre", "post"])
def test_a_function_after_the_hook_waits_and_does_not_run_in_a_step_that_is_skipped(emulation, timing):
    counting = Counting(timing)
    optimizer, arrays = set_up(with_skip())
    optimizer.add_hook(counting, name="counting")
    with Waiting() as waiting:
        steps_with_bad_gradients(optimizer)
    assert counting.calls == 4
    assert waiting.times == 6
    assert np.isfinite(arrays["W"].get()).all()
    assert optimizer._hooks["skip_nonfinite"].skipped == 2


def test_a_second_hook_does_not_count_steps_that_the_first_has_skipped(emulation):
    optimizer, _ = set_up(with_skip())
    optimizer.add_hook("skip_nonfinite", name="again")
    steps_with_bad_gradients(optimizer)
    assert [optimizer._hooks[name].skipped for name in ("skip_nonfinite", "again")] == [2, 0]


@pytest.mark.parametrize("place", [[0, 1], [0, None]], ids=["two devices", "device and host"])
def test_where_gradients_are_in_several_places_the_host_decides(emulation, place):
    optimizer = with_skip()()
    put = lambda array, at: array if at is None else on_device(array, at)  # noqa: E731
    arrays = {str(number): put(np.ones(5), at) for number, at in enumerate(place)}
    optimizer.setup(arrays)
    for bad in (1.0, np.nan, 1.0):
        for number, at in enumerate(place):
            optimizer.target[f"/{number}"].grad = put(np.full(5, bad if number else 1.0), at)
        optimizer.update()
    assert optimizer._hooks["skip_nonfinite"].skipped == 1
    assert optimizer.t == 3
    values = [to_host(array) for array in arrays.values()]
    np.testing.assert_array_equal(values[0], values[1])
    assert np.isfinite(values[0]).all()


class Unlike(optreg.GradientMethod):
    """A method that is no rule."""

    def update_one(self, param, state):
        param.data[...] = param.data - param.grad


class OfWholeTensors(optreg.GradientMethod):
    elementwise = False

    def rule(self, param, grad):
        param -= np.cumsum(grad)


@pytest.mark.parametrize("method", [Unlike, OfWholeTensors])
def test_what_no_kernel_does_is_not_done_in_a_step_that_is_skipped(emulation, method):
    optimizer = method().setup({"w": (w := on_device(np.zeros(1)))})
    optimizer.add_hook("skip_nonfinite")
    for value in (-1.0, np.nan, -2.0):
        optimizer.apply_gradients({"w": on_device(np.full(1, value))})
    np.testing.assert_array_equal(w.get(), [3.0])
    assert optimizer.t == 3


def test_the_hook_called_by_itself_raises_skip_step(emulation):
    optimizer = optreg.create("sgd").setup({"w": on_device(np.ones(3))})
    hook = optreg.create_hook("skip_nonfinite")
    optimizer.target["/w"].grad = on_device(np.ones(3))
    hook(optimizer)
    optimizer.target["/w"].grad = on_device(np.full(3, np.inf))
    with pytest.raises(optreg.errors.SkipStep):
        hook(optimizer)
    assert hook.skipped == 1
    optimizer.update()  # what was decided then holds no longer


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda hook: pickle.loads(pickle.dumps(hook))])
def test_copies_of_hooks_count_for_themselves(emulation, copied):
    optimizer, _ = set_up(with_skip())
    steps_with_bad_gradients(optimizer)
    for name in ("skip_nonfinite", "GradientClipping"):
        hook = optimizer._hooks[name]
        assert copied(hook).get_extra_state() == hook.get_extra_state()
    skip = copied(optimizer._hooks["skip_nonfinite"])
    steps_with_bad_gradients(optimizer)
    assert (optimizer._hooks["skip_nonfinite"].skipped, skip.skipped) == (4, 2)


def test_the_count_and_the_rate_are_saved(emulation, tmp_path):
    optimizer, _ = set_up(with_skip())
    steps_with_bad_gradients(optimizer)
    optreg.save(tmp_path / "c.npz", optimizer)
    other, _ = set_up(with_skip())
    optreg.load(tmp_path / "c.npz", other)
    assert other._hooks["skip_nonfinite"].skipped == 2
    assert other._hooks["GradientClipping"].rate == float(optimizer._hooks["GradientClipping"].rate)
    steps_with_bad_gradients(other)
    assert other._hooks["skip_nonfinite"].skipped == 4


class Branching(optreg.Hook):
    """Branches on a number that is on a device."""

    def observe(self, opt):
        self.rate = on_device(np.array(0.5))

    def rule(self, param, grad):
        if self.rate < 1:
            grad *= self.rate


class Multiplying(Branching):
    def rule(self, param, grad):
        grad *= (1 - self.rate) * 2 * self.factor

    factor = 3.0


def test_a_rule_may_use_a_number_on_the_device_but_not_branch_on_it(emulation):
    optimizer = optreg.create("sgd", lr=1.0, hooks=[Multiplying()]).setup({"w": (w := on_device(np.zeros(3)))})
    with Waiting() as waiting:
        for _ in range(3):
            optimizer.apply_gradients({"w": on_device(np.full(3, -1.0))})
    assert waiting.times == 0
    np.testing.assert_array_equal(w.get(), np.full(3, 9.0))
    other = optreg.create("sgd", lr=1.0, hooks=[Branching()]).setup({"w": (w := on_device(np.zeros(3)))})
    with pytest.warns(RuntimeWarning, match=r"\(self\.rate < 1\) is on a device, where a rule can"):
        other.apply_gradients({"w": on_device(np.full(3, -1.0))})
    np.testing.assert_array_equal(w.get(), np.full(3, 0.5))
