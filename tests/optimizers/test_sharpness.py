"""SAM beside optax's and pytorch_optimizer's, ASAM beside numbers that its authors' code gave."""

from __future__ import annotations

import copy

import numpy as np
import optax
import pytest
import pytorch_optimizer
import torch

import optreg
from optreg.errors import GradientError, OptregError


def start(dtype="float64"):
    return {"weight": np.arange(-3, 3, dtype=dtype).reshape(2, 3) / 2, "bias": np.array([0.5, -0.25], dtype)}


def loss_at(arrays, batch=0):
    """A quartic, whose gradient is another one at other parameters, and which the batch tilts."""
    weight, bias = arrays["weight"], arrays["bias"]
    tilt = np.random.default_rng(batch).normal(size=3).astype(weight.dtype) if batch else np.zeros(3, weight.dtype)
    loss = (weight**4).sum() / 4 + (weight.sum(1) * bias).sum() + 2 * (bias**2).sum() + np.cos(bias).sum()
    gradients = {"weight": weight**3 + bias[:, None] + tilt, "bias": weight.sum(1) + 4 * bias - np.sin(bias)}
    return float(loss + (weight * tilt).sum()), gradients


def ours(hook, base="momentum_sgd", steps=10, dtype="float64", **hyperparameters):
    arrays = start(dtype)
    optimizer = optreg.create(base, hooks=[hook], **hyperparameters).setup(arrays)
    for batch in range(steps):
        optimizer.update(loss_at, arrays, batch)
    return arrays


def assert_close(found, expected, rtol):
    for name, array in found.items():
        np.testing.assert_allclose(array, np.asarray(expected[name]), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("rho", [0.05, 0.3])
@pytest.mark.parametrize("base", ["sgd", "adamw"])
def test_sam_is_optaxs(base, rho):
    import jax

    methods = {
        "sgd": (lambda: optax.sgd(0.02), {"lr": 0.02}),
        "adamw": (lambda: optax.adamw(0.02, weight_decay=0.1), {"lr": 0.02, "weight_decay": 0.1}),
    }
    make, hyperparameters = methods[base]
    with jax.enable_x64(True):
        climbing = optax.chain(optax.contrib.normalize(), optax.sgd(rho))
        method = optax.contrib.sam(make(), climbing, sync_period=2, opaque_mode=True)
        params = {name: jax.numpy.asarray(array) for name, array in start().items()}
        state = method.init(params)
        for batch in range(10):

            def gradient(at, _, batch=batch):
                found = loss_at({name: np.asarray(array) for name, array in at.items()}, batch)[1]
                return {name: jax.numpy.asarray(array) for name, array in found.items()}

            updates, state = method.update(gradient(params, 0), state, params, grad_fn=gradient)
            params = optax.apply_updates(params, updates)
        assert_close(ours(("sam", {"rho": rho}), base, **hyperparameters), params, 1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sam_is_pytorch_optimizers_for_a_hundred_steps(dtype):
    tensors = {name: torch.nn.Parameter(torch.tensor(array)) for name, array in start(dtype).items()}
    sam = pytorch_optimizer.SAM(list(tensors.values()), torch.optim.SGD, rho=0.1, lr=0.02, momentum=0.9)
    for batch in range(100):

        def closure(batch=batch):
            gradients = loss_at({name: tensor.detach().numpy() for name, tensor in tensors.items()}, batch)[1]
            for name, tensor in tensors.items():
                tensor.grad = torch.tensor(gradients[name])

        closure()
        sam.step(closure)
    found = ours(("sam", {"rho": 0.1}), steps=100, dtype=dtype, lr=0.02)
    # Its norm is in single precision.
    assert_close(found, {name: tensor.detach().numpy() for name, tensor in tensors.items()}, 2e-5)


AUTHORS = {
    (): {
        1: "-1.2963621223530228 -0.9834732350859829 -0.5045297382172987 0.0034230454614422056 "
        "0.5009741421564067 0.9781789480916714 0.5539309805365614 -0.2712597637984331",
        10: "0.18584591914599746 -0.9194342132591171 -0.9913668677830143 0.31188346026624647 "
        "0.7198024691566821 0.5875612339361209 0.42407660704994565 -0.4637016980810113",
        100: "-0.9800922209510883 -0.9583752944624515 -0.9687728371897132 0.9774617064090326 "
        "0.976158907098004 0.9767177194920826 0.9188319378649236 -0.9330084790275286",
    },
    (("rho", 0.2), ("eta", 0.1)): {
        1: "-1.393200429015125 -0.9873261810177633 -0.5063954224415333 0.0044014457746661415 "
        "0.5019283769826188 0.9821409590290249 0.5395423178726443 -0.267448946405939",
        10: "-0.2500267042122682 -0.903665375019213 -0.9533715834194026 0.28670430832911176 "
        "0.678207482222568 0.6218341861543698 0.7729215504241558 -0.5872315693024706",
        100: "-0.9762452731167318 -0.9770348218280618 -0.9768860096718371 0.9750471400618672 "
        "0.9786168862828462 0.9785658072713189 0.9326348340352385 -0.9210724590703105",
    },
}
"""What SamsungLabs' ASAM around torch.optim.SGD(lr=0.02, momentum=0.9) makes of a module with the parameters ``weight``
and ``bias`` of this page and its loss without a tilt, after so many steps, in float64."""


@pytest.mark.parametrize("changed", AUTHORS, ids=["defaults", "changed"])
def test_asam_is_its_authors(changed):
    arrays = start()
    hook = optreg.create_hook("asam", **dict(changed))
    optimizer = optreg.create("momentum_sgd", lr=0.02, hooks=[hook]).setup(arrays)
    for t in range(1, 101):
        optimizer.update(loss_at, arrays)
        if t in AUTHORS[changed]:
            found = [*arrays["weight"].ravel(), *arrays["bias"]]
            expected = [float(each) for each in AUTHORS[changed][t].split()]
            # A saddle is passed on the way, from which the last bits grow.
            np.testing.assert_allclose(found, expected, rtol=1e-12 if t == 1 else 1e-8)


@pytest.mark.parametrize("name", ["sam", "asam"])
def test_every_backend_takes_the_same_steps(monkeypatch, name):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    found = []
    for backend in ("numpy", "numba"):
        with optreg.use_backend(backend):
            arrays = ours((name, {"rho": 0.3}), "adam", steps=5, lr=0.02)
        found.append({name: array.tobytes() for name, array in arrays.items()})
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["sam", "asam"])
def test_the_loss_function_sees_other_parameters_the_second_time_and_hooks_the_old_ones(name):
    arrays = start()
    seen, hooked = [], []

    def loss():
        seen.append(copy.deepcopy(arrays))
        return loss_at(arrays)

    def look(opt):
        hooked.append({path: array.tobytes() for path, array in arrays.items()})

    optimizer = optreg.create("sgd", lr=0.1, hooks=[(name, {"rho": 0.5}), look]).setup(arrays)
    before = {path: array.tobytes() for path, array in arrays.items()}
    assert optimizer.update(loss) == loss_at(start())[0]
    assert len(seen) == 2
    away = {path: seen[1][path] - seen[0][path] for path in arrays}
    gradients = loss_at(start())[1]
    if name == "sam":
        assert np.sqrt(sum((each**2).sum() for each in away.values())) == pytest.approx(0.5)
    assert all((away[path] * gradients[path] >= 0).all() for path in arrays)
    assert hooked == [before]
    assert optimizer.t == 1


@pytest.mark.parametrize("name", ["sam", "asam"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("master_weights", [False, True])
def test_a_loss_function_that_raises_leaves_everything_as_it_was(name, dtype, master_weights):
    arrays = start(dtype)
    optimizer = optreg.create("adam", lr=1e-4, hooks=[(name, {"rho": 0.5})], master_weights=master_weights)
    optimizer.setup(arrays)
    for batch in range(3):
        optimizer.update(loss_at, arrays, batch)
    calls = []

    def loss():
        calls.append(copy.deepcopy(arrays))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return loss_at(arrays)

    def bits():
        kept = [each.tobytes() for state in optimizer._states.values() for each in state.values()]
        return optimizer.t, [array.tobytes() for array in arrays.values()], kept

    before = bits()
    with pytest.raises(KeyboardInterrupt):
        optimizer.update(loss)
    assert bits() == before
    assert not np.array_equal(calls[0]["weight"], calls[1]["weight"])

    def wrong():
        calls.append(None)
        return (0.0, {"weight": np.zeros(3)}) if len(calls) == 4 else loss_at(arrays)

    with pytest.raises(GradientError, match="has the shape"):
        optimizer.update(wrong)
    assert bits() == before


@pytest.mark.parametrize("name", ["sam", "asam"])
def test_gradients_at_hand_are_not_enough(name):
    arrays = start()
    optimizer = optreg.create("sgd", hooks=[name]).setup(arrays)
    optimizer.update(loss_at, arrays)
    before = copy.deepcopy(arrays)
    with pytest.raises(OptregError, match=r"without a loss function, .*; call update\(lossfun\)"):
        optimizer.apply_gradients(loss_at(arrays)[1])
    assert all(np.array_equal(arrays[path], before[path]) for path in arrays)
    assert optimizer.t == 1


@pytest.mark.parametrize("before", ["weight_decay", "gradient_accumulation", "sam"])
def test_hooks_whose_work_would_be_lost_are_refused(before):
    arguments = {"weight_decay": {"rate": 0.1}, "gradient_accumulation": {"steps": 1}, "sam": {}}[before]
    optimizer = optreg.create("sgd", hooks=[(before, arguments), "asam"]).setup(start())
    with pytest.raises(OptregError, match=f"what the hook {before} has made of them is lost; add {before} after it"):
        optimizer.update(loss_at, start())


def test_hooks_after_it_change_the_gradients_of_the_step():
    found = ours("sam", "sgd", lr=0.02)
    decayed = start()
    optimizer = optreg.create("sgd", lr=0.02, hooks=["sam", ("weight_decay", {"rate": 0.5})]).setup(decayed)
    for batch in range(10):
        before = copy.deepcopy(decayed)
        optimizer.update(loss_at, decayed, batch)
    assert not np.allclose(found["weight"], decayed["weight"])
    plain = optreg.create("sgd", lr=0.02, hooks=["sam"]).setup(before)
    kept = copy.deepcopy(before)
    plain.update(loss_at, before, 9)
    for path in before:
        np.testing.assert_allclose(decayed[path], before[path] - 0.02 * 0.5 * kept[path], rtol=1e-12)


def test_with_an_accumulation_after_it_each_part_has_a_worst_point_of_its_own():
    arrays = start()
    hooks = ["sam", ("gradient_accumulation", {"steps": 2})]
    optimizer = optreg.create("sgd", lr=0.1, hooks=hooks).setup(arrays)
    expected = []
    for batch in (1, 2):
        twin = start()
        optreg.create("sgd", lr=0.1, hooks=["sam"]).setup(twin).update(loss_at, twin, batch)
        expected.append(twin)
        optimizer.update(loss_at, arrays, batch)
    for path in arrays:
        np.testing.assert_allclose(arrays[path], (expected[0][path] + expected[1][path]) / 2, rtol=1e-12)


def test_gradients_that_are_not_finite_are_left_for_others():
    w = np.ones(2)
    calls = []

    def loss():
        calls.append(w.copy())
        return 0.0, {"w": np.array([np.nan, 1.0])}

    optimizer = optreg.create("sgd", hooks=["sam", "skip_nonfinite"]).setup({"w": w})
    optimizer.update(loss)
    assert (len(calls), optimizer.t, w.tolist()) == (1, 1, [1.0, 1.0])


def test_rho_may_follow_a_schedule():
    distances = []
    arrays = start()

    def loss():
        distances.append(arrays["weight"].copy())
        return loss_at(arrays)

    optimizer = optreg.create("sgd", lr=1e-9, hooks=[("sam", {"rho": lambda t: 0.1 * t})]).setup(arrays)
    norms = []
    for _ in range(3):
        optimizer.update(loss)
        gradients = loss_at(arrays)[1]
        share = np.linalg.norm(gradients["weight"]) / np.sqrt(sum((each**2).sum() for each in gradients.values()))
        norms.append(np.linalg.norm(distances[-1] - distances[-2]) / share)
    np.testing.assert_allclose(norms, [0.1, 0.2, 0.3], rtol=1e-6)


def test_an_update_of_ones_own_may_have_it_too():
    class Own(optreg.Optimizer):
        def update(self, lossfun=None, *args, **kwds):
            if lossfun is not None:
                self.compute_gradients(lossfun, *args, **kwds)
            self.call_hooks()
            self.t += 1
            for _, parameter in self.target.namedparams():
                parameter.data[...] -= 0.1 * parameter.grad

    arrays, twin = start(), start()
    optimizer = Own().setup(arrays)
    optimizer.add_hook("sam")
    optimizer.update(loss_at, arrays)
    optreg.create("sgd", lr=0.1, hooks=["sam"]).setup(twin).update(loss_at, twin)
    assert_close(arrays, twin, 1e-15)
    with pytest.raises(OptregError, match="without a loss function"):
        optimizer.update()
