"""The page that compares every optimizer, made of the record that ``optreg compare --all`` wrote.

The record is kept in the repository; the page and its picture are made of it when the documentation is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optimizer_pages import builtin_names, table, title, write_text

from optreg.compare.comparison import Comparison
from optreg.compare.plot import draw
from optreg.compare.records import from_json
from optreg.compare.summary import Spread, Summary, best_first
from optreg.compare.table import notes

RECORD = Path(__file__).parent / "data" / "digits.json"


def write(folder: Path) -> None:
    """Write the page and its picture, unless they would be the same."""
    comparison = read()
    picture = folder / "every-comparison.png"
    if not picture.exists() or picture.stat().st_mtime < RECORD.stat().st_mtime:
        draw(comparison, picture)
    write_text(folder / "every-comparison.rst", page(comparison))


def read() -> Comparison:
    """The comparison as it was recorded."""
    return from_json(RECORD.read_text(encoding="utf-8"))


def page(comparison: Comparison) -> str:
    """The page, as reStructuredText."""
    run, versions = comparison.experiment, comparison.versions
    number = len(comparison.results)
    parts = [
        title("Every optimizer compared", "="),
        f"{number} optimizers train the same small neural network (one hidden layer of 64 units) to read 8 × 8 "
        f"handwritten digits: {run.steps:,} steps, each on {run.batch_size} examples. All of them start from the same "
        f"weights and see the same batches; who evaluates the loss several times a step makes fewer steps. "
        f"Each tries {run.sweep} learning rates, from 1/100 to 100 times its own, "
        f"with its other hyperparameters as they are by default, and keeps the rate that does best on validation "
        f"data. What is shown is measured on test data that nothing was chosen by: the median of {run.seeds} seeds.",
        ".. figure:: every-comparison.png\n   :alt: The optimizers in order of their test accuracy, with the steps "
        "they took to the target, the learning rates and the time of a step\n\n   The table below, drawn.",
        title("How to read it"),
        "The task is easy, so that everyone can run it in minutes, and most methods end within a few images of each "
        f"other: one test image of {TEST_IMAGES} is {1 / TEST_IMAGES:.4f} of the accuracy. Neighbours in the list are "
        "as good as equal. What one can see is who does not get there in so many steps with rates near the default, "
        "who gets there early, and what a step costs. Where the best rate is the lowest or the highest that was tried "
        "(orange), a wider sweep may find a better one. Methods made for very large networks or batches cannot show "
        "here what they are for. "
        ":doc:`choosing` says how to compare on your own problem.",
        title("The table"),
        table(HEADS, [_row(place, *each) for place, each in enumerate(best_first(comparison), start=1)], WIDTHS),
        title("What the numbers alone do not say"),
        "Hooks take no part: they go with any of these.\n\n"
        + "\n".join(
            f"- {note.replace('*', chr(92) + '*')}"
            for note in [*notes(comparison), *NOT_IN_FULL, *_not_there(comparison)]
        ),
        title("To make it again"),
        "The record of all runs is ``docs/data/digits.json``. The first command draws it; the second runs it once "
        "more, with the packages that it has optimizers of, and says whether the numbers are the same; the third makes "
        "a new one, with whatever there is now:",
        ".. code-block:: text\n\n"
        "   optreg compare --from docs/data/digits.json\n"
        "   optreg compare --again docs/data/digits.json --jobs 2\n"
        f"   optreg compare --all --packages --steps {run.steps} --evaluations {run.evaluations} --jobs 2",
        f"It was made with {', '.join(f'{name} {version}' for name, version in versions.items())}. The time of a step "
        "is that of this machine, loss and gradients included, at its fastest, since the machine was busy. All else "
        "depends on the seeds, and in the last digits on the processor's matrix product.",
    ]
    return "\n\n".join(parts) + "\n"


TEST_IMAGES = 360
NOT_IN_FULL = (
    "sophia runs without update_hessian(), for which no task has the second backward pass: what is ranked here is "
    "a step of lr along the sign of the average, with its decay",
)
"""What runs here, but not as it is meant."""

PAGES = {"matrix": "matrices"}
"""The page about each namespace that has one."""

HEADS = ("", "Optimizer", "Test accuracy", "Lowest to highest", "Best", "Learning rate", "Steps to target", "µs a step")
WIDTHS = (5, 25, 12, 18, 10, 12, 10, 10)


def _row(place: int, result: Any, row: Summary) -> tuple[str, ...]:
    name = result.contestant.name
    page = f"optimizers/{name}" if name in builtin_names() else PAGES.get(name.partition("/")[0])
    shown = f"``{name}``" if page is None else f":doc:`{name} <{page}>`"
    missing = "diverged" if row.diverged else "failed"
    unfinished = row.diverged + row.failed
    final = f"{row.final.median:.3f}" if row.final else missing
    if row.final and unfinished:
        final += f", {unfinished} of {row.runs} {missing}"
    return (
        str(place),
        shown,
        final,
        f"{row.final.low:.3f} to {row.final.high:.3f}" if row.final else "–",
        f"{row.best.median:.3f}" if row.best else "–",
        "–" if result.lr is None else f"{result.lr:.4g}",
        _shown(row.steps_to_target),
        "–" if row.seconds_per_step is None else f"{1e6 * row.seconds_per_step:.0f}",
    )


def _shown(spread: Spread | None) -> str:
    return f"{spread.median:.0f}" if spread else "–"


def _not_there(comparison: Comparison) -> list[str]:
    """What has come since the record was made: nobody is left out without a word."""
    known = {each.contestant.name for each in comparison.results} | {e.name for e in comparison.experiment.left_out}
    return [f"{name} has come since, and takes no part yet" for name in builtin_names() if name not in known]
