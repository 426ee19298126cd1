"""The CuPy backend on an emulation of CuPy in main memory: its tables, launches, and kernels give NumPy's bits."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import partial

import attrs
import numpy as np
import pytest

import optreg
from optreg.arrays import to_host
from optreg.backends import current_backend
from optreg.backends.cuda_source import CHUNK, WORDS
from optreg.backends.cupy import CupyBackend
from optreg.backends.device_tables import by_value, chunk_table, launches
from optreg.errors import GradientError, TargetError, UntraceableRuleError
from optreg.hyperparameters import positive
from optreg.optimizer import GradientMethod

from .emulated_cupy import on_device
from .rules import WITH_SUMS, hooks

SHAPES = {"W": (70, 130), "long": (2 * CHUNK + 5,), "b": (3,), "scale": (), "empty": (0, 4)}


def tree(dtype, rng):
    values = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    if np.dtype(dtype).kind == "c":
        values = {name: value + 1j * rng.normal(size=value.shape) for name, value in values.items()}
    return {name: np.asarray(value).astype(dtype) for name, value in values.items()}


def assert_same_bits(found, expected, what):
    assert expected.tobytes() == to_host(found).tobytes(), what


def assert_close(found, expected, what, dtype=None):
    """As it is where sums were made in another order, with parameters of the dtype."""
    rtol = {"float64": 1e-13, "float32": 2e-6, "float16": 2e-3}[dtype or expected.dtype.name]
    np.testing.assert_allclose(to_host(found), expected, rtol, rtol, err_msg=str(what))


def assert_same_steps(make, arrays, steps=3, device=on_device, backend="cupy", same=assert_same_bits):
    """Steps on the host by NumPy, and on the device: the same bits in parameters, gradients and states."""
    here, there = {k: v.copy(order="K") for k, v in arrays.items()}, {k: device(v) for k, v in arrays.items()}
    with optreg.use_backend("numpy"):
        expected = make().setup(here)
    found = make().setup(there)
    rng = np.random.default_rng(5)
    for _ in range(steps):
        for name, array in arrays.items():
            gradient = np.asarray(rng.normal(size=array.shape) * (rng.random(array.shape) > 0.2)).astype(array.dtype)
            expected.target[f"/{name}"].grad = np.array(gradient, order="K")
            found.target[f"/{name}"].grad = device(gradient)
        with optreg.use_backend("numpy"):
            expected.update()
        with optreg.use_backend(backend) if backend else nullcontext():
            found.update()
    for name in arrays:
        same(there[name], here[name], name)
        same(found.target[f"/{name}"].grad, expected.target[f"/{name}"].grad, name)
        for key, value in expected._states[f"/{name}"].items():
            same(found._states[f"/{name}"][key], value, (name, key))
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64"])
@pytest.mark.parametrize("name", ["adamw", "nadam", "rprop", "sgd", "laprop"])
def test_steps_have_numpys_bits(emulation, name, dtype):
    arrays = tree(dtype, np.random.default_rng(0))
    assert_same_steps(lambda: optreg.create(name), arrays)
    assert [name for _, name, _ in emulation.launches].count("step") >= 3


@pytest.mark.parametrize("name", ["adamw", "nadam", "rprop", "sgd", "laprop"])
def test_master_weights_have_numpys_bits_in_one_launch_for_those_that_have_them(emulation, name):
    arrays = tree("float16", np.random.default_rng(0))
    options = {"/b": {"master_weights": False}}
    hooks = [optreg.WeightDecay(0.1)]
    found = assert_same_steps(lambda: optreg.create(name, master_weights=True, options=options, hooks=hooks), arrays)
    assert "master" in found._states["/W"]
    kernels = 3 if name in ("nadam", "laprop") else 2  # with and without; these have numbers of tensors that have axes
    assert [name for _, name, _ in emulation.launches].count("step") == 3 * kernels


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("name", "values"), WITH_SUMS, ids=str)
def test_norms_and_means_are_found_out_on_the_device(emulation, name, values, dtype):
    arrays = tree(dtype, np.random.default_rng(0))
    with_groups = {"options": {"/b": {"lr": 0.1}, "/long": {"lr": 0.2}}, "hooks": [optreg.WeightDecay(0.1)]}
    same = partial(assert_close, dtype=dtype)
    assert_same_steps(lambda: optreg.create(name, **values, **with_groups), arrays, same=same)
    kinds = 2 if name == "novograd" else 1  # it has one number a tensor, but not of a tensor without axes
    assert [each for _, each, _ in emulation.launches if each != "send"] == ["reduce", "step"] * 3 * kinds


@attrs.define(eq=False)
class Staged(GradientMethod):
    """The largest element that is left when the mean is taken away, the smallest, and how many there are."""

    lr: float = positive(0.1)

    def rule(self, param, grad):
        apart = grad - np.mean(grad)
        param -= self.lr * grad / (np.max(np.abs(apart)) - np.min(apart)) + np.sum(param)


def test_what_rests_on_other_sums_comes_in_a_stage_after_them(emulation):
    arrays = tree("float64", np.random.default_rng(0))
    assert_same_steps(Staged, {name: arrays[name] for name in ("W", "long", "b", "empty")}, same=assert_close)
    assert [each for _, each, _ in emulation.launches if each != "send"] == ["reduce", "reduce", "step"] * 3


def test_a_nan_is_the_largest_and_the_smallest_element_as_in_numpy(emulation):
    arrays = {"w": np.ones(3 * CHUNK), "v": np.ones(3 * CHUNK)}
    there = {name: on_device(array) for name, array in arrays.items()}
    optimizer = Staged().setup(there)
    gradient = np.linspace(1, 2, 3 * CHUNK)
    gradient[CHUNK + 5] = np.nan
    optimizer.apply_gradients({"w": on_device(gradient), "v": on_device(np.linspace(1, 2, 3 * CHUNK))})
    assert np.isnan(there["w"].get()).all()
    assert np.isfinite(there["v"].get()).all()


def test_sums_are_the_same_each_time(emulation):
    gradient = np.random.default_rng(0).normal(size=5 * CHUNK + 3).astype("float32")
    found = set()
    for _ in range(3):
        w = on_device(np.ones(gradient.shape, np.float32))
        optreg.create("lamb").setup({"w": w}).apply_gradients({"w": on_device(gradient)})
        found.add(w.get().tobytes())
    assert len(found) == 1


def test_master_weights_are_kept_in_the_same_launch(emulation):
    make = lambda: optreg.create("adamw", master_weights=True, hooks=[optreg.WeightDecay(0.1)])  # noqa: E731
    assert_same_steps(make, tree("float16", np.random.default_rng(0)))
    assert [each for _, each, _ in emulation.launches if each != "send"] == ["step"] * 3


def test_a_step_with_hooks_and_groups_is_one_launch(emulation):
    arrays = {f"l{i}": np.random.default_rng(i).normal(size=50 + i).astype("float32") for i in range(20)}
    options = {"*1*": {"lr": 0.1}, "*7*": {"weight_decay": 0.5}}
    assert_same_steps(lambda: optreg.create("adamw", hooks=hooks(), options=options), arrays, steps=4)
    assert [name for _, name, _ in emulation.launches].count("step") == 4


def test_addresses_are_sent_only_when_an_array_was_replaced(emulation):
    w = on_device(np.ones(10, np.float32))
    optimizer = optreg.create("sgd").setup({"w": w})
    gradient = on_device(np.ones(10, np.float32))
    with optreg.use_backend("cupy"):
        for new in (False, False, False, True, False):
            optimizer.target["/w"].grad = gradient = gradient.copy() if new else gradient
            optimizer.update()
    assert [name for _, name, _ in emulation.launches] == ["send", "step", "step", "step", "send", "step", "step"]
    np.testing.assert_allclose(w.get(), 1 - 5 * 0.01, rtol=1e-6)


def test_every_device_gets_a_launch_of_its_own(emulation):
    rng = np.random.default_rng(0)
    arrays = {f"w{i}": rng.normal(size=30).astype("float32") for i in range(6)}
    place = iter([0, 1, 0, 1, 0, 1] + [0, 1, 0, 1, 0, 1] * 3)
    assert_same_steps(lambda: optreg.create("adam"), arrays, device=lambda array: on_device(array, next(place)))
    assert [(device, name) for device, name, _ in emulation.launches if name == "step"] == [
        (0, "step"),
        (1, "step"),
    ] * 3


def test_arrays_on_the_host_and_on_a_device_are_updated_together(emulation):
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=30).astype("float32") for name in "abcd"}
    kept = iter([True, False] * 20)
    place = lambda array: on_device(array) if next(kept) else array.copy()  # noqa: E731
    assert_same_steps(lambda: optreg.create("adam"), arrays, device=place)
    assert [name for _, name, _ in emulation.launches].count("step") == 3


def test_many_groups_are_split_into_launches_that_hold_their_scalars(emulation):
    arrays = {f"w{i:03}": np.ones(5, np.float32) for i in range(300)}
    options = {f"/w{i:03}": {"lr": 0.01 * (i + 1)} for i in range(300)}
    found = assert_same_steps(lambda: optreg.create("adam", options=options), arrays, steps=1)
    columns = max(source.count("scalars[") for source in emulation.sources)
    assert [name for _, name, _ in emulation.launches].count("step") == -(-300 // (WORDS // columns))
    assert len({float(found.target[f"/w{i:03}"].data[0]) for i in range(300)}) > 200


def test_strided_views_are_left_to_cupy_itself(emulation):
    whole = np.random.default_rng(0).normal(size=(20, 20)).astype("float32")
    w, reference = on_device(whole)[::2, 1:5], whole.copy()[::2, 1:5]
    for array, backend in ((w, "cupy"), (reference, "numpy")):
        optimizer = optreg.create("adam").setup({"w": array})
        with optreg.use_backend(backend):
            optimizer.target["/w"].grad = np.full_like(array, 0.5)
            optimizer.update()
    assert not emulation.launches
    assert w.get().tobytes() == reference.tobytes()


def test_fortran_arrays_and_odd_addresses_are_compiled_for(emulation):
    rng = np.random.default_rng(0)
    arrays = {"f": np.asfortranarray(rng.normal(size=(30, 7)).astype("float32"))}
    assert_same_steps(lambda: optreg.create("adam"), arrays)
    shift = iter(range(100))

    def shifted(array):
        memory = on_device(np.zeros(array.size + 8, array.dtype))
        view = memory[(start := next(shift) % 4) : start + array.size]
        view[...] = array
        return view

    assert_same_steps(lambda: optreg.create("adam"), {"w": rng.normal(size=1001).astype("float32")}, device=shifted)
    assert {name for _, name, _ in emulation.launches} == {"step", "send"}


@attrs.define(eq=False)
class Whole(GradientMethod):
    """Needs the tensor as a whole."""

    elementwise = False
    lr: float = positive(0.1)

    def rule(self, param, grad):
        param -= self.lr * grad / np.cumsum(np.abs(grad))[-1]


def test_a_rule_that_needs_whole_tensors_runs_as_it_is_written(emulation):
    assert_same_steps(Whole, {"w": np.ones(10, np.float32)})
    assert not emulation.launches


@attrs.define(eq=False)
class Unknown(GradientMethod):
    """Uses a function that is not compiled."""

    lr: float = positive(0.1)

    def rule(self, param, grad):
        param -= self.lr * np.arctan(grad)


def test_a_rule_that_cannot_be_compiled_says_so_once_and_runs(emulation):
    with pytest.warns(RuntimeWarning, match=r"arctan\(\) is not among .* CuPy runs it as it is written"):
        assert_same_steps(Unknown, {"w": np.ones(10, np.float32)}, steps=1)


def test_a_parameter_whose_array_is_replaced_goes_on_in_the_new_one(emulation):
    optimizer = optreg.create("sgd", lr=1.0).setup({"w": on_device(np.ones(4))})
    with optreg.use_backend("cupy"):
        for _ in range(3):
            optimizer.target["/w"].data = data = on_device(np.ones(4))
            optimizer.target["/w"].grad = on_device(np.full(4, 0.5))
            optimizer.update()
            np.testing.assert_array_equal(data.get(), np.full(4, 0.5))


def test_a_state_whose_array_is_replaced_goes_on_in_the_new_one(emulation):
    optimizer = optreg.create("momentum_sgd", lr=1.0, momentum=0.5).setup({"w": on_device(np.zeros(4))})
    optimizer.target["/w"].grad = on_device(np.ones(4))
    with optreg.use_backend("cupy"):
        optimizer.update()
        optimizer.update()
        optimizer._states["/w"]["buf"] = new = on_device(np.full(4, 8.0))
        optimizer.update()
    np.testing.assert_array_equal(new.get(), np.full(4, 5.0))
    np.testing.assert_array_equal(optimizer.target["/w"].data.get(), np.full(4, -1 - 1.5 - 5.0))


def test_a_gradient_that_two_parameters_share_is_not_changed_twice(emulation):
    make = lambda: optreg.create("sgd", lr=1.0, hooks=[optreg.WeightDecay(1.0)])  # noqa: E731
    arrays = {"a": np.ones(4), "b": np.full(4, 2.0)}
    for steps_apart in (0, 2):  # from the first step, and when everything was planned before
        here, there = {k: v.copy() for k, v in arrays.items()}, {k: on_device(v) for k, v in arrays.items()}
        for tree, backend, device in ((here, "numpy", np.copy), (there, "cupy", on_device)):
            optimizer = make().setup(tree)
            with optreg.use_backend(backend):
                for step in range(4):
                    shared = device(np.full(4, 0.25))
                    for each in ("/a", "/b"):
                        own = device(np.full(4, 0.25))
                        optimizer.target[each].grad = shared if step >= steps_apart else own
                    optimizer.update()
        for name in arrays:
            np.testing.assert_array_equal(there[name].get(), here[name])


def test_chunks_cover_every_element_once():
    sizes = [1, 0, CHUNK, CHUNK + 1, 3 * CHUNK - 1]
    chunks, parts = chunk_table(sizes)
    assert parts.tolist() == [1, 0, 1, 2, 3]
    seen = [np.zeros(size) for size in sizes]
    for tensor, begin, end in chunks.tolist():
        seen[tensor][begin:end] += 1
        assert 0 < end - begin <= CHUNK
    assert all((each == 1).all() for each in seen)


def test_launches_hold_the_rows_of_their_chunks():
    rows, parts = [0, 0, 1, 2, 2, 3, 4], np.array([1, 2, 0, 3, 1, 1, 5])
    found, places = launches(rows, parts, columns=WORDS // 2)
    assert places == 2
    assert [(each.first_row, each.rows, each.first_chunk, each.chunks) for each in found] == [
        (0, 2, 0, 3),
        (2, 2, 3, 5),
        (4, 1, 8, 5),
    ]
    (one,), places = launches(rows, parts, columns=3)
    assert (one.rows, one.chunks, places) == (5, 13, 8)
    with pytest.raises(UntraceableRuleError, match="more than the 480 that a launch can hold"):
        launches(rows, parts, columns=WORDS + 1)


def test_words_are_one_structure():
    words = by_value(np.arange(6.0))
    assert (words.size, words.itemsize) == (1, 48)


def test_the_backend_is_offered_by_name_and_chosen_when_cupy_is_there(emulation, monkeypatch):
    assert isinstance(current_backend(), CupyBackend)
    monkeypatch.delitem(sys.modules, "cupy")
    assert not isinstance(current_backend(), CupyBackend)
    with optreg.use_backend("cupy"):
        assert isinstance(current_backend(), CupyBackend)


def test_arrays_on_a_device_get_kernels_without_being_asked_for(emulation):
    arrays = {"w": np.ones(5, np.float32)}
    assert_same_steps(lambda: optreg.create("adamw"), arrays, backend=None)
    assert [name for _, name, _ in emulation.launches] == ["send", "step"] * 3


def test_a_step_on_the_host_and_on_a_device_is_planned_once(emulation, monkeypatch):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    optimizer = optreg.create("adam", options={"/b": {"lr": 0.5}})
    optimizer.setup({"a": np.ones(5), "b": on_device(np.ones(5)), "c": np.ones(5)})
    planned = []
    for _ in range(4):
        optimizer.target["/a"].grad, optimizer.target["/c"].grad = np.ones(5), np.ones(5)
        optimizer.target["/b"].grad = on_device(np.ones(5))
        optimizer.update()
        planned.append(optimizer._repeats._last)
    assert set(planned) == {planned[0]} != {None}
    np.testing.assert_allclose(optimizer.target["/a"].data, 1 - 4 * 0.001, rtol=1e-6)
    np.testing.assert_allclose(optimizer.target["/b"].data.get(), 1 - 4 * 0.5, rtol=1e-6)


def test_a_gradient_on_another_device_is_an_error_that_says_so(emulation):
    optimizer = optreg.create("adam").setup({"w": (w := on_device(np.ones(3)))})
    for _ in range(2):
        optimizer.target["/w"].grad = on_device(np.ones(3), 1)
        with pytest.raises(
            GradientError, match="gradient of /w is on device 1, but the parameter is on device 0; move"
        ):
            optimizer.update()
        optimizer.target["/w"].grad = np.ones(3)
        with pytest.raises(GradientError, match="move one to the other's device"):
            optimizer.update()
        optimizer.target["/w"].grad = on_device(np.ones(3))
        optimizer.update()
    assert optimizer.t == 2
    np.testing.assert_allclose(w.get(), 1 - 2 * 0.001)


def test_a_gradient_of_another_dtype_is_converted_as_numpy_does(emulation):
    here, there = np.ones(9, np.float32), on_device(np.ones(9, np.float32))
    rng = np.random.default_rng(0)
    one, other = optreg.create("adamw").setup({"w": here}), optreg.create("adamw").setup({"w": there})
    for dtype in ("float32", "float64", "float32", "float16"):
        given = rng.normal(size=9).astype(dtype)
        one.target["/w"].grad, other.target["/w"].grad = given.copy(), on_device(given)
        with optreg.use_backend("numpy"):
            one.update()
        other.update()
        assert here.tobytes() == there.get().tobytes()
    assert [name for _, name, _ in emulation.launches].count("step") == 4


@pytest.mark.parametrize("wrong", ["shape", "layout"])
def test_arrays_that_are_others_between_steps_are_noticed(emulation, wrong):
    optimizer = optreg.create("sgd", lr=1.0).setup({"w": (w := on_device(np.zeros((2, 3))))})
    optimizer.apply_gradients({"w": on_device(np.full((2, 3), -1.0))})
    optimizer.apply_gradients({"w": on_device(np.full((2, 3), -1.0))})
    if wrong == "shape":
        with pytest.raises(GradientError, match="has the shape"):
            optimizer.apply_gradients({"w": on_device(np.ones((3, 2)))})
    else:
        optimizer.apply_gradients({"w": on_device(np.asfortranarray(np.arange(6.0).reshape(2, 3)))})
        np.testing.assert_array_equal(w.get(), 2 - np.arange(6.0).reshape(2, 3))


def test_parameters_that_share_memory_are_an_error_and_those_that_lie_side_by_side_are_none(emulation):
    memory = on_device(np.ones(10))
    with pytest.raises(TargetError, match="/a and /b share memory"):
        optreg.create("sgd").setup({"a": memory[:6], "b": memory[5:]})
    optimizer = optreg.create("sgd", lr=1.0).setup({"a": memory[:5], "b": memory[5:]})
    for _ in range(3):
        optimizer.apply_gradients({"a": on_device(np.full(5, -1.0)), "b": on_device(np.full(5, -2.0))})
    np.testing.assert_array_equal(memory.get(), [4.0] * 5 + [7.0] * 5)
    assert [name for _, name, _ in emulation.launches].count("step") == 3
    striped = on_device(np.ones((4, 2)))
    optreg.create("sgd", lr=1.0).setup({"a": striped[:, 0], "b": striped[:, 1]})


@pytest.mark.parametrize("hooks", [[], [optreg.WeightDecay(1.0)]], ids=["read", "changed"])
def test_a_gradient_that_lies_in_the_parameter_is_copied(emulation, hooks):
    def steps(put):
        memory = put(np.arange(1.0, 8.0))
        optimizer = optreg.create("sgd", lr=0.5, hooks=hooks).setup({"a": memory[1:], "b": put(np.ones(6))})
        for step in range(4):
            shared = put(np.ones(7))
            optimizer.target["/a"].grad = memory[:-1] if step == 2 else shared[1:]
            optimizer.target["/b"].grad = shared[:-1] if step == 3 else put(np.ones(6))
            optimizer.update()
        return [to_host(memory), to_host(optimizer.target["/b"].data)]

    with optreg.use_backend("numpy"):
        expected = steps(np.copy)
    for one, other in zip(expected, steps(on_device), strict=True):
        np.testing.assert_array_equal(other, one)
