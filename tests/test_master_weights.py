"""``master_weights=True``: float16 parameters with a float32 copy, in which small updates add up."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import numpy as np
import pytest

import optreg
from optreg import GradientMethod, Hook, Optimizer
from optreg.errors import CheckpointError, HyperparameterError, OptregError, UnknownHyperparameterError
from optreg.hyperparameters import positive
from optreg.rule import has_rule
from optreg.signatures import signature

SIZE = 20_011
"""More than a block of NumPy's."""
NAMES = [name for name in optreg.names() if "/" not in name and has_rule(object.__new__(optreg.get(name)))]


def start(dtype: Any = np.float16, size: int = SIZE) -> Any:
    return np.random.default_rng(0).normal(size=size).astype(np.float16).astype(dtype)


def run(optimizer: Any, steps: int) -> Any:
    """Steps with gradients that depend on ``t`` alone, and that float16 can hold."""
    for _ in range(steps):
        rng = np.random.default_rng([7, optimizer.t])
        for _, parameter in optimizer.target.namedparams():
            grad = rng.normal(0.5, size=parameter.data.shape).astype(np.float16)
            parameter.grad = np.asarray(grad, parameter.data.dtype)
        optimizer.update()
    return optimizer


def master(optimizer: Any, path: str = "/w") -> Any:
    return optimizer._states[path]["master"]


class Slow(Hook):
    """A hook with a slot, and one that changes the parameter."""

    timing = "post"

    def rule(self, param: Any, grad: Any, slow: Any) -> None:
        slow += 0.125 * (param - slow)
        param += 1e-5 * (slow - param)


class Plain(GradientMethod):
    """A class as one writes it without attrs, which knows nothing of master weights."""

    def __init__(self, lr: float = 0.125) -> None:
        self.lr = lr

    def rule(self, param: Any, grad: Any, m: Any) -> None:
        m += 0.1 * (grad - m)
        param -= self.lr * m


class ByHand(GradientMethod):
    """A class with an update of its own, as Chainer's are."""

    def __init__(self, lr: float = 1e-5) -> None:
        self.lr = lr

    def init_state_cpu(self, param: Any, state: Any) -> None:
        state["m"] = np.zeros_like(param.data)

    def update_one_cpu(self, param: Any, state: Any) -> None:
        assert param.data.dtype == param.grad.dtype == state["m"].dtype == np.float32
        state["m"] += np.float32(0.1) * (param.grad - state["m"])
        param.data -= np.float32(self.lr) * state["m"]


def test_a_thousand_updates_far_below_the_last_place_add_up():
    lr = 2.0**-20  # at 1.0, the places of float16 are 2**-11 apart below, and 2**-10 above
    kept, lost, exact = np.ones(50, np.float16), np.ones(50, np.float16), np.ones(50, np.float32)
    for array, wanted in ((kept, True), (lost, False), (exact, True)):
        optimizer = optreg.create("sgd", lr=lr, master_weights=wanted).setup({"w": array})
        for _ in range(1000):
            optimizer.apply_gradients({"w": np.ones_like(array)})
    np.testing.assert_array_equal(lost, 1)
    np.testing.assert_array_equal(exact, np.float32(1 - 1000 * lr))
    np.testing.assert_array_equal(kept, exact.astype(np.float16))
    assert kept[0] < 1


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_makes_the_steps_of_a_float32_run_bit_for_bit(name):
    lr = {"lr": 1e-4} if "lr" in signature(optreg.get(name)).fields else {}

    def steps(dtype: Any) -> Any:
        hooks: Any = [("gradient_clipping", {"threshold": 50.0}), optreg.WeightDecay(1e-3), optreg.Lasso(1e-4)]
        if hasattr(optreg.get(name), "measure"):  # which is a pass of its own, and float16 gradients lie between
            hooks = []
        hooks = [*hooks, Slow()]
        optimizer = optreg.create(name, master_weights=True, hooks=hooks, **lr)
        return run(optimizer.setup({"w": start(dtype)}), 6)

    with optreg.use_backend("numpy"):
        half, single = steps(np.float16), steps(np.float32)
    expected = single.target["/w"].data
    np.testing.assert_array_equal(master(half), expected)
    np.testing.assert_array_equal(half.target["/w"].data, expected.astype(np.float16))
    for key, value in single._states["/w"].items():
        np.testing.assert_array_equal(half._states["/w"][key], value)
    np.testing.assert_array_equal(half._hook_states["Slow"]["/w"]["slow"], single._hook_states["Slow"]["/w"]["slow"])


def test_the_steps_are_those_of_mixed_precision_in_pytorch():
    torch = pytest.importorskip("torch")
    ours = start()
    optimizer = optreg.create("adamw", lr=1e-4, weight_decay=0.1, master_weights=True).setup({"w": ours})
    theirs = torch.nn.Parameter(torch.from_numpy(start(np.float32)))
    reference = torch.optim.AdamW([theirs], lr=1e-4, weight_decay=0.1)
    rng = np.random.default_rng(1)
    for _ in range(50):
        grad = rng.normal(size=SIZE).astype(np.float16)
        optimizer.apply_gradients({"w": grad})
        theirs.grad = torch.from_numpy(grad.astype(np.float32))
        reference.step()
    expected = theirs.detach().numpy()
    np.testing.assert_allclose(master(optimizer), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours, master(optimizer).astype(np.float16))


@pytest.mark.parametrize("method", [Plain, ByHand])
def test_classes_that_know_nothing_of_it_have_it(method):
    half, single = start(), start(np.float32)
    for array in (half, single):
        optimizer = method()
        optimizer.master_weights = True
        run(optimizer.setup({"w": array}), 5)
        assert ("master" in optimizer._states["/w"]) == (array is half)
    np.testing.assert_array_equal(half, single.astype(np.float16))


def test_registered_classes_get_it_through_create_but_not_as_an_argument():
    class Anything(Plain):
        def __init__(self, **kwds: Any) -> None:
            assert "master_weights" not in kwds
            super().__init__(**kwds)

    class Own(Plain):
        def __init__(self, lr: float = 0.1, master_weights: bool = True) -> None:
            super().__init__(lr)
            self.master_weights = master_weights

    with optreg.temporary():
        for name, cls in (("plain", Plain), ("anything", Anything), ("own", Own)):
            optreg.register(f"mine/{name}", cls)
            optimizer = optreg.create(f"mine/{name}", lr=0.25, master_weights=True)
            assert optimizer.master_weights
            assert optreg.create(optimizer.config()).setup({"w": start()})._states["/w"].keys() == {"m", "master"}
    assert Own().setup({"w": start()})._states["/w"].keys() == {"m", "master"}


def test_a_class_may_have_it_by_default():
    @attrs.define(eq=False)
    class Mixed(GradientMethod):
        lr: float = positive(0.1)
        master_weights = True

        def rule(self, param: Any, grad: Any) -> None:
            param -= self.lr * grad

    assert "master" in Mixed().setup({"w": start()})._states["/w"]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_parameters_that_are_computed_in_their_own_dtype_have_no_copy(dtype):
    with_it, without = (
        run(optreg.create("adamw", master_weights=wanted).setup({"w": np.ones(9, dtype)}), 3)
        for wanted in (True, False)
    )
    assert with_it._states["/w"].keys() == {"m", "v"}
    np.testing.assert_array_equal(with_it.target["/w"].data, without.target["/w"].data)


def test_options_choose_the_parameters():
    tree = {"l1": {"W": start(), "b": start()}, "l2": {"W": start(), "b": start()}}
    options = {"*/b": {"master_weights": False}, "/l2/b": {"lr": 0.1}}
    optimizer = run(optreg.create("adamw", master_weights=True, options=options).setup(tree), 3)
    copied = [path for path, state in optimizer._states.items() if "master" in state]
    assert copied == ["/l1/W", "/l2/W"]
    other = run(optreg.create("adamw", options={"/l1/*": {"master_weights": True}}).setup(copy.deepcopy(tree)), 3)
    assert [path for path, state in other._states.items() if "master" in state] == ["/l1/W", "/l1/b"]


@pytest.mark.parametrize("size", [20, SIZE])
@pytest.mark.parametrize("method", [Plain, ByHand])
def test_what_others_write_to_the_parameter_counts(method, size):
    array = start(size=size)
    optimizer = method()
    optimizer.lr, optimizer.master_weights = 1e-5, True
    run(optimizer.setup({"w": array}), 3)
    before = master(optimizer).copy()
    array[:10] = 7
    for _, parameter in optimizer.target.namedparams():
        parameter.grad = np.zeros_like(array)
    optimizer._states["/w"]["m"][...] = 0
    optimizer.update()
    np.testing.assert_array_equal(array[:10], 7)
    np.testing.assert_array_equal(master(optimizer)[:10], 7)
    np.testing.assert_array_equal(master(optimizer)[10:], before[10:])


def test_weights_that_are_loaded_into_a_new_array_count():
    tree = {"w": start()}
    optimizer = run(optreg.create("sgd", lr=1e-6, master_weights=True).setup(tree), 3)
    tree["w"] = np.full(SIZE, 3, np.float16)
    optimizer.apply_gradients({"w": np.ones(SIZE, np.float16)})
    np.testing.assert_array_equal(master(optimizer), np.float32(3) - np.float32(1e-6))
    np.testing.assert_array_equal(tree["w"], 3)


def test_a_callable_hook_that_changes_parameters_is_noticed():
    def halve(optimizer: Any) -> None:
        optimizer.target["/w"].data[...] /= 2

    array = np.full(5, 8, np.float16)
    optimizer = optreg.create("sgd", lr=2.0**-12, master_weights=True)
    optimizer.add_hook(halve)
    optimizer.setup({"w": array}).apply_gradients({"w": np.ones(5, np.float16)})
    np.testing.assert_array_equal(master(optimizer), np.float32(4 - 2.0**-12))


def test_numbers_beyond_the_largest_and_signs_of_zero_are_kept():
    array = np.array([60_000, -60_000, 1e-7, -1e-7, np.nan, np.inf], np.float16)
    optimizer = optreg.create("sgd", lr=1.0, master_weights=True).setup({"w": array})
    there, back = np.array([-1e4, 1e4, 0, 0, 0, 0], np.float16), np.array([1e4, -1e4, 0, 0, 0, 0], np.float16)
    optimizer.apply_gradients({"w": there})
    np.testing.assert_array_equal(np.isinf(array), [True, True, False, False, False, True])
    optimizer.apply_gradients({"w": back})
    np.testing.assert_array_equal(array[:2], np.array([60_000, -60_000], np.float16))
    np.testing.assert_array_equal(array[4:], [np.nan, np.inf])


def test_late_shared_empty_and_single_parameters():
    shared = start(size=5)
    tree = {"a": shared, "b": shared, "empty": np.zeros((0, 3), np.float16), "one": np.array(1, np.float16)}
    optimizer = run(optreg.create("adamw", lr=1e-5, master_weights=True).setup(tree), 3)
    tree["late"] = np.asfortranarray(start(size=12).reshape(3, 4))
    run(optimizer, 3)
    assert optimizer._states.keys() == {"/a", "/empty", "/one", "/late"}
    for name, parameter in optimizer.target.namedparams():
        assert master(optimizer, name).shape == parameter.data.shape
        np.testing.assert_array_equal(master(optimizer, name).astype(np.float16), parameter.data)
    assert master(optimizer, "/one") != 1


@pytest.mark.parametrize("made", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_go_on_in_the_same_way(made):
    optimizer = run(optreg.create("adamw", lr=1e-5, master_weights=True).setup({"w": start()}), 3)
    other = made(optimizer)
    assert other.master_weights
    for each in (optimizer, other):
        run(each, 3)
    np.testing.assert_array_equal(master(other), master(optimizer))
    np.testing.assert_array_equal(other.target["/w"].data, optimizer.target["/w"].data)


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_a_resumed_run_is_the_unbroken_one(form, tmp_path):
    def made(**chosen: Any) -> Any:
        return optreg.create("adamw", lr=1e-5, **chosen).setup({"w": start()})

    unbroken = run(made(master_weights=True), 3)
    optreg.save(tmp_path / f"run.{form}", unbroken)
    weights = unbroken.target["/w"].data.copy()
    run(unbroken, 4)
    for chosen in ({"master_weights": True}, {}):  # as other hyperparameters, it comes with the checkpoint
        resumed = made(**chosen)
        resumed.target["/w"].data[...] = weights
        optreg.load(tmp_path / f"run.{form}", resumed)
        assert resumed.master_weights
        run(resumed, 4)
        np.testing.assert_array_equal(master(resumed), master(unbroken))
        np.testing.assert_array_equal(resumed.target["/w"].data, unbroken.target["/w"].data)


def test_a_checkpoint_without_copies_is_one_of_an_optimizer_without_them(tmp_path):
    optreg.save(tmp_path / "run.npz", run(optreg.create("adamw").setup({"w": start()}), 3))
    optimizer = optreg.create("adamw", master_weights=True).setup({"w": start()})
    optreg.load(tmp_path / "run.npz", optimizer)
    assert not optimizer.master_weights
    assert "master" not in optimizer._states["/w"]
    run(optimizer, 1)


def test_states_without_hyperparameters_must_fit(tmp_path):
    path = tmp_path / "states.npz"  # as Chainer writes it
    with_it, without = (
        run(optreg.create("adamw", master_weights=wanted).setup({"w": start()}), 2) for wanted in (True, False)
    )
    arrays = {f"w/{key}": value for key, value in without._states["/w"].items()}
    np.savez(path, t=2, epoch=0, **arrays)
    before = master(with_it).copy()
    with pytest.raises(KeyError, match="/w: master is missing"):
        optreg.load(path, with_it)
    np.testing.assert_array_equal(master(with_it), before)
    np.savez(path, t=2, epoch=0, **arrays, **{"w/master": before})
    with pytest.raises(CheckpointError, match="/w: master is unexpected"):
        optreg.load(path, without)
    optreg.load(path, with_it)


def test_it_is_written_down_only_where_it_is_chosen():
    assert "master_weights" not in optreg.create("adamw").config()
    config = optreg.create("adamw", master_weights=True, options={"*/b": {"master_weights": False}}).config()
    assert config["master_weights"] is True
    assert config["options"] == {"*/b": {"master_weights": False}}
    again = optreg.create(config)
    assert again.config() == config
    assert "master_weights" in [each.name for each in optreg.info("adamw").hyperparameters]


@pytest.mark.parametrize("wrong", ["yes", 1, None, np.ones(2)])
def test_anything_but_true_and_false_is_refused(wrong):
    message = "AdamW: master_weights must be True or False, but it is "
    with pytest.raises(HyperparameterError, match=message):
        optreg.create("adamw", master_weights=wrong)
    with pytest.raises(HyperparameterError, match=message):
        optreg.create("adamw", options={"*": {"master_weights": wrong}})
    optimizer = optreg.create("adamw")
    with pytest.raises(HyperparameterError, match=message):
        optimizer.master_weights = wrong
    assert optimizer.master_weights is False


def test_an_optimizer_with_an_update_of_its_own_has_no_such_choice():
    class Search(Optimizer):
        def update(self, lossfun: Any = None, *args: Any, **kwds: Any) -> Any:
            raise NotImplementedError

    with optreg.temporary():
        optreg.register("mine/search", Search)
        with pytest.raises(UnknownHyperparameterError, match="Search has no hyperparameter 'master_weights'"):
            optreg.create("mine/search", master_weights=True)


@pytest.mark.parametrize("before", [True, False])
def test_a_choice_after_setup_says_that_it_is_too_late(before):
    optimizer = run(optreg.create("adamw", master_weights=before).setup({"w": start()}), 2)
    weights = optimizer.target["/w"].data.copy()
    optimizer.master_weights = not before
    with pytest.raises(HyperparameterError, match=r"master_weights is now .*, but the state of /w was made with"):
        optimizer.update()
    np.testing.assert_array_equal(optimizer.target["/w"].data, weights)
    assert optimizer.t == 2
    run(optimizer.setup({"w": weights}), 1)


def test_no_slot_of_an_optimizer_may_have_the_name_of_the_copy():
    class Taken(GradientMethod):
        def rule(self, param: Any, grad: Any, master: Any) -> None:
            master += grad

    class TakenByHand(ByHand):
        def init_state_cpu(self, param: Any, state: Any) -> None:
            state["master"] = np.zeros_like(param.data)

    for method in (Taken, TakenByHand):
        with pytest.raises(OptregError, match=f"{method.__name__} has a slot called 'master'.*another name"):
            method().setup({"w": start()})
