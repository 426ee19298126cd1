"""``optreg compare`` as a user calls it."""

import json
import os
import sys

import matplotlib.image
import pytest
from click.testing import CliRunner

from optreg.cli.compare import compare
from optreg.registry import names, register, temporary

TASKS = ["digits", "digits-softmax", "breast-cancer", "rosenbrock", "beale"]


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call the command in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTREG_COMPILE", "never")  # or each sweep would wait for the compiler
    return lambda *arguments: CliRunner().invoke(compare, [str(argument) for argument in arguments])


@pytest.mark.parametrize("task", TASKS)
def test_a_comparison_prints_a_table_and_writes_a_picture_and_a_record(task, call, tmp_path):
    called = call("sgd:lr=0.0001", "adam", "lion", "--task", task, "--steps", 12, "--seeds", 2, "--output", "out")
    assert called.exit_code == 0, called.output
    for word in ("sgd:lr=0.0001", "adam", "lion", "final", "best", "steps", "seconds", "wrote out.png and out.json"):
        assert word in called.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.png"]
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["experiment"]["task"] == task
    assert [each["contestant"]["label"] for each in record["results"]] == ["sgd:lr=0.0001", "adam", "lion"]
    for result in record["results"]:
        assert [run["seed"] for run in result["runs"]] == [0, 1]
        for run in result["runs"]:
            assert run["status"] == "finished"
            assert run["curve"]["step"][-1] == 12
            assert {len(column) for column in run["curve"].values()} == {len(run["curve"]["step"])}
            assert record["metric"]["name"] in run["curve"]
        assert result["summary"]["final"]["count"] == 2
    picture = matplotlib.image.imread(tmp_path / "out.png")
    assert picture.std() > 0.01


def test_a_divergence_is_shown_as_one(call, tmp_path):
    called = call("sgd", "adam", "--task", "rosenbrock", "--steps", 20)
    assert called.exit_code == 0, called.output
    (row,) = [line for line in called.stdout.splitlines() if line.startswith("sgd ")]
    assert "diverged" in row
    assert (tmp_path / "comparison.png").stat().st_size > 0


def test_an_optimizer_that_raises_does_not_spoil_the_others_and_ends_in_an_error(call, tmp_path):
    class Broken:
        def setup(self, target): ...

        def update(self, lossfun, *args):
            raise ZeroDivisionError("no step today")

    with temporary():
        register("acme/broken", Broken)
        called = call("adam", "acme/broken", "--task", "beale", "--steps", 5, "--quiet")
    assert called.exit_code == 1
    assert "acme/broken failed: ZeroDivisionError: no step today" in called.stderr
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert [each["runs"][0]["status"] for each in record["results"]] == ["finished", "failed"]


def test_quiet_prints_nothing(call):
    called = call("sgd", "--task", "beale", "--steps", 5, "--quiet")
    assert (called.exit_code, called.output) == (0, "")


def test_a_sweep_says_how_it_chose(call, tmp_path):
    called = call("sgd", "--task", "digits-softmax", "--steps", 5, "--seeds", 1, "--sweep", 3, "--lr-range", 0.001, 0.1)
    assert called.exit_code == 0, called.output
    assert "chosen by validation accuracy, then validation loss" in called.stdout
    (result,) = json.loads((tmp_path / "comparison.json").read_text())["results"]
    assert [each["lr"] for each in result["candidates"]] == [0.001, 0.01, 0.1]


def test_a_suffix_of_the_output_is_not_doubled(call, tmp_path):
    assert call("sgd", "--task", "beale", "--steps", 5, "--output", "v1.2.png").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1.2.json", "v1.2.png"]


def test_another_comparison_replaces_the_files_of_the_last(call, tmp_path):
    for steps in (5, 6):
        assert call("sgd", "--task", "beale", "--steps", steps).exit_code == 0
    assert json.loads((tmp_path / "comparison.json").read_text())["experiment"]["steps"] == 6


def test_everyone_is_compared(call, tmp_path):
    called = call("--all", "--task", "breast-cancer", "--steps", 2, "--sweep", 1, "--seeds", 1)
    assert called.exit_code == 0, called.output
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert [each["contestant"]["name"] for each in record["results"]] == names("optreg/*")
    for name in names("optreg/*"):
        assert f"\n{name} " in called.stdout
    assert "lbfgs evaluates the loss" in called.stdout


def test_a_sweep_waits_for_the_compiler_unless_the_user_says_otherwise(call, monkeypatch):
    seen = []

    class Looking:
        def __init__(self, lr=1.0):
            self.lr = lr

        def setup(self, target): ...

        def update(self, lossfun, *args):
            seen.append(os.environ.get("OPTREG_COMPILE"))
            return 0.0

    with temporary():
        register("acme/looking", Looking)
        arguments = ("acme/looking", "--task", "beale", "--steps", 1, "--seeds", 1)
        assert call(*arguments, "--sweep", 1).exit_code == 0
        monkeypatch.delenv("OPTREG_COMPILE")
        assert call(*arguments, "--sweep", 1).exit_code == 0
    assert seen == ["never", "now"]
    assert "OPTREG_COMPILE" not in os.environ


def test_a_record_is_drawn_again_without_a_run(call, tmp_path, monkeypatch):
    assert call("sgd", "adam", "--task", "beale", "--steps", 5).exit_code == 0
    monkeypatch.setattr("optreg.compare.comparison.train", None)
    called = call("--from", "comparison.json", "--output", "again")
    assert called.exit_code == 0, called.output
    assert "adam" in called.stdout
    assert "wrote again.png\n" in called.stdout
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "comparison.png").read_bytes()
    assert not (tmp_path / "again.json").exists()


def test_what_a_record_says_is_run_again_and_compared_with_it(call, tmp_path):
    assert call("sgd:lr=0.5", "adam", "--task", "rosenbrock", "--steps", 5, "--sweep", 3).exit_code == 0
    called = call("--again", "comparison.json", "--output", "again")
    assert called.exit_code == 0, called.output
    assert "the numbers are those of comparison.json" in called.stdout
    changed = (tmp_path / "comparison.json").read_text().replace('"lr": 0.001,', '"lr": 0.002,')
    (tmp_path / "changed.json").write_text(changed)
    called = call("--again", "changed.json", "--output", "again")
    assert called.exit_code == 1
    assert "the numbers of adam are not those of changed.json" in called.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "no-record.json"], "not a record that `optreg compare` wrote"),
        (["--again", "no-record.json", "adam"], "give --from or --again without anything else"),
        (["--from", "no-record.json", "--steps", "5"], "give --from or --again without anything else"),
        (["--all", "adam"], "not both"),
        (["adm"], "'adm'"),
        (["adam", "--task", "digit"], "'digit'"),
        (["adam", "--steps", "-5"], "steps must be at least 1, but it is -5"),
        (["adam", "--jobs", "0"], "jobs must be at least 1, but it is 0"),
        (["adam", "--output", "missing/out"], "there is no directory 'missing'"),
        (["adam", "--output", "folder/"], "names no file"),
        (["adam", "--output", "."], "names no file"),
        (["adam", "--output", "taken"], "'taken.json' is a directory"),
        (["adam:lr=-1"], "lr must be a number > 0"),
        (["adam:rate=1"], "no hyperparameter 'rate'"),
        (["adam", "--lr-range", "1", "2"], "give sweep, too"),
        ([], "at least one optimizer"),
    ],
)
def test_wrong_input_is_one_sentence_and_writes_nothing(arguments, message, call, tmp_path):
    (tmp_path / "taken.json").mkdir()
    (tmp_path / "no-record.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    called = call(*arguments)
    assert called.exit_code != 0
    assert message in called.stderr
    assert called.stdout == ""
    assert called.stderr.count("\n") == 1
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "folder",
        "no-record.json",
        "taken.json",
    ]


@pytest.mark.parametrize("library", ["matplotlib", "sklearn", "rich"])
def test_a_missing_library_is_one_sentence_that_says_what_to_install(library, call, tmp_path, monkeypatch):
    from optreg.compare import experiment

    monkeypatch.setattr(experiment, "_problems", {})
    for module in [name for name in sys.modules if name == library or name.startswith(library + ".")]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, library, None)
    called = call("sgd", "--steps", 5)
    assert called.exit_code == 1
    assert f"needs {library}" in called.stderr
    assert 'pip install "optreg[cli]"' in called.stderr
    assert called.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_says_what_the_settings_mean(call):
    called = call("--help")
    assert called.exit_code == 0
    for option in (
        "--task",
        "--output",
        "--seeds",
        "--steps",
        "--sweep",
        "--lr-range",
        "--jobs",
        "--target",
        "--quiet",
    ):
        assert option in called.stdout
