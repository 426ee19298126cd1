"""Gradients of several calls that make one step."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import optreg
from optreg.errors import HyperparameterError, SkipStep

SHAPES = {"W": (5, 4), "b": (4,)}


def start(dtype="float64"):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}


def gradients(call, dtype="float64"):
    rng = np.random.default_rng([1, call])
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}


def accumulating(steps, optimizer="adam", after=(), before=(), mean=True, **hyperparameters):
    hooks = [*before, ("gradient_accumulation", {"steps": steps, "mean": mean}), *after]
    return optreg.create(optimizer, hooks=hooks, **hyperparameters)


def bytes_of(arrays):
    return {name: array.tobytes() for name, array in arrays.items()}


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_k_calls_make_the_step_of_their_mean_or_sum(monkeypatch, backend, mean):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    ours, theirs = start(), start()
    with optreg.use_backend(backend):
        optimizer = accumulating(3, mean=mean).setup(ours)
        reference = optreg.create("adam").setup(theirs)
        for step in range(4):
            calls = [gradients(3 * step + number) for number in range(3)]
            for each in calls:
                optimizer.apply_gradients(copy.deepcopy(each))
            total = {name: sum((each[name] for each in calls), np.zeros(())) for name in SHAPES}
            reference.apply_gradients({name: array / 3 if mean else array for name, array in total.items()})
            assert optimizer.t == reference.t == step + 1
            assert bytes_of(ours) == bytes_of(theirs)


def test_the_mean_of_halves_of_a_batch_is_pytorchs():
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.tensor(start()["W"]))
    sgd = torch.optim.SGD([w], lr=0.1, momentum=0.9)
    for call in range(6):
        (w * torch.tensor(gradients(call)["W"])).sum().div(2).backward()
        if call % 2:
            sgd.step()
            sgd.zero_grad()
    ours = {"W": start()["W"]}
    optimizer = accumulating(2, "momentum_sgd", lr=0.1).setup(ours)
    for call in range(6):
        optimizer.apply_gradients({"W": gradients(call)["W"]})
    np.testing.assert_allclose(ours["W"], w.detach().numpy(), rtol=1e-12)


def test_a_call_that_accumulates_changes_no_parameter_state_count_or_gradient():
    arrays = start()
    optimizer = accumulating(3).setup(arrays)
    before = bytes_of(arrays), {name: bytes_of(state) for name, state in optimizer._states.items()}
    for call in range(2):
        given = gradients(call)
        optimizer.apply_gradients(given)
        assert bytes_of(given) == bytes_of(gradients(call))
    assert optimizer.t == 0
    assert (bytes_of(arrays), {name: bytes_of(state) for name, state in optimizer._states.items()}) == before


def test_the_call_that_makes_the_step_leaves_the_mean_in_the_gradients():
    optimizer = accumulating(2).setup(start())
    optimizer.apply_gradients(gradients(0))
    given = gradients(1)
    optimizer.apply_gradients(given)
    np.testing.assert_array_equal(given["W"], (gradients(0)["W"] + gradients(1)["W"]) / 2)
    assert optimizer.target["/W"].grad is given["W"]


def test_hooks_before_it_see_every_call_and_those_after_it_the_steps():
    seen = []

    def before(opt):
        seen.append(("before", opt.t))

    def after(opt):
        seen.append(("after", opt.t))

    def post(opt):
        seen.append(("post", opt.t))

    post.timing = "post"
    optimizer = accumulating(2, before=[before], after=[after, post]).setup(start())
    for call in range(4):
        optimizer.apply_gradients(gradients(call))
    assert seen == [
        *[("before", 0), ("before", 0), ("after", 0), ("post", 1)],
        *[("before", 1), ("before", 1), ("after", 1), ("post", 2)],
    ]


def test_a_norm_is_clipped_of_each_call_or_of_the_mean():
    def run(**hooks):
        arrays = start()
        optimizer = accumulating(2, "sgd", lr=1.0, **hooks).setup(arrays)
        for call in range(2):
            optimizer.apply_gradients(gradients(call))
        return arrays["b"] - start()["b"]

    def norm(each):
        return np.sqrt(sum((array**2).sum() for array in each.values()))

    calls = [gradients(0), gradients(1)]
    mean = {name: (calls[0][name] + calls[1][name]) / 2 for name in SHAPES}
    clipping = [optreg.GradientClipping(0.5)]
    np.testing.assert_allclose(run(before=clipping), -sum(each["b"] / norm(each) for each in calls) / 4)
    np.testing.assert_allclose(run(after=clipping), -mean["b"] / norm(mean) / 2)


def test_schedules_and_lookahead_count_steps_rather_than_calls():
    rates = []

    def lr(t):
        rates.append(t)
        return 0.1

    ours, theirs = start(), start()
    optimizer = accumulating(2, "sgd", lr=lr, after=[("lookahead", {"k": 2})]).setup(ours)
    reference = optreg.create("sgd", lr=0.1, hooks=[("lookahead", {"k": 2})]).setup(theirs)
    for step in range(4):
        for _ in range(2):
            optimizer.apply_gradients(gradients(step))
        reference.apply_gradients(gradients(step))
    assert sorted(set(rates)) == [1, 2, 3, 4]
    assert bytes_of(ours) == bytes_of(theirs)


def test_loss_functions_are_called_each_time_and_their_losses_returned():
    w = np.array([2.0])
    optimizer = accumulating(2, "sgd", lr=0.5).setup({"w": w})
    found = [optimizer.update(lambda each: (float(each * w[0]), {"w": np.array([each])}), each) for each in (1.0, 3.0)]
    assert found == [2.0, 6.0]
    assert w.tolist() == [1.0]


def test_losses_with_backward_and_gradients_that_are_none_accumulate_as_well():
    w, v = np.zeros(2), np.zeros(2)
    optimizer = accumulating(2, "sgd", lr=1.0).setup({"w": w, "v": v})
    optimizer.use_cleargrads()

    class Loss:
        def backward(self):
            optimizer.target["w"].grad = np.ones(2)

    for _ in range(2):
        optimizer.update(Loss)
    assert w.tolist() == [-1.0, -1.0]
    assert v.tolist() == [0.0, 0.0]


def test_float16_gradients_are_added_up_in_float32():
    arrays = {"w": np.zeros(3, "float16")}
    optimizer = accumulating(4, "sgd", lr=1.0).setup(arrays)
    for _ in range(4):
        given = {"w": np.full(3, 40000.0, "float16")}
        optimizer.apply_gradients(given)
    assert given["w"].tolist() == [40000.0] * 3


def test_read_only_gradients_are_left_alone():
    optimizer = accumulating(2).setup(start())
    for call in range(2):
        given = gradients(call)
        for array in given.values():
            array.flags.writeable = False
        optimizer.apply_gradients(given)
    assert bytes_of(given) == bytes_of(gradients(1))


def test_a_step_of_one_call_is_that_of_its_gradient():
    ours, theirs = start(), start()
    optimizer, reference = accumulating(1).setup(ours), optreg.create("adam").setup(theirs)
    for call in range(3):
        optimizer.apply_gradients(gradients(call))
        reference.apply_gradients(gradients(call))
    assert bytes_of(ours) == bytes_of(theirs)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_run_resumes_in_the_middle_of_an_accumulation(tmp_path, monkeypatch, backend):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    with optreg.use_backend(backend):
        arrays = start()
        optimizer = accumulating(3).setup(arrays)
        for call in range(8):
            if call == 5:
                optreg.save(tmp_path / "run.npz", optimizer)
                kept = copy.deepcopy(arrays)
            optimizer.apply_gradients(gradients(call))
        loaded = accumulating(3).setup(kept)
        optreg.load(tmp_path / "run.npz", loaded)
        for call in range(5, 8):
            loaded.apply_gradients(gradients(call))
    assert loaded.t == optimizer.t == 2
    assert bytes_of(kept) == bytes_of(arrays)


def test_setup_forgets_an_accumulation_and_so_does_removing_the_hook():
    def after(forgetting):
        arrays = start()
        optimizer = accumulating(3, "sgd", lr=0.1).setup(start())
        for call in range(2):
            optimizer.apply_gradients(gradients(call + 10))
        forgetting(optimizer)
        optimizer.setup(arrays)
        for call in range(3):
            optimizer.apply_gradients(gradients(call))
        return optimizer.t, bytes_of(arrays)

    def remove(optimizer):
        hook = optimizer._hooks["gradient_accumulation"]
        optimizer.remove_hook("gradient_accumulation")
        assert hook.gathered == 0
        optimizer.add_hook(hook, "gradient_accumulation")

    fresh = start()
    optimizer = accumulating(3, "sgd", lr=0.1).setup(fresh)
    for call in range(3):
        optimizer.apply_gradients(gradients(call))
    expected = 1, bytes_of(fresh)
    assert after(lambda optimizer: None) == expected
    assert after(remove) == expected


def test_a_copy_goes_on_with_the_accumulation_by_itself():
    optimizer = accumulating(2).setup(start())
    optimizer.apply_gradients(gradients(0))
    twin = copy.deepcopy(optimizer)
    for each in (optimizer, twin):
        each.apply_gradients(gradients(1))
        assert each.t == 1
    for name in SHAPES:
        assert twin.target[name].data.tobytes() == optimizer.target[name].data.tobytes()


def test_a_step_that_fails_leaves_nothing_of_its_gradients_behind():
    arrays = start()
    optimizer = accumulating(2, "sgd", lr=0.1).setup(arrays)
    optimizer.apply_gradients(gradients(10))
    with pytest.raises(ValueError, match="has the shape"):
        optimizer.apply_gradients({"W": np.zeros(3)})
    optimizer.apply_gradients(gradients(11))
    assert optimizer.t == 1

    def fails(opt):
        raise RuntimeError(opt.t)

    optimizer.add_hook(fails)
    optimizer.apply_gradients(gradients(12))
    with pytest.raises(RuntimeError):
        optimizer.apply_gradients(gradients(13))
    optimizer.remove_hook("fails")
    before = arrays["b"].copy()
    for call in range(2):
        optimizer.apply_gradients(gradients(call))
    np.testing.assert_allclose(arrays["b"], before - 0.05 * (gradients(0)["b"] + gradients(1)["b"]), rtol=1e-13)


def test_an_update_of_ones_own_learns_that_no_step_is_to_be_made():
    class Own(optreg.Optimizer):
        def update(self, lossfun=None, *args, **kwds):
            loss = self.compute_gradients(lossfun, *args, **kwds)
            try:
                self.call_hooks()
            except SkipStep as skipped:
                self.t += skipped.counts
                return loss
            self.t += 1
            for _, parameter in self.target.namedparams():
                parameter.data[...] -= parameter.grad
            return loss

    w = np.zeros(2)
    optimizer = Own().setup({"w": w})
    optimizer.add_hook("gradient_accumulation", steps=2)
    for each in (1.0, 3.0):
        optimizer.update(lambda each=each: (0.0, {"w": np.full(2, each)}))
    assert optimizer.t == 1
    assert w.tolist() == [-2.0, -2.0]


@pytest.mark.parametrize("steps", [0, 2.0, True])
def test_a_number_of_calls_that_cannot_be_is_refused(steps):
    with pytest.raises(HyperparameterError, match="steps must be a whole number >= 1"):
        optreg.create_hook("gradient_accumulation", steps=steps)
