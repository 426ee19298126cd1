"""``optreg compare``: train one task with several optimizers; a table, a picture, a record."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from optreg.errors import ConfigError, OptregError

if TYPE_CHECKING:
    from optreg.compare.comparison import Comparison
    from optreg.compare.experiment import Experiment


@click.command()
@click.argument("optimizers", nargs=-1, metavar="OPTIMIZER...")
@click.option(
    "--task",
    default="digits",
    show_default=True,
    help="digits (a small neural network), digits-softmax, breast-cancer (logistic regression), rosenbrock, "
    "beale (surfaces of two parameters), or a task of an installed package.",
)
@click.option(
    "--all",
    "everybody",
    is_flag=True,
    help="Every built-in optimizer, in place of names; with --sweep 9 unless you say otherwise.",
)
@click.option("--packages", is_flag=True, help="With --all: those of installed packages, too.")
@click.option("--output", default="comparison", show_default=True, help="Write OUTPUT.png and OUTPUT.json.")
@click.option("--seeds", type=int, help="Runs for each optimizer, under seeds 0, 1, ... [default: the task's, often 3]")
@click.option(
    "--steps",
    type=int,
    help="Updates in a run, or evaluations of the loss where an update has several. [default: the task's]",
)
@click.option("--epochs", type=int, help="The length of a run in passes over the data, instead of --steps.")
@click.option("--batch-size", type=int, help="Examples in a batch. [default: the task's]")
@click.option("--target", type=float, help="The accuracy (or loss) that counts as reached. [default: the task's]")
@click.option("--evaluations", type=int, help="How often a run is measured. [default: the task's]")
@click.option("--lr", multiple=True, metavar="NAME=LR", help="A learning rate for one optimizer; may be repeated.")
@click.option(
    "--sweep",
    type=int,
    metavar="N",
    help="Try N learning rates for each optimizer, from 1/100 to 100 times its own, and keep the best by validation "
    "data (by the final loss where there are no data).",
)
@click.option("--lr-range", type=float, nargs=2, metavar="LOW HIGH", help="Where --sweep looks instead.")
@click.option(
    "--from",
    "drawn",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="RECORD",
    help="Run nothing: print the table and draw the picture of a record that was written before.",
)
@click.option(
    "--again",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="RECORD",
    help="Run what a record says once more, and see whether the numbers are the same.",
)
@click.option("--jobs", type=int, default=1, show_default=True, help="Processes; only the seconds depend on it.")
@click.option("--quiet", is_flag=True, help="No progress bar and no table.")
def compare(optimizers: tuple[str, ...], output: str, jobs: int, quiet: bool, **settings: Any) -> None:
    """Train the same task with each OPTIMIZER, and show which gets how far how fast.

    An OPTIMIZER is a name (adam), a name with hyperparameters (adam:lr=0.01,beta1=0.8), or a pattern in quotes
    ('ada*'). Under one seed all of them start from the same parameters and see the same batches. "defaults" takes the
    defaults of another library (adam:defaults=keras).

    Prints medians over the seeds, and writes a picture and a record of everything in it.
    """
    try:
        picture, record = _outputs(output)
        if jobs < 1:
            raise ConfigError(f"jobs must be at least 1, but it is {jobs}")
        drawn, again = settings.pop("drawn"), settings.pop("again")
        recorded = _recorded(drawn, again, optimizers, settings)
        experiment = _experiment(optimizers, settings) if recorded is None else _checked(recorded.experiment)
        comparison = _run(experiment, jobs, quiet) if recorded is None or again else recorded
        _write(comparison, picture, None if drawn else record)
        _report(comparison, quiet)
        if not quiet:
            click.echo(f"wrote {picture}" + ("" if drawn else f" and {record}"))
        if recorded is not None and again:
            _compare_with(recorded, comparison, again, quiet)
    except OptregError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the comparison could not be read or written: {error}") from error
    # Who was asked for by name should not fail; with --all, that somebody does is a result like any other.
    failures = _failures(comparison) if optimizers else []
    if failures:
        raise click.ClickException("; ".join(failures))


def _outputs(output: str) -> tuple[Path, Path]:
    """The two files to write, after a look at whether that can work."""
    stem = Path(output.removesuffix(".png").removesuffix(".json"))
    if output.endswith(("/", os.sep)) or not stem.name:
        raise ConfigError(f"--output {output!r} names no file; give a file name, such as comparison")
    if not stem.parent.is_dir():
        raise ConfigError(
            f"--output {output!r} cannot be written: there is no directory {str(stem.parent)!r}; create it"
        )
    if not os.access(stem.parent, os.W_OK | os.X_OK):
        raise ConfigError(
            f"--output {output!r} cannot be written: the directory {str(stem.parent)!r} is read-only for you"
        )
    files = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".json")
    for file in files:
        if file.is_dir():
            raise ConfigError(
                f"--output {output!r} cannot be written: {str(file)!r} is a directory; choose another name"
            )
    return files


def _recorded(
    drawn: Path | None, again: Path | None, optimizers: tuple[str, ...], settings: dict[str, Any]
) -> Comparison | None:
    """The record that --from or --again names, if one of them does."""
    from optreg.compare.records import from_json

    path = drawn or again
    if path is None:
        return None
    given = [name for name, value in settings.items() if value not in (None, False, (), "digits")]
    if optimizers or given or (drawn and again):
        raise ConfigError("a record says who took part and how; give --from or --again without anything else of that")
    return from_json(path.read_text(encoding="utf-8"))


def _experiment(optimizers: tuple[str, ...], settings: dict[str, Any]) -> Experiment:
    """Everything that can be wrong is found out here, before the first step."""
    from optreg.compare.experiment import experiment

    return _checked(experiment(optimizers=optimizers, **settings))


def _checked(experiment: Experiment) -> Experiment:
    from optreg.compare.experiment import problem
    from optreg.compare.extras import needed

    for module in ("rich.progress", "matplotlib.figure", "threadpoolctl"):
        needed(module)
    problem(experiment.task)
    return experiment


def _compare_with(recorded: Comparison, comparison: Comparison, path: Path, quiet: bool) -> None:
    """Say whether the numbers are those of the record; it is an error if they are not."""
    from optreg.compare.comparison import differing

    labels = differing(recorded, comparison)
    if labels:
        changed = [
            f"{name} {recorded.versions.get(name, 'none')}, now {version}"
            for name, version in comparison.versions.items()
            if recorded.versions.get(name) != version
        ]
        because = f"; what changed since: {', '.join(changed)}" if changed else ""
        raise ConfigError(f"the numbers of {', '.join(labels)} are not those of {path}{because}")
    if not quiet:
        click.echo(f"the numbers are those of {path}")


def _run(experiment: Experiment, jobs: int, quiet: bool) -> Comparison:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from optreg.compare.comparison import compare as run_all
    from optreg.compare.comparison import number_of_runs

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        bar = progress.add_task(f"training {experiment.task}", total=number_of_runs(experiment))
        advance: Callable[[str], None] = lambda _: progress.advance(bar)  # noqa: E731
        with _compiled_at_once(experiment):
            return run_all(experiment, jobs=jobs, progress=advance)


@contextmanager
def _compiled_at_once(experiment: Experiment) -> Iterator[None]:
    """In a sweep a rule runs so often that waiting for its kernel pays, unless the user says otherwise."""
    before = os.environ.get("OPTREG_COMPILE")
    if experiment.sweep is not None and before is None:
        os.environ["OPTREG_COMPILE"] = "now"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("OPTREG_COMPILE", None)


def _write(comparison: Comparison, picture: Path, record: Path | None) -> None:
    """Write all files, or none: they are made beside their places and moved there when all are complete."""
    from optreg.compare.plot import draw
    from optreg.compare.records import to_json

    with TemporaryDirectory(dir=picture.parent, prefix=".comparison-") as folder:
        drawn, written = Path(folder) / "picture", Path(folder) / "record"
        draw(comparison, drawn)
        written.write_text(to_json(comparison), encoding="utf-8")
        drawn.replace(picture)
        if record is not None:
            written.replace(record)


def _report(comparison: Comparison, quiet: bool) -> None:
    from rich.console import Console

    from optreg.compare.table import notes, table

    if quiet:
        return
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, 110)  # in a file or a pipe, no column need be folded
    console.print(table(comparison))
    for note in notes(comparison):
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def _failures(comparison: Comparison) -> list[str]:
    """A sentence for each optimizer that raised."""
    return [f"{result.contestant.label} failed: {reason}" for result in comparison.results for reason in result.reasons]
