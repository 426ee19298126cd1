"""``optreg bench`` as a user calls it."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from click.testing import CliRunner

import optreg
from optreg.bench.conditions import processors
from optreg.bench.lineup import PEERS
from optreg.cli.bench import bench


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call the command in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(bench, [str(argument) for argument in arguments])


def strict(text):
    """Read JSON that has no NaN and no Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_case_prints_a_table_and_writes_a_record_and_a_picture(call, tmp_path):
    called = call("--case", "few", "--rounds", 2, "--json", "out.json", "--plot", "out.png")
    assert called.exit_code == 0, called.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.png"]
    for words in ("adamw, few: 4 tensors, 220 parameters", "÷ limit", "÷ numpy", "GB/s", "quartiles", "wrote out.json"):
        assert words in called.stdout
    record = strict((tmp_path / "out.json").read_text())
    assert record["machine"]["cpu"]
    assert record["machine"]["versions"]["numpy"] == np.__version__
    assert record["settings"] == {
        "optimizers": ["adamw"],
        "dtype": "float32",
        "threads": processors(),
        "rounds": 2,
        "device": "cpu",
    }
    variants = [section["variant"] for section in record["sections"]]
    assert variants == ["plain", "decay", "clipping", "decay + clipping"]
    for section in record["sections"]:
        assert (section["case"], section["tensors"], section["parameters"]) == ("few", 4, 220)
        assert section["bytes"] == 220 * 28
        assert section["failed"] == {}
        assert set(section["contenders"]) | set(section["left out"]) >= {"limit", "numpy", *PEERS}
        for name, each in section["contenders"].items():
            assert name in called.stdout
            assert len(each["turns"]) == 2
            assert each["seconds"]["median"] == pytest.approx(np.median(each["turns"]))
            assert each["bytes per second"] == pytest.approx(section["bytes"] / each["seconds"]["median"])
            ratios = np.divide(each["turns"], section["contenders"]["limit"]["turns"])
            assert each["times as long as"]["limit"]["median"] == pytest.approx(np.median(ratios))
            assert each["times as long as"][name]["median"] == 1
    picture = matplotlib.image.imread(tmp_path / "out.png")
    assert picture.std() > 0.01


def test_other_optimizers_dtypes_and_choices(call, tmp_path):
    pytest.importorskip("optax")
    names = ("--optimizer", "lion", "--optimizer", "adafactor", "--peer", "optax", "--backend", "numpy")
    arguments = ("--dtype", "float64", "--variant", "decay", "--rounds", 1, "--json", "out.json")
    called = call("--case", "few", *names, *arguments)
    assert called.exit_code == 0, called.output
    assert "optax: its adafactor adds an eps to the squares" in called.stdout
    sections = strict((tmp_path / "out.json").read_text())["sections"]
    assert [each["optimizer"] for each in sections] == ["lion", "adafactor"]
    for section in sections:
        assert section["variant"] == "decay"
        assert section["bytes"] == 220 * 5 * 8
        assert list(section["contenders"]) == ["limit", "numpy", "optax"]


def test_an_optimizer_of_another_package_is_measured_without_peers(call, tmp_path):
    pytest.importorskip("optax")
    with optreg.temporary():
        optreg.register("acme/foo", optreg.get("sgd"))
        called = call("--case", "few", "--optimizer", "acme/foo", "--rounds", 1, "--variant", "plain")
    assert called.exit_code == 0, called.output
    assert "acme/foo, few" in called.stdout
    assert "left out: optax: optax has no acme/foo" in called.stdout


def test_scaling_draws_curves_and_their_slopes(call, tmp_path):
    arguments = ("--quick", "--backend", "numpy", "--peer", "none", "--rounds", 1)
    called = call("--scaling", *arguments, "--json", "out.json", "--plot", "out.png")
    assert called.exit_code == 0, called.output
    assert "µs a tensor" in called.stdout
    curve = strict((tmp_path / "out.json").read_text())["scaling"]["numpy"]
    assert curve["tensors"] == [10, 100, 1000]
    slope, _ = np.polyfit(curve["tensors"], curve["seconds"], 1)
    assert curve["seconds a tensor"] == pytest.approx(slope)
    assert matplotlib.image.imread(tmp_path / "out.png").std() > 0.01


def test_memory_and_first_steps_are_tables_and_records(call, tmp_path):
    for option, key in (("--memory", "bytes"), ("--first-step", "first steps")):
        called = call(
            option, "--case", "few", "--backend", "numpy", "--peer", "none", "--rounds", 1, "--json", "out.json"
        )
        assert called.exit_code == 0, called.output
        assert "numpy" in called.stdout
        found = strict((tmp_path / "out.json").read_text())[key]
        assert {(each["case"], each["contender"]) for each in found} == {("few", "numpy")}


def test_the_environment_is_as_it_was_afterwards(call, monkeypatch):
    monkeypatch.delenv("OPTREG_COMPILE", raising=False)
    monkeypatch.setenv("OPTREG_NUM_THREADS", "7")
    before = dict(os.environ), os.sched_getaffinity(0)
    assert call("--case", "few", "--peer", "none", "--threads", 1, "--rounds", 1, "--variant", "plain").exit_code == 0
    assert (dict(os.environ), os.sched_getaffinity(0)) == before


def test_without_a_gpu_a_measurement_there_is_an_error(call):
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("there is one")
    called = call("--device", "cuda", "--case", "few")
    assert (called.exit_code, called.stdout) == (1, "")
    assert called.stderr.startswith("Error: --device cuda needs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--optimizer", "adamv"], "there is no built-in optimizer 'adamv'"),
        (["--case", "larg"], "there is no case 'larg'; there are: large, gpt2, small, tiny, few. Did you mean"),
        (["--variant", "clip"], "there is no variant 'clip'"),
        (["--backend", "numpi"], "there is no backend 'numpi' to measure"),
        (["--peer", "torch"], "there is no peer 'torch' to measure; there are: torch-single"),
        (["--rounds", "0"], "rounds must be at least 1, but it is 0"),
        (["--threads", "0"], "threads must be from 1 to"),
        (["--threads", "100000"], "threads must be from 1 to"),
        (["--dtype", "int8"], "dtype must be float32 or float64, but it is 'int8'"),
        (["--device", "gpu"], "device must be cpu or cuda, but it is 'gpu'"),
        (["--optimizer", "msvag", "--peer", "optax"], "optax cannot be measured: optax "),
        (["--memory", "--optimizer", "lion", "--optimizer", "adan"], "--memory measures one optimizer at a time"),
        (["--scaling", "--memory"], "--scaling and --memory are different measurements"),
        (["--scaling", "--case", "few"], "--scaling has cases of its own"),
        (["--memory", "--plot", "out.png"], "--plot draws the cases"),
        (["--json", "missing/out.json"], "there is no directory 'missing'"),
        (["--json", "."], "names no file but a directory"),
        (["--plot", "folder/"], "names no file but a directory"),
    ],
)
def test_wrong_input_is_one_sentence_and_measures_nothing(arguments, message, call, tmp_path):
    called = call(*arguments)
    assert called.exit_code == 1
    assert message in called.stderr
    assert called.stdout == ""
    assert called.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


BARE = ("numpy", "numpy.libs", "attr", "attrs", "pluggy", "click", "rich", "markdown_it", "mdurl", "pygments")


@pytest.fixture
def bare(tmp_path):
    """Call the command in a Python that has nothing but what it needs: no peers, no Numba."""
    for name in BARE:
        folder = Path(np.__file__).parent.parent / name
        if folder.is_dir():
            (tmp_path / name).symlink_to(folder)
    (tmp_path / "optreg").symlink_to(Path(optreg.__file__).parent)
    return lambda *arguments: subprocess.run(
        [sys.executable, "-S", "-m", "optreg", "bench", *arguments],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_who_is_not_installed_is_left_out_and_named(bare):
    ended = bare("--case", "few", "--rounds", "1", "--variant", "plain")
    assert ended.returncode == 0, ended.stderr
    for package in ("PyTorch", "optax", "pytorch_optimizer"):
        assert f"{package} is not installed" in ended.stdout
    assert "limit: streamed by NumPy, as Numba is not there to compile the loop" in ended.stdout
    rows = [line.split() for line in ended.stdout.splitlines() if line.strip().startswith(("limit ", "numpy "))]
    assert [row[0] for row in rows] == ["limit", "numpy"]
    assert all(math.isfinite(float(row[1])) for row in rows)


def test_a_peer_that_is_named_and_not_installed_is_an_error(bare):
    ended = bare("--case", "few", "--peer", "optax")
    assert ended.returncode == 1
    assert ended.stderr == "Error: optax cannot be measured: optax is not installed\n"


def test_a_picture_needs_matplotlib_and_the_command_says_so_before_it_measures(bare):
    ended = bare("--case", "few", "--plot", "out.png")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == 'Error: `optreg bench` needs matplotlib: pip install "optreg[cli]"\n'
