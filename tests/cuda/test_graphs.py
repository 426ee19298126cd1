"""Steps captured into CUDA graphs and launched from there, with the (emulated) device."""

from __future__ import annotations

import numpy as np
import pytest

import optreg
from optreg.errors import OptregError

from .emulated_cupy import NDArray, on_device


def two(make):
    """The same optimizer twice, with its parameter and gradient on the device."""
    found = []
    for _ in range(2):
        optimizer = make()
        dtype = "float16" if optimizer.master_weights else "float64"
        optimizer.setup({"w": on_device(np.ones(7, dtype)), "v": on_device(np.ones((2, 3), dtype))})
        for _, parameter in optimizer.target.namedparams():
            parameter.grad = on_device(np.zeros(parameter.data.shape, dtype))
        found.append(optimizer)
    return found


def fill(optimizer, step, bad=()):
    for number, (_, parameter) in enumerate(sorted(optimizer.target.namedparams())):
        rng = np.random.default_rng([step, number])
        parameter.grad[...] = rng.normal(size=parameter.data.shape) * (np.nan if step in bad else 1)


def values(optimizer):
    arrays = [parameter.data for _, parameter in sorted(optimizer.target.namedparams())]
    states = [state[key] for _, state in sorted(optimizer._states.items()) for key in sorted(state)]
    return [array.get().tobytes() for array in arrays + states]


def halved(t):
    return 0.1 * 0.5**t


MAKES = {
    "adamw": lambda: optreg.create("adamw", lr=0.1),
    "a schedule": lambda: optreg.create("sgd", lr=halved),
    "groups": lambda: optreg.create("nadam", options={"/v": {"lr": halved}}),
    "master weights": lambda: optreg.create(
        "adamw", lr=1e-4, master_weights=True, hooks=["skip_nonfinite", optreg.GradientClipping(0.5)]
    ),
    "sums": lambda: optreg.create("lamb", lr=0.1, hooks=["skip_nonfinite"]),
    "hooks": lambda: optreg.create(
        "adam", hooks=["skip_nonfinite", optreg.GradientClipping(0.5), optreg.WeightDecay(0.1), "skip_nonfinite"][:3]
    ),
    "clipping after decay": lambda: optreg.create(
        "adam", hooks=[optreg.WeightDecay(halved), optreg.GradientClipping(0.5)]
    ),
}


@pytest.mark.parametrize("name", MAKES)
def test_a_graph_makes_the_same_steps(emulation, name):
    usual, captured = two(MAKES[name])
    for optimizer in (usual, captured):
        fill(optimizer, 0)
        optimizer.update()
    before = values(captured)
    with emulation.capture() as graph:
        captured.update()
    assert captured.t == 1
    assert values(captured) == before
    for step in range(1, 6):
        bad = [3] if "skip_nonfinite" in usual._hooks else []
        fill(usual, step, bad)
        usual.update()
        fill(captured, step, bad)
        waits = NDArray.waits
        captured.replay(graph)
        assert NDArray.waits == waits
        assert values(captured) == values(usual)
    assert captured.t == usual.t == 6
    fill(usual, 9), fill(captured, 9)
    for _, parameter in captured.target.namedparams():
        parameter.grad = parameter.grad.copy()  # an ordinary step with other arrays, and the graph again
    captured.update(), usual.update()
    assert values(captured) == values(usual)


def test_addresses_are_the_graphs_own(emulation):
    optimizer, _ = two(MAKES["adamw"])
    optimizer.update()
    captured = optimizer.target["/w"].grad
    with emulation.capture() as graph:
        optimizer.update()
    optimizer.target["/w"].grad = on_device(np.full(7, -5.0))
    before = optimizer.target["/w"].data.get()
    captured[...] = 1.0
    optimizer.replay(graph)
    assert (optimizer.target["/w"].data.get() < before).all()
    optimizer.update()
    assert optimizer.t == 3


def test_a_first_step_cannot_be_captured(emulation):
    optimizer, _ = two(MAKES["hooks"])
    before = values(optimizer)
    with emulation.capture(), pytest.raises(OptregError, match="before the capture begins"):
        optimizer.update()
    optimizer.remove_hook("skip_nonfinite"), optimizer.remove_hook("GradientClipping")
    with emulation.capture(), pytest.raises(OptregError, match="before the capture begins"):
        optimizer.update()
    assert (optimizer.t, values(optimizer)) == (0, before)


def test_nothing_captured_is_nothing_to_replay(emulation):
    optimizer, _ = two(MAKES["adamw"])
    optimizer.update()
    with pytest.raises(OptregError, match="capture one step first"):
        optimizer.replay(None)
    assert optimizer.t == 1


def test_a_graph_of_another_step_is_refused(emulation):
    optimizer, _ = two(MAKES["adamw"])
    optimizer.update()
    with emulation.capture() as graph:
        optimizer.update()
    optimizer.add_hook(optreg.Lasso(0.1))
    with pytest.raises(OptregError, match="step 2 is not the one that was captured"):
        optimizer.replay(graph)
    assert optimizer.t == 1


def test_another_branch_of_the_rule_is_refused(emulation):
    optimizer, _ = two(lambda: optreg.create("asgd", t0=2.0))
    optimizer.update()
    optimizer.update()
    with emulation.capture() as graph:
        optimizer.update()
    optimizer.replay(graph)
    optimizer.replay(graph)
    assert optimizer.t == 4
    with pytest.raises(OptregError, match="step 5 is not the one that was captured"):
        optimizer.replay(graph)
    optimizer.update()
    assert optimizer.t == 5


@pytest.mark.parametrize("timing", ["pre", "post"])
def test_a_function_cannot_be_captured(emulation, timing):
    def printing(optimizer):
        pass

    printing.timing = timing
    optimizer, _ = two(MAKES["adamw"])
    optimizer.add_hook(printing)
    optimizer.update()
    with emulation.capture(), pytest.raises(OptregError, match="the hook printing runs on the host"):
        optimizer.update()
    assert optimizer.t == 1


def test_an_accumulation_of_gradients_cannot_be_captured(emulation):
    optimizer, _ = two(lambda: optreg.create("sgd", hooks=[("gradient_accumulation", {"steps": 2})]))
    for step in range(3):
        fill(optimizer, step)
        optimizer.update()
    before = values(optimizer)
    with emulation.capture(), pytest.raises(OptregError, match="GradientAccumulation runs on the host"):
        optimizer.update()
    assert (optimizer.t, values(optimizer)) == (1, before)
    optimizer.update()
    assert optimizer.t == 2


def test_a_schedule_of_the_threshold_cannot_be_captured(emulation):
    optimizer, _ = two(lambda: optreg.create("sgd", hooks=[optreg.GradientClipping(halved)]))
    optimizer.update()
    with emulation.capture(), pytest.raises(OptregError, match="threshold of GradientClipping is a schedule"):
        optimizer.update()


@pytest.mark.parametrize("other", [None, 1], ids=["host", "another device"])
def test_arrays_that_are_elsewhere_cannot_be_captured(emulation, monkeypatch, other):
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    make = (lambda: np.ones(3)) if other is None else (lambda: on_device(np.ones(3), other))
    optimizer = optreg.create("sgd").setup({"w": on_device(np.ones(3)), "v": make()})
    optimizer.target["/w"].grad, optimizer.target["/v"].grad = on_device(np.ones(3)), make()
    optimizer.update()
    with emulation.capture(), pytest.raises(OptregError, match="on several devices or on the host"):
        optimizer.update()
    assert optimizer.t == 1


class Halving(optreg.Hook):
    """Calculates with a number on the device."""

    stays_on_device = True

    def observe(self, opt):
        self.number = on_device(np.array(0.25))

    def rule(self, param, grad):
        grad *= 2 * self.number


def test_numbers_on_the_device_cannot_be_calculated_with_in_a_graph(emulation):
    optimizer, _ = two(lambda: optreg.create("sgd", hooks=[Halving()]))
    optimizer.update()
    with emulation.capture(), pytest.raises(OptregError, match=r"\(2 \* owners\[0\]\.number\) is calculated from"):
        optimizer.update()
