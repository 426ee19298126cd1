"""Contenders take turns; what they need is made, warmed up and dropped; whoever fails does not stop the others."""

import gc
import json
import statistics
import warnings
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from rich.console import Console

from optreg.bench.benchmark import Match, Settings, TooLargeError, benchmark, check_memory
from optreg.bench.cases import VARIANTS, Case, Numbers
from optreg.bench.lineup import Lineup
from optreg.bench.notes import notes
from optreg.bench.numbers import digits
from optreg.bench.questions import Questions, answers
from optreg.bench.rounds import FEWEST, MOST, Middle, Timings, measure
from optreg.bench.table import tables

NUMBERS = Numbers.of(Case("two", ((2,), (3,))), "float32")


class Diary:
    """A contender that writes down what is asked of it, and may fail."""

    def __init__(self, name, pages, fails_at=None):
        self.name, self.pages, self.fails_at = name, pages, fails_at
        self.has_gradients = self.is_at_work = False

    def start(self, values):
        self.pages.append(f"{self.name} starts")

    def renew_gradients(self, gradients):
        self.has_gradients = True

    def step(self):
        assert self.has_gradients
        assert self.is_at_work
        self.has_gradients = False
        self.pages.append(f"{self.name} steps")
        if self.pages.count(f"{self.name} steps") == self.fails_at:
            raise FloatingPointError("today not")

    def drop_gradients(self):
        self.pages.append(f"{self.name} drops")

    @contextmanager
    def at_work(self):
        self.is_at_work = True
        yield
        self.is_at_work = False


def turns_in(pages):
    """Who had a turn, in order: steps up to the next drop count as one."""
    return "".join(page[0] for page in pages if page.endswith("drops"))


def test_contenders_take_turns_after_all_have_warmed_up():
    pages = []
    contenders = {name: partial(Diary, name, pages) for name in "ABC"}
    timings = measure(contenders, NUMBERS, rounds=3)
    assert turns_in(pages) == "ABC" + "ABCABCABC"
    assert [page for page in pages if page.endswith("starts")] == ["A starts", "B starts", "C starts"]
    assert {name: len(each) for name, each in timings.seconds.items()} == {"A": 3, "B": 3, "C": 3}
    first_turn = pages[: pages.index("A drops")]
    assert first_turn.count("A steps") > 1
    steps_of_turns = pages.count("A steps") - first_turn.count("A steps")
    assert 3 * (1 + FEWEST) <= steps_of_turns <= 3 * (1 + MOST)


def test_contenders_that_do_not_fit_together_begin_anew_in_every_round():
    pages = []
    measure({name: partial(Diary, name, pages) for name in "AB"}, NUMBERS, rounds=2, keep=False)
    assert [page[0] for page in pages if page.endswith("starts")] == ["A", "B", "A", "B"]


def test_whoever_fails_is_left_out_from_then_on_with_the_reason():
    pages = []
    contenders = {"A": partial(Diary, "A", pages), "B": partial(Diary, "B", pages, fails_at=15)}
    timings = measure(contenders, NUMBERS, rounds=2)
    assert timings.failed == {"B": "FloatingPointError: today not"}
    assert list(timings.seconds) == ["A"]
    assert len(timings.seconds["A"]) == 2
    assert pages.count("B steps") == 15
    assert timings.ratio("B", "A") is None


def test_what_a_contender_warns_of_while_it_warms_up_is_kept_once():
    class Warning_(Diary):
        def step(self):
            super().step()
            if self.pages.count("A steps") < 3:
                warnings.warn("the kernel is not there", RuntimeWarning, stacklevel=1)

    timings = measure({"A": partial(Warning_, "A", [])}, NUMBERS, rounds=1)
    assert timings.notes == ["A: the kernel is not there"]


def test_the_collector_rests_during_a_turn_only():
    seen = []

    class Watching(Diary):
        def step(self):
            super().step()
            seen.append(gc.isenabled())

    measure({"A": partial(Watching, "A", [])}, NUMBERS, rounds=1)
    assert seen[0]
    assert not seen[-1]
    assert gc.isenabled()


def test_medians_and_quartiles_are_those_of_numpy():
    numbers = [5.0, 1.0, 4.0, 9.0, 2.0, 7.0]
    middle = Middle.of(numbers)
    np.testing.assert_allclose([middle.low, middle.median, middle.high], np.quantile(numbers, [0.25, 0.5, 0.75]))
    assert Middle.of([3.0]) == Middle(3.0, 3.0, 3.0)


def test_a_ratio_is_the_middle_of_the_ratios_within_each_round():
    # The machine was three times as slow in the second round; the ratio does not see it.
    timings = Timings({"A": [2.0, 6.0, 2.0], "B": [1.0, 3.0, 1.0]}, {}, [])
    assert timings.ratio("A", "B") == Middle(2.0, 2.0, 2.0)
    assert timings.time("A").median == statistics.median([2.0, 6.0, 2.0])


def test_a_case_beyond_the_memory_of_the_machine_is_an_error_that_names_it():
    with pytest.raises(TooLargeError, match=r"the case vast needs .* GB of memory, and .* GB are free"):
        check_memory(Case("vast", ((10**13,),)), "adamw", Settings(("adamw",), "float32", 1, 1))


def test_sections_have_the_bytes_that_the_formula_moves():
    case = Case("two", ((2, 5), (3,)))
    plan = [Match(case, "adamw", VARIANTS["plain"], Lineup(("numpy",), (), {"x": "why"}))]
    (section,) = benchmark(Settings(("adamw",), "float64", 1, 1), plan)
    assert section.bytes == 7 * 8 * 13
    assert list(section.timings.seconds) == ["limit", "numpy"]
    assert section.match.lineup.left_out == {"x": "why"}
    assert section.bandwidth("numpy") == section.bytes / section.timings.time("numpy").median
    assert json.dumps(section.timings.failed) == "{}"


def test_a_contender_that_fails_stands_in_the_table_and_its_reason_below_it():
    plan = (Match(Case("two", ((2,),)), "adamw", VARIANTS["plain"], Lineup(("numpy", "nobody"), (), {})),)
    asked = Questions("cases", Settings(("adamw",), "float32", 1, 1), plan)
    given = answers(asked)
    console = Console(width=100)
    with console.capture() as captured:
        for table in tables(given):
            console.print(table)
    rows = {line.split()[0]: line.split()[1:] for line in captured.get().splitlines() if line.strip()}
    assert rows["nobody"] == ["failed"]
    assert rows["limit"][3] == "1.00"
    (reason,) = [note for note in notes(given) if note.startswith("nobody failed in adamw two plain: UnknownNameError")]
    assert "there is no built-in backend 'nobody'" in reason


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00"), (0.00123, "0.0012"), (0.123, "0.12"), (-1.5, "-1.50"), (12.34, "12.3"), (1234.5, "1,234")],
)
def test_numbers_have_two_or_three_digits(value, text):
    assert digits(value) == text
