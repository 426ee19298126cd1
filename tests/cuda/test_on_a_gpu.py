"""The CuPy backend on a real device."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import optreg
from optreg.backends.cuda_source import CHUNK

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


def test_an_update_does_not_wait_for_the_device(cupy):
    optimizer = optreg.create("adam").setup({f"w{i}": cupy.full(1000 + i, 0.5, np.float32) for i in range(50)})
    for _, parameter in optimizer.target.namedparams():
        parameter.grad = cupy.full_like(parameter.data, 0.25)
    busy = cupy.RawKernel(
        'extern "C" __global__ void busy() { long long begin = clock64(); while (clock64() - begin < 2000000000LL); }',
        "busy",
    )
    with optreg.use_backend("cupy"), cupy.cuda.Stream(non_blocking=True) as stream:
        optimizer.update()
        stream.synchronize()
        busy((1,), (1,), ())
        for _ in range(20):
            for _, parameter in optimizer.target.namedparams():
                parameter.grad = parameter.grad.copy()
            optimizer.update()
        assert not stream.done, "update() has waited until the kernel before it had ended"
        stream.synchronize()


def test_a_step_is_captured_into_a_graph(cupy):
    one, other = (optreg.create("momentum_sgd", lr=0.1).setup({"w": cupy.ones(1000)}) for _ in range(2))
    for optimizer in (one, other):
        optimizer.target["/w"].grad = cupy.full(1000, 0.5)
    with optreg.use_backend("cupy"), cupy.cuda.Stream(non_blocking=True) as stream:
        one.update()
        stream.begin_capture()
        one.update()
        graph = stream.end_capture()
        for _ in range(3):
            graph.launch(stream)
        one.update()  # an ordinary step after the graph was made
        stream.synchronize()
        for _ in range(5):
            other.update()
        stream.synchronize()
    assert one.target["/w"].data.get().tobytes() == other.target["/w"].data.get().tobytes()


def test_parameters_on_several_devices(cupy):
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two devices")
    arrays = {}
    for number in range(2):
        with cupy.cuda.Device(number):
            arrays[f"w{number}"] = cupy.ones(5000, np.float32)
    optimizer = optreg.create("nadam").setup(arrays)
    with optreg.use_backend("cupy"):
        for _ in range(3):
            for _, parameter in optimizer.target.namedparams():
                with parameter.data.device:
                    parameter.grad = cupy.full_like(parameter.data, 0.5)
            optimizer.update()
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
