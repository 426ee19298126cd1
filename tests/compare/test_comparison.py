"""Training runs, what becomes of those that go wrong, and how a sweep chooses."""

import json
import math
import warnings

import attrs
import numpy as np
import pytest

from optreg.compare.comparison import Candidate, Result, compare
from optreg.compare.experiment import Assignment, experiment, problem
from optreg.compare.records import from_json, to_json
from optreg.compare.summary import best_first, spread, summary
from optreg.compare.table import cells, notes
from optreg.compare.task import Measure
from optreg.compare.training import DIVERGED, FAILED, FINISHED, Run, train
from optreg.errors import ConfigError
from optreg.optimizer import GradientMethod
from optreg.registry import create, names, register, temporary

LOSS = Measure("loss")
ACCURACY = Measure("accuracy", higher_is_better=True)


def surface_run(optimizer, steps=20, seed=0, task="beale", **hyperparameters):
    return train(Assignment(task, optimizer, hyperparameters, seed, steps, None, 2000))


def run(status=FINISHED, **curve):
    steps = list(range(0, 10 * len(next(iter(curve.values()))), 10))
    return Run(0, status, {"step": steps, "seconds": [step / 100 for step in steps], **curve}, 2 * steps[-1])


def without_seconds(value):
    if isinstance(value, dict):
        return {key: without_seconds(each) for key, each in value.items() if "seconds" not in key}
    return [without_seconds(each) for each in value] if isinstance(value, list) else value


def test_a_run_follows_the_optimizer_step_by_step():
    result = surface_run("sgd", steps=3, lr=0.01)
    point = np.array([1.0, 1.0])
    path = [point]
    for _ in range(3):
        x, y = path[-1]
        residuals = [c - x + x * y**i for i, c in ((1, 1.5), (2, 2.25), (3, 2.625))]
        slope_x = sum(2 * r * (y**i - 1) for i, r in enumerate(residuals, start=1))
        slope_y = sum(2 * r * i * x * y ** (i - 1) for i, r in enumerate(residuals, start=1))
        path.append(path[-1] - 0.01 * np.array([slope_x, slope_y]))
    assert result.status == FINISHED
    assert result.curve["step"] == [0, 1, 2, 3]
    np.testing.assert_allclose(np.transpose([result.curve["x"], result.curve["y"]]), path, rtol=1e-7)


def test_a_run_measures_at_the_start_at_regular_steps_and_at_the_end():
    steps = train(Assignment("digits-softmax", "sgd", {}, 0, 450, 32, 200)).curve["step"]
    assert steps[:3] == [0, 3, 6]
    assert steps[-1] == 450
    assert len(surface_run("sgd", steps=7).curve["step"]) == 8


def test_the_seconds_of_a_run_never_fall():
    assert (np.diff(surface_run("adam").curve["seconds"]) >= 0).all()


def test_the_same_assignment_gives_the_same_curve_again():
    one, other = (train(Assignment("digits", "adam", {}, 1, 20, 32, 20)) for _ in range(2))
    assert without_seconds(one.curve) == without_seconds(other.curve)


def test_who_draws_random_numbers_draws_those_of_the_runs_seed_unless_it_has_one():
    @attrs.define(eq=False)
    class Noisy(GradientMethod):
        lr: float = 0.01
        seed: int | None = None

        def update_one(self, param, state):
            if not hasattr(self, "generator"):
                self.generator = np.random.default_rng(self.seed)
            param.data -= self.lr * self.generator.normal(size=param.data.shape)

    with temporary():
        register("my/noisy", Noisy)
        first, again = (surface_run("my/noisy").curve for _ in range(2))
        assert without_seconds(first) == without_seconds(again)
        given = [train(Assignment("beale", "my/noisy", {"seed": seed}, 0, 20, None, 2000)) for seed in (0, 7)]
        assert [each.curve["x"] == first["x"] for each in given] == [True, False]


def test_a_run_that_diverges_says_so_and_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = surface_run("sgd", task="rosenbrock", steps=50, lr=1.0)
    assert result.status == DIVERGED
    assert len(result.curve["step"]) < 50
    assert math.isnan(result.curve["loss"][-1])
    assert result.final(LOSS) is None
    assert result.best(LOSS) == 24.2


def test_a_run_whose_optimizer_raises_has_failed_and_says_why():
    class Broken:
        def setup(self, target): ...

        def update(self, lossfun, *args):
            raise ZeroDivisionError("no step today")

    with temporary():
        register("acme/broken", Broken)
        result = surface_run("acme/broken")
    assert (result.status, result.reason) == (FAILED, "ZeroDivisionError: no step today")


def test_epochs_are_announced_to_the_optimizer():
    seen = []

    class Counting:
        def setup(self, target): ...

        def update(self, lossfun, *args):
            return lossfun(*args)[0]

        def new_epoch(self):
            seen.append("epoch")

    with temporary():
        register("acme/counting", Counting)
        train(Assignment("digits-softmax", "acme/counting", {}, 0, 25, 100, 5))
    assert len(seen) == 2  # 1,078 examples are eleven batches of 100.


def test_adam_learns_to_read_digits_in_the_usual_number_of_steps():
    usual = experiment("digits", ["adam"], seeds=1)
    (result,) = compare(usual).results
    assert result.runs[0].final(Measure("test accuracy", higher_is_better=True)) >= 0.95


def test_a_sweep_picks_the_learning_rate_with_the_lower_loss():
    swept = compare(experiment("beale", ["sgd"], steps=100, sweep=3, lr_range=(1e-5, 1e-1)))
    (result,) = swept.results
    finals = [surface_run("sgd", steps=100, lr=lr).final(LOSS) for lr in (1e-5, 1e-3)]
    assert surface_run("sgd", steps=100, lr=1e-1).status == DIVERGED
    assert [each.medians["loss"] for each in result.candidates[:2]] == finals
    assert result.lr == (1e-5, 1e-3)[int(np.argmin(finals))]
    assert [each.unfinished for each in result.candidates] == [0, 0, 1]
    assert result.config == create("sgd", lr=result.lr).config()
    assert not result.lr_at_edge


def test_a_sweep_on_data_chooses_by_the_validation_part():
    swept = compare(experiment("digits-softmax", ["sgd"], steps=20, seeds=3, sweep=2, lr_range=(1e-4, 1e-1)))
    (result,) = swept.results
    assert [each.name for each in swept.selection] == ["validation accuracy", "validation loss"]
    chosen = max(result.candidates, key=lambda each: each.medians["validation accuracy"])
    assert result.lr == chosen.lr == 1e-1
    assert (
        sorted(run.curve["validation accuracy"][-1] for run in result.runs)[1] == chosen.medians["validation accuracy"]
    )


def test_a_rate_under_which_a_seed_diverges_comes_after_those_without():
    safe, risky = Candidate(0.1, 0, {"loss": 2.0}), Candidate(1.0, 1, {"loss": 1.0})
    hopeless = Candidate(9.0, 3, {"loss": math.nan})
    assert sorted([hopeless, risky, safe], key=lambda each: each.rank([LOSS])) == [safe, risky, hopeless]


def test_equal_accuracies_are_told_apart_by_the_loss():
    worse, better = (Candidate(lr, 0, {"accuracy": 0.9, "loss": lr}) for lr in (0.5, 0.2))
    assert min([worse, better], key=lambda each: each.rank([ACCURACY, LOSS])) is better


def test_a_best_rate_at_the_edge_of_a_sweep_is_pointed_out():
    swept = compare(experiment("beale", ["sgd"], steps=10, sweep=2, lr_range=(1e-6, 1e-3)))
    assert swept.results[0].lr_at_edge
    assert any("sgd" in note and "--lr-range" in note for note in notes(swept))


def test_processes_change_nothing_but_the_seconds():
    both = experiment("rosenbrock", ["sgd", "adam", "lion"], steps=30, seeds=2, sweep=2)
    one, two = (json.loads(to_json(compare(both, jobs=jobs))) for jobs in (1, 2))
    assert without_seconds(one) == without_seconds(two)


def test_progress_is_told_of_each_run():
    told = []
    compare(experiment("beale", ["sgd", "adam"], steps=3, seeds=2), progress=told.append)
    assert told == ["sgd", "sgd", "adam", "adam"]


@pytest.mark.parametrize("task", ["beale", "rosenbrock"])
def test_a_record_gives_the_comparison_back(task):
    made = compare(experiment(task, ["sgd:lr=0.1", "adam"], steps=30, seeds=2, sweep=3, lr_range=(0.01, 1)))
    text = to_json(made)
    assert to_json(from_json(text)) == text
    again = from_json(text)
    assert again.experiment == made.experiment
    assert repr(again.results) == repr(made.results)


def test_a_record_with_a_divergence_is_strict_json():
    made = compare(experiment("rosenbrock", ["sgd"], steps=30))

    def refuse(constant):
        raise AssertionError(constant)

    record = json.loads(to_json(made), parse_constant=refuse)
    assert record["results"][0]["runs"][0]["curve"]["loss"][-1] == "NaN"
    assert math.isnan(from_json(to_json(made)).results[0].runs[0].curve["loss"][-1])


def test_a_record_says_what_made_each_number():
    record = json.loads(to_json(compare(experiment("digits-softmax", ["adam:beta1=0.8"], steps=4, seeds=1))))
    assert record["experiment"] == {
        "task": "digits-softmax",
        "seeds": 1,
        "steps": 4,
        "batch_size": 32,
        "target": 0.93,
        "evaluations": 200,
        "sweep": None,
        "lr_range": None,
        "left_out": [],
    }
    (result,) = record["results"]
    assert result["config"] == create("adam", beta1=0.8).config()
    assert result["contestant"]["hyperparameters"] == {"beta1": 0.8}
    assert result["lr"] == 0.001
    assert record["versions"].keys() >= {"python", "numpy", "scikit-learn", "matplotlib", "platform", "optreg"}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "something else"}', '{"format": "optreg comparison 1"}'])
def test_what_is_no_record_is_refused(text):
    with pytest.raises(ConfigError):
        from_json(text)


def test_spreads_leave_out_what_there_is_not():
    assert spread([None, None]) is None
    some = spread([3, None, 1, 2])
    assert (some.median, some.low, some.high, some.count) == (2, 1, 3, 3)


def compared(*runs):
    made = compare(experiment("beale", ["sgd"], steps=1, target=1.0))
    result = made.results[0]
    return made, Result(result.contestant, result.config, result.lr, result.candidates, runs)


def test_the_table_shows_medians_and_ranges_and_counts_what_did_not_work():
    made, result = compared(
        run(loss=[9.0, 0.5, 2.0]), run(loss=[9.0, 3.0, 4.0]), run(DIVERGED, loss=[9.0, 0.25, math.nan])
    )
    assert cells(summary(made, result)) == ["3 (2–4), 1 of 3 diverged", "0.5", "10, 2 of 3 runs", "0.1", "10000"]


def test_the_table_says_diverged_or_failed_where_no_run_worked():
    made, result = compared(run(DIVERGED, loss=[9.0, math.nan]), run(FAILED, loss=[9.0]))
    assert cells(summary(made, result)) == ["1 of 2 diverged, 1 of 2 failed", "9", "–", "–", "10000"]
    made, result = compared(run(DIVERGED, loss=[math.nan]))
    assert cells(summary(made, result)) == ["diverged", "–", "–", "–", "–"]


def test_an_optimizer_that_diverges_under_one_seed_comes_after_those_that_never_do():
    made, risky = compared(run(loss=[9.0, 0.5]), run(DIVERGED, loss=[9.0, math.nan]))
    made = attrs.evolve(made, results=(risky, *made.results))
    assert [result for result, _ in best_first(made)] == [made.results[1], risky]


def test_the_fastest_stretch_says_how_long_a_step_takes():
    slow_at_first = {"step": [0, 10, 20, 24], "seconds": [0.0, 5.0, 5.5, 6.5]}
    assert Run(0, FINISHED, slow_at_first, 24).seconds_per_step() == pytest.approx(0.05)
    assert Run(0, FAILED, {"step": [0], "seconds": [0.0]}, 0).seconds_per_step() is None


def test_it_is_said_who_evaluates_the_loss_more_than_once_a_step():
    class Twice:
        def setup(self, target): ...

        def update(self, lossfun, *args):
            lossfun(*args)
            return lossfun(*args)[0]

    with temporary():
        register("acme/twice", Twice)
        made = compare(experiment("beale", ["acme/twice", "sgd"], steps=3))
    assert {result.contestant.name: row.gradients_per_step.median for result, row in best_first(made)} == {
        "acme/twice": 2,
        "sgd": 1,
    }
    assert [note for note in notes(made) if "evaluates" in note] == ["acme/twice evaluates the loss 2 times a step"]


def test_who_evaluates_the_loss_twice_a_step_makes_half_the_steps():
    seen = []

    class Twice:
        def setup(self, target): ...

        def update(self, lossfun, parameters, batch):
            seen.append(batch[0].sum())
            return lossfun(parameters, batch)[0] + lossfun(parameters, batch)[0]

    with temporary():
        register("acme/twice", Twice)
        result = train(Assignment("digits-softmax", "acme/twice", {}, 0, 50, 32, 10))
    assert (result.gradients, result.curve["step"]) == (50, [0, 3, 6, 9, 12, 15, 18, 21, 24, 25])
    batches = problem("digits-softmax").batches(0, 32)
    assert seen == [next(batches)[0].sum() for _ in range(25)]


def test_what_is_measured_are_the_weights_to_evaluate_with():
    measured = surface_run("schedule_free_sgd", steps=5, lr=0.01)
    point = np.array([1.0, 1.0])
    optimizer = create("schedule_free_sgd", lr=0.01).setup({"point": point})
    for _ in range(5):
        optimizer.update(lambda: problem("beale").loss_and_gradients({"point": point}, None))
    with optimizer.evaluation_weights():
        np.testing.assert_allclose([measured.curve["x"][-1], measured.curve["y"][-1]], point, rtol=1e-7)
    assert measured.curve["x"][-1] != pytest.approx(point[0], rel=1e-7)


def test_everyone_takes_part_but_those_that_cannot_who_are_told_of():
    class Demanding:
        def __init__(self, rank): ...

        def setup(self, target): ...

        def update(self, lossfun): ...

    with temporary():
        register("acme/demanding", Demanding)
        everyone = experiment("beale", [], everybody=True, packages=True, steps=1)
        only_ours = experiment("beale", [], everybody=True, steps=1)
    told = {each.name: each.reason for each in everyone.left_out}
    assert told["acme/demanding"] == "acme/demanding needs a value for rank: give rank=..."
    assert {each.name for each in everyone.contestants} >= set(names("optreg/*"))
    assert {each.name for each in only_ours.contestants} == set(names("optreg/*"))
    assert everyone.sweep == 9
    made = compare(attrs.evolve(everyone, contestants=only_ours.contestants[:1], sweep=None))
    assert from_json(to_json(made)).experiment == made.experiment
    assert f"acme/demanding was left out: {told['acme/demanding']}" in list(notes(made))


def test_the_best_optimizer_comes_first_and_those_that_diverged_last():
    made = compare(experiment("rosenbrock", ["sgd", "lion", "adam"], steps=30, target=23.0))
    rows = best_first(made)
    assert rows[-1][0].contestant.label == "sgd"
    assert rows[-1][1].diverged == 1
    assert rows[0][1].final.median <= rows[1][1].final.median
