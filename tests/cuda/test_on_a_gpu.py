"""The CuPy backend on a real device."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import optreg
from optreg.backends.cuda_source import CHUNK
from optreg.norms import global_norm

from .rules import ELEMENTWISE, WITH_SUMS, hooks

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cupy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cupy = pytest.importorskip("cupy")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no CUDA device: {error}")
    return cupy


SHAPES = {"W": (700, 130), "long": (5 * CHUNK + 7,), "b": (3,), "scale": (), "empty": (0, 4)}


def gradients(rng, arrays):
    made = {name: rng.normal(size=array.shape) * (rng.random(array.shape) > 0.2) for name, array in arrays.items()}
    return {name: np.asarray(each).astype(arrays[name].dtype) for name, each in made.items()}


def start(dtype):
    rng = np.random.default_rng(0)
    return {name: np.asarray(rng.normal(size=shape)).astype(dtype) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("with_hooks", [False, True], ids=["alone", "with hooks"])
@pytest.mark.parametrize(("name", "values"), ELEMENTWISE, ids=str)
def test_every_built_in_has_numpys_bits(cupy, name, values, with_hooks, dtype):
    here = start(dtype)
    there = {key: cupy.asarray(array) for key, array in here.items()}
    one = optreg.create(name, **values, hooks=hooks() if with_hooks else []).setup(here)
    other = optreg.create(name, **values, hooks=hooks() if with_hooks else []).setup(there)
    rng = np.random.default_rng(1)
    for _ in range(10):
        given = gradients(rng, here)
        with optreg.use_backend("numpy"):
            one.apply_gradients({key: array.copy() for key, array in given.items()})
        with optreg.use_backend("cupy"):
            other.apply_gradients({key: cupy.asarray(array) for key, array in given.items()})
    for key in here:
        assert here[key].tobytes() == there[key].get().tobytes(), key
        for slot, value in one._states[f"/{key}"].items():
            assert value.tobytes() == other._states[f"/{key}"][slot].get().tobytes(), (key, slot)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "values"), WITH_SUMS, ids=str)
def test_norms_and_means_are_those_of_numpy_and_the_same_each_time(cupy, name, values, dtype):
    found = []
    for _ in range(3):
        there = {key: cupy.asarray(array) for key, array in start(dtype).items()}
        optimizer, rng = optreg.create(name, **values).setup(there), np.random.default_rng(1)
        for _ in range(10):
            optimizer.apply_gradients({key: cupy.asarray(array) for key, array in gradients(rng, there).items()})
        found.append({key: array.get() for key, array in there.items()})
    here, rng = start(dtype), np.random.default_rng(1)
    reference = optreg.create(name, **values).setup(here)
    with optreg.use_backend("numpy"):
        for _ in range(10):
            reference.apply_gradients(gradients(rng, here))
    for key, array in here.items():
        assert found[0][key].tobytes() == found[1][key].tobytes() == found[2][key].tobytes()
        rtol = {"float64": 1e-12, "float32": 1e-5}[dtype]
        np.testing.assert_allclose(found[0][key], array, rtol, rtol, err_msg=key)


BUSY = """
extern "C" __global__ void busy(const long long ticks) {
    const long long begin = clock64();
    while (clock64() - begin < ticks);
}
"""
HOOKS = {
    "adam": lambda: [],
    "lamb": lambda: [optreg.WeightDecay(0.1)],
    "adamw": lambda: ["skip_nonfinite", optreg.WeightDecay(0.1), optreg.GradientClipping(0.5)],
}


@pytest.mark.parametrize("name", HOOKS)
def test_an_update_does_not_wait_for_the_device(cupy, name):
    """A kernel that takes a second or two stands in the stream; twenty steps are asked for before it has ended."""
    optimizer = optreg.create(name, hooks=HOOKS[name]())
    optimizer.setup({f"w{i}": cupy.full(1000 + i, 0.5, np.float32) for i in range(50)})
    for _, parameter in optimizer.target.namedparams():
        parameter.grad = cupy.full_like(parameter.data, 0.25)
    busy = cupy.RawKernel(BUSY, "busy")
    cupy.cuda.Device().synchronize()  # what was made above, in another stream
    with cupy.cuda.Stream(non_blocking=True) as stream:
        for ticks in (1, 3_000_000_000):  # kernels are loaded and memory is taken from the device before it counts
            busy((1,), (1,), (np.int64(ticks),))
            for _ in range(20):
                for _, parameter in optimizer.target.namedparams():
                    parameter.grad = parameter.grad.copy()
                optimizer.update()
            if ticks == 1:
                stream.synchronize()
        assert not stream.done, "update() has waited until the kernel before it had ended"
        stream.synchronize()
    assert all(bool(cupy.isfinite(parameter.data).all()) for _, parameter in optimizer.target.namedparams())


def test_a_step_that_is_skipped_is_as_numpy_skips_it(cupy):
    make = lambda: optreg.create("adam", lr=0.1, hooks=["skip_nonfinite", optreg.GradientClipping(1.0)])  # noqa: E731
    here = start("float32")
    there = {key: cupy.asarray(array) for key, array in here.items()}
    one, other, rng = make().setup(here), make().setup(there), np.random.default_rng(1)
    for step in range(8):
        given = gradients(rng, here)
        if step in (2, 5):
            given["long"][CHUNK + 5] = np.nan if step == 2 else np.inf
        with optreg.use_backend("numpy"):
            one.apply_gradients({key: array.copy() for key, array in given.items()})
        other.apply_gradients({key: cupy.asarray(array) for key, array in given.items()})
    assert one.t == other.t == 8
    assert one._hooks["skip_nonfinite"].skipped == other._hooks["skip_nonfinite"].skipped == 2
    for key, array in here.items():
        np.testing.assert_allclose(there[key].get(), array, 1e-5, 1e-6, err_msg=key)


def test_the_norm_of_all_gradients_is_that_of_numpy_and_the_same_each_time(cupy):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=size).astype(dtype) for size in (1, 3, 40 * CHUNK + 7) for dtype in ("f2", "f4", "f8")]
    found = {global_norm(map(cupy.asarray, arrays)) for _ in range(5)}
    assert len(found) == 1
    expected = np.sqrt(sum((array.astype("f8") ** 2).sum() for array in arrays))
    assert found.pop() == pytest.approx(expected, rel=1e-13)


def halved(t):
    return 0.1 * 0.5**t


GRAPHS = {
    "adamw": lambda: optreg.create("adamw", lr=0.1),
    "a schedule": lambda: optreg.create("momentum_sgd", lr=halved),
    "lamb": lambda: optreg.create("lamb", lr=0.1),
    "hooks": lambda: optreg.create("adam", hooks=["skip_nonfinite", optreg.GradientClipping(0.5)]),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_makes_the_same_steps(cupy, name):
    usual, captured = (GRAPHS[name]().setup({"w": cupy.ones(3 * CHUNK + 1)}) for _ in range(2))
    given = [cupy.zeros(3 * CHUNK + 1) for _ in range(2)]
    for optimizer, gradient in zip((usual, captured), given, strict=True):
        optimizer.target["/w"].grad = gradient
    rng = np.random.default_rng(0)
    cupy.cuda.Device().synchronize()  # what was made above, in another stream
    with cupy.cuda.Stream(non_blocking=True) as stream:
        usual.update(), captured.update()
        stream.begin_capture()
        captured.update()
        graph = stream.end_capture()
        for _ in range(5):
            values = cupy.asarray(rng.normal(size=given[0].shape))
            for gradient in given:
                gradient[...] = values
            usual.update()
            captured.replay(graph)
        usual.update(), captured.update()  # an ordinary step after the graph was made
        stream.synchronize()
    assert captured.t == usual.t == 7
    assert captured.target["/w"].data.get().tobytes() == usual.target["/w"].data.get().tobytes()


def test_half_precision_with_master_weights_has_numpys_bits_and_skips(cupy):
    make = lambda: optreg.create("adamw", master_weights=True, hooks=["skip_nonfinite"])  # noqa: E731
    here = start("float16")
    there = {key: cupy.asarray(array) for key, array in here.items()}
    one, other, rng = make().setup(here), make().setup(there), np.random.default_rng(1)
    for step in range(6):
        given = gradients(rng, here)
        given["W"][3, 5] = np.inf if step == 3 else 1
        with optreg.use_backend("numpy"):
            one.apply_gradients({key: array.copy() for key, array in given.items()})
        other.apply_gradients({key: cupy.asarray(array) for key, array in given.items()})
    assert other._hooks["skip_nonfinite"].skipped == 1
    for key, array in here.items():
        assert array.tobytes() == there[key].get().tobytes(), key
        for slot, value in one._states[f"/{key}"].items():
            assert value.tobytes() == other._states[f"/{key}"][slot].get().tobytes(), (key, slot)


@pytest.mark.parametrize("hooks", [[], ["skip_nonfinite", optreg.GradientClipping(0.5)]], ids=["alone", "with hooks"])
def test_parameters_on_several_devices(cupy, hooks):
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two devices")
    arrays = {}
    for number in range(2):
        with cupy.cuda.Device(number):
            arrays[f"w{number}"] = cupy.ones(5000, np.float32)
    optimizer = optreg.create("nadam", hooks=hooks).setup(arrays)
    for step in range(4):
        for _, parameter in optimizer.target.namedparams():
            with parameter.data.device:
                parameter.grad = cupy.full_like(parameter.data, np.inf if hooks and step == 2 else 0.5)
        optimizer.update()
    assert np.isfinite(arrays["w0"].get()).all()
    assert arrays["w0"].get().tobytes() == arrays["w1"].get().tobytes()


def test_the_numbers_of_long_tensors_are_written_once(cupy):
    """Many blocks of a tensor read its number before one of them writes the new one."""
    w, reference = cupy.ones(300 * CHUNK, np.float32), np.ones(10, np.float32)
    one, other = optreg.create("nadam").setup({"w": w}), optreg.create("nadam").setup({"w": reference})
    for _ in range(20):
        with optreg.use_backend("cupy"):
            one.apply_gradients({"w": cupy.full(w.shape, 0.5, np.float32)})
        with optreg.use_backend("numpy"):
            other.apply_gradients({"w": np.full(10, 0.5, np.float32)})
    assert (w == w[0]).all()
    assert w[:10].get().tobytes() == reference.tobytes()
