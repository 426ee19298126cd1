"""What is measured in processes of its own: extra memory, and first steps."""

import os

import pytest

from optreg.bench.cases import VARIANTS, Case, Numbers
from optreg.bench.child import _status, memory
from optreg.bench.contender import Job
from optreg.bench.lineup import contender, lineup
from optreg.bench.processes import ChildError, _answer
from optreg.bench.questions import answers, questions

LARGE = Case("large", ((2_000_000,),))


class Greedy:
    """A contender that takes a known amount of memory in each step."""

    name = "greedy"

    def __init__(self, job):
        self.inner = contender("numpy", job)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def step(self):
        bytearray(b"1") * 50_000_000
        self.inner.step()


def test_memory_that_a_step_takes_is_seen():
    numbers = Numbers.of(LARGE, "float32")
    greedy = Greedy(Job("adamw", VARIANTS["plain"], "float32", 1))
    greedy.start(numbers.values)
    found = memory(greedy, numbers)
    assert 50_000_000 <= found["traced"] < 60_000_000
    if found["resident"] is not None:
        assert 49_000_000 <= found["resident"] < 70_000_000
        assert _status("VmRSS") > 0


def test_a_step_of_optreg_takes_less_than_16_megabytes_whatever_its_size():
    asked = questions(memory=True, quick=True, cases=["large"], peers=["none"], threads=1)
    found = answers(asked).extras
    assert {each.name for each in found} == set(lineup(Job("adamw", VARIANTS["plain"], "float32", 1)).backends)
    assert {each.variant.name for each in found} == {"plain", "decay + clipping"}
    for each in found:
        assert each.case.elements == 4_000_000
        assert each.traced < 16_000_000
        assert each.resident is None or each.resident < 16_000_000


def test_first_steps_begin_without_compiled_kernels_and_leave_none(tmp_path, monkeypatch):
    monkeypatch.setenv("OPTREG_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("OPTREG_COMPILE", "now")
    found = answers(questions(first_step=True, cases=["few"], rounds=2, backends=["numpy"])).firsts
    (numpy_,) = found
    assert (numpy_.case.name, numpy_.name, len(numpy_.seconds)) == ("few", "numpy", 2)
    assert 0 < numpy_.middle.low <= numpy_.middle.median
    assert list(tmp_path.iterdir()) == []
    assert os.environ["OPTREG_COMPILE"] == "now"


def test_a_child_that_fails_says_why():
    with pytest.raises(ChildError, match=r"ended with status 1: json\.decoder.JSONDecodeError"):
        _answer("nonsense", {})
