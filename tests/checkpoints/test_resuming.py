"""A run that is saved and loaded goes on as one that nothing interrupts, bit for bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optreg
from optreg import schedules

from .others import Averaging, Halving
from .runs import FORMATS, assert_resumes, assert_same, contents, copied, new_parameters, run

BUILTINS = [name for name in optreg.names() if "/" not in name]
BUILTIN_HOOKS = [name for name in optreg.hook_names() if "/" not in name]
HOOK_ARGUMENTS = {
    "weight_decay": {"rate": 1e-2},
    "lasso": {"rate": 1e-2},
    "gradient_clipping": {"threshold": 1.0},
    "gradient_noise": {"eta": 0.1, "seed": 3},
    "gradient_hard_clipping": {"lower_bound": -0.5, "upper_bound": 0.5},
    "skip_nonfinite": {},
}
ARGUMENTS = HOOK_ARGUMENTS | {"gradient_accumulation": {"steps": 2}}

every_optimizer = pytest.mark.parametrize("name", BUILTINS)
every_format = pytest.mark.parametrize("form", FORMATS)


def test_there_are_built_ins_to_resume():
    assert {"adamw", "sgd", "asgd", "nadam"} <= set(BUILTINS)


@every_optimizer
@settings(max_examples=8)
@given(before=st.integers(0, 6), after=st.integers(1, 4), form=st.sampled_from(FORMATS))
def test_every_built_in_optimizer_resumes_at_any_step(name, before, after, form):
    with tempfile.TemporaryDirectory() as folder:
        assert_resumes(lambda: optreg.create(name), Path(folder, f"run.{form}"), before=before, after=after)


@every_optimizer
@every_format
@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64", "complex128"])
def test_every_built_in_optimizer_resumes_in_every_dtype(name, dtype, form, tmp_path):
    parameters = new_parameters(dtype)
    assert_resumes(lambda: optreg.create(name), tmp_path / f"a.{form}", before=3, after=3, parameters=parameters)


@every_format
def test_parameters_of_several_dtypes_resume_together(form, tmp_path):
    parameters = {dtype: new_parameters(dtype) for dtype in ("float16", "float32", "float64", "complex64")}
    assert_resumes(lambda: optreg.create("adam"), tmp_path / f"a.{form}", before=3, after=3, parameters=parameters)


def test_parameters_of_the_other_byte_order_resume(tmp_path):
    other = np.dtype("float32").newbyteorder(">")
    for form in FORMATS:
        path = tmp_path / f"a.{form}"
        assert_resumes(lambda: optreg.create("adam"), path, before=3, after=3, parameters={"W": np.ones(3, other)})


@pytest.mark.parametrize("hook", BUILTIN_HOOKS)
@settings(max_examples=6)
@given(before=st.integers(0, 6), form=st.sampled_from(FORMATS))
def test_every_built_in_hook_resumes_at_any_step(hook, before, form):
    def make():
        optimizer = optreg.create("adam")
        optimizer.add_hook(hook, **ARGUMENTS.get(hook, {}))
        return optimizer

    with tempfile.TemporaryDirectory() as folder:
        assert_resumes(make, Path(folder, f"run.{form}"), before=before, after=3)


@every_format
def test_all_hooks_together_resume(form, tmp_path):
    def make():
        return optreg.create("adamw", hooks=list(HOOK_ARGUMENTS.items()), options={"*/b": {"weight_decay": 0.0}})

    assert_resumes(make, tmp_path / f"a.{form}", before=4, after=4)


def test_the_count_of_skipped_steps_is_saved(tmp_path):
    optimizer = optreg.create("sgd", hooks=["skip_nonfinite"]).setup({"W": np.ones(2)})
    optimizer.apply_gradients({"W": np.array([np.nan, 1.0])})
    optreg.save(tmp_path / "a.npz", optimizer)
    resumed = optreg.create("sgd", hooks=["skip_nonfinite"]).setup({"W": np.ones(2)})
    optreg.load(tmp_path / "a.npz", resumed)
    assert resumed._hooks["skip_nonfinite"].skipped == 1
    assert resumed.t == 1


@every_format
@pytest.mark.parametrize(
    "schedule",
    [
        schedules.Step(initial=0.1, every=2),
        schedules.Cosine(initial=0.1, steps=5),
        schedules.LinearWarmup(steps=3, then=schedules.Exponential(initial=0.1, factor=0.9)),
        schedules.OneCycle(peak=0.1, steps=9),
        Halving(0.3),
    ],
    ids=lambda schedule: schedule.name,
)
def test_a_schedule_of_optreg_is_saved_in_place_of_a_number(schedule, form, tmp_path):
    unbroken = run(optreg.create("adam", lr=schedule).setup(new_parameters()), 3)
    optreg.save(tmp_path / f"a.{form}", unbroken)
    resumed = optreg.create("adam", lr=0.5).setup(copied(unbroken.target.arrays))
    optreg.load(tmp_path / f"a.{form}", resumed)
    assert resumed.lr == schedule
    assert_same(run(resumed, 4), run(unbroken, 4))


def test_a_lambda_is_kept_from_the_optimizer_that_loads(tmp_path):
    def make():
        return optreg.create("adam", lr=lambda t: 0.1 / t, options={"*/b": {"lr": lambda t: 0.2 / t}})

    unbroken = run(make().setup(new_parameters()), 3)
    optreg.save(tmp_path / "a.npz", unbroken)
    resumed = make().setup(copied(unbroken.target.arrays))
    kept = resumed.lr
    optreg.load(tmp_path / "a.npz", resumed)
    assert resumed.lr is kept
    run(resumed, 3)
    run(unbroken, 3)
    assert resumed.target.arrays["l1"]["b"].tobytes() == unbroken.target.arrays["l1"]["b"].tobytes()
    assert resumed.target.arrays["scale"].tobytes() == unbroken.target.arrays["scale"].tobytes()


@pytest.mark.parametrize("options", [False, True])
def test_a_lambda_cannot_become_the_number_that_stands_there_now(options, tmp_path):
    def make(value):
        given = {"options": {"*/b": {"lr": value}}} if options else {"lr": value}
        return optreg.create("sgd", **given).setup(new_parameters())

    optreg.save(tmp_path / "a.npz", make(lambda t: 0.1))
    with pytest.raises(ValueError, match=r"lr was .*<lambda>, which cannot be saved, and is 0.25 now; set it before"):
        optreg.load(tmp_path / "a.npz", make(0.25))


def test_hyperparameters_changed_by_hand_are_saved(tmp_path):
    unbroken = run(optreg.create("adamw", hooks=[("weight_decay", {"rate": 0.1})]).setup(new_parameters()), 3)
    unbroken.lr, unbroken.beta2 = 0.3, 0.5
    unbroken._hooks["weight_decay"].rate = 0.4
    unbroken.options = {"*/W": {"weight_decay": 0.25}}
    run(unbroken, 2)
    optreg.save(tmp_path / "a.npz", unbroken)
    resumed = optreg.create("adamw", hooks=[("weight_decay", {"rate": 0.1})]).setup(copied(unbroken.target.arrays))
    optreg.load(tmp_path / "a.npz", resumed)
    assert (resumed.lr, resumed.options) == (0.3, {"*/W": {"weight_decay": 0.25}})
    assert_same(run(resumed, 3), run(unbroken, 3))


def test_a_parameter_added_during_the_run_resumes(tmp_path):
    unbroken = run(optreg.create("adam").setup(new_parameters()), 2)
    unbroken.target.arrays["late"] = np.ones(3)
    run(unbroken, 2)
    optreg.save(tmp_path / "a.npz", unbroken)
    resumed = optreg.create("adam").setup(copied(unbroken.target.arrays))
    optreg.load(tmp_path / "a.npz", resumed)
    assert_same(run(resumed, 3), run(unbroken, 3))


def test_a_parameter_added_just_before_saving_resumes(tmp_path):
    unbroken = run(optreg.create("adam").setup(new_parameters()), 2)
    unbroken.target.arrays["late"] = np.ones(3)
    optreg.save(tmp_path / "a.npz", unbroken)
    resumed = optreg.create("adam").setup(copied(unbroken.target.arrays))
    optreg.load(tmp_path / "a.npz", resumed)
    assert_same(run(resumed, 3), run(unbroken, 3))


def test_a_run_from_which_a_parameter_was_removed_resumes(tmp_path):
    """To freeze it, say. Its state stays with the optimizer, in case it comes back."""

    def make(parameters):
        return optreg.create("adam", hooks=[Averaging()]).setup(parameters)

    unbroken = run(make(new_parameters()), 2)
    del unbroken.target.arrays["l1"]["W"]
    run(unbroken, 2)
    optreg.save(tmp_path / "a.npz", unbroken)
    fresh = make(copied(unbroken.target.arrays))
    used = run(make(new_parameters()), 3)
    del used.target.arrays["l1"]["W"]
    used.target.arrays.update(copied(unbroken.target.arrays))
    run(unbroken, 3)
    for resumed in (fresh, used):
        optreg.load(tmp_path / "a.npz", resumed)
        run(resumed, 3)
        assert contents(resumed.target) == contents(unbroken.target)
        for path in ("/l1/b", "/scale"):
            assert contents(resumed._states[path]) == contents(unbroken._states[path])
            assert contents(resumed._hook_states["Averaging"][path]) == contents(
                unbroken._hook_states["Averaging"][path]
            )


def test_a_count_that_is_a_number_of_numpys_is_saved_and_loaded(tmp_path):
    saved = optreg.create("adam").setup({"W": np.ones(2)})
    saved.t = np.int64(3)
    optreg.save(tmp_path / "a.npz", saved)
    loaded = optreg.create("adam").setup({"W": np.ones(2)})
    optreg.load(tmp_path / "a.npz", loaded)
    assert loaded.t == 3


def test_an_array_that_stands_at_two_places_resumes(tmp_path):
    def shared(array):
        return {"encoder": {"W": array}, "decoder": {"W": array, "b": np.ones(2)}}

    unbroken = run(optreg.create("adam").setup(shared(np.arange(4.0))), 3)
    optreg.save(tmp_path / "a.npz", unbroken)
    resumed = optreg.create("adam").setup(shared(unbroken.target.arrays["encoder"]["W"].copy()))
    resumed.target.arrays["decoder"]["b"][...] = unbroken.target.arrays["decoder"]["b"]
    optreg.load(tmp_path / "a.npz", resumed)
    assert_same(run(resumed, 3), run(unbroken, 3))


@every_format
def test_a_target_without_parameters_resumes(form, tmp_path):
    assert_resumes(lambda: optreg.create("adam"), tmp_path / f"a.{form}", before=2, after=2, parameters={})


@every_optimizer
def test_loading_fills_the_states_in_place(name, tmp_path):
    saved = run(optreg.create(name).setup(new_parameters()), 4)
    optreg.save(tmp_path / "a.npz", saved)
    used = run(optreg.create(name).setup(new_parameters()), 2)
    states = {(path, key): value for path, state in used._states.items() for key, value in state.items()}
    optreg.load(tmp_path / "a.npz", used)
    for (path, key), array in states.items():
        assert used._states[path][key] is array
        assert array.tobytes() == saved._states[path][key].tobytes()


def test_loading_twice_is_loading_once(tmp_path):
    saved = run(optreg.create("adam", hooks=[("gradient_noise", {"eta": 0.1, "seed": 0})]).setup(new_parameters()), 4)
    optreg.save(tmp_path / "a.npz", saved)
    resumed = optreg.create("adam", hooks=[("gradient_noise", {"eta": 0.1, "seed": 1})])
    resumed.setup(copied(saved.target.arrays))
    optreg.load(tmp_path / "a.npz", resumed)
    optreg.load(tmp_path / "a.npz", resumed)
    assert_same(run(resumed, 3), run(saved, 3))


def test_saving_changes_nothing(tmp_path):
    saved = run(optreg.create("adam", hooks=[("gradient_noise", {"eta": 0.1, "seed": 0})]).setup(new_parameters()), 2)
    other = run(optreg.create("adam", hooks=[("gradient_noise", {"eta": 0.1, "seed": 0})]).setup(new_parameters()), 2)
    optreg.save(tmp_path / "a.npz", saved)
    assert_same(saved, other)
    assert_same(run(saved, 2), run(other, 2))


def test_a_hook_may_save_during_the_run(tmp_path):
    def make():
        return optreg.create("adam", lr=schedules.Cosine(initial=0.1, steps=9), hooks=[("lasso", {"rate": 1e-3})])

    def save_now(optimizer):
        optreg.save(tmp_path / f"{optimizer.t}.npz", optimizer)

    save_now.timing = "post"
    unbroken = make().setup(new_parameters())
    unbroken.add_hook(save_now)
    run(unbroken, 2)
    at_two = copied(unbroken.target.arrays)
    run(unbroken, 2)
    resumed = make().setup(at_two)
    resumed.add_hook(save_now)
    optreg.load(tmp_path / "2.npz", resumed)
    assert_same(run(resumed, 2), unbroken)
