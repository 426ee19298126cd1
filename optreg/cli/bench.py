"""``optreg bench``: backends beside other packages and beside the speed of memory; tables, a record, a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optreg.errors import ConfigError, OptregError

if TYPE_CHECKING:
    from optreg.bench.questions import Answers, Questions


@click.command()
@click.option(
    "--optimizer",
    "optimizers",
    multiple=True,
    default=["adamw"],
    metavar="NAME",
    help="Any optimizer that is installed; may be repeated. Peers take part where they have it. [default: adamw]",
)
@click.option(
    "--case",
    "cases",
    multiple=True,
    metavar="NAME",
    help="large (one tensor of 32 M parameters), gpt2 (GPT-2 small: 148 tensors, 124 M), small (1,000 tensors of "
    "1,000), tiny (1,000 of 64), few (4 tensors of 10 to 100); may be repeated. [default: all]",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME",
    help="plain, decay, clipping (by the global norm), or 'decay + clipping'; may be repeated. [default: all]",
)
@click.option("--rounds", type=int, help="Turns of each contender. [default: 7, with --quick 3]")
@click.option("--backend", "backends", multiple=True, metavar="NAME", help="A backend, or a pattern. [default: all]")
@click.option(
    "--peer",
    "peers",
    multiple=True,
    metavar="NAME",
    help="torch-single, torch-foreach, torch-fused, optax, pytorch-optimizer, a pattern such as 'torch-*', or none. "
    "[default: all that are installed]",
)
@click.option("--threads", type=int, help="Threads of each contender. [default: as many as there are processors]")
@click.option("--dtype", default="float32", show_default=True, help="float32 or float64.")
@click.option("--device", default="cpu", show_default=True, help="cpu, or cuda: arrays of CuPy, PyTorch, JAX on a GPU.")
@click.option("--json", "record", metavar="FILE", help="Write everything that was measured.")
@click.option("--plot", "picture", metavar="FILE", help="Draw the cases, or with --scaling the curves, as a PNG file.")
@click.option("--quick", is_flag=True, help="Fewer rounds, no gpt2, a smaller large; plain and with everything only.")
@click.option("--scaling", is_flag=True, help="Instead: cost against number of tensors, 10 to 10,000.")
@click.option("--memory", is_flag=True, help="Instead: memory that a step takes besides parameters and states.")
@click.option("--first-step", is_flag=True, help="Instead: the first step of a process that has no compiled kernels.")
def bench(record: str | None, picture: str | None, **asked: Any) -> None:
    """Measure optreg on this machine.

    Every backend that is installed, beside PyTorch and optax where they are installed, and beside the limit: a loop
    that does no more than read and write the same arrays. All take turns, with new gradient arrays at each step.
    """
    try:
        files = [_writable(option, name) for option, name in (("--json", record), ("--plot", picture))]
        questions = _questions(asked, picture)
        answers = _ask(questions)
        _print(answers)
        _write(answers, *files)
    except OptregError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the results could not be written: {error}") from error


def _writable(option: str, name: str | None) -> Path | None:
    """The file to write, after a look at whether that can work."""
    if name is None:
        return None
    path = Path(name)
    if path.is_dir() or name.endswith(("/", os.sep)):
        raise ConfigError(f"{option} {name!r} names no file but a directory; give a file's name")
    if not path.parent.is_dir():
        raise ConfigError(f"{option} {name!r} cannot be written: there is no directory {str(path.parent)!r}; create it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(f"{option} {name!r} cannot be written: it is read-only for you")
    return path


def _questions(asked: dict[str, Any], picture: str | None) -> Questions:
    """Everything that can be wrong is found out here, before anything is measured."""
    for module in ("rich", *(["matplotlib"] if picture else [])):
        if find_spec(module) is None:
            raise OptregError(f'`optreg bench` needs {module}: pip install "optreg[cli]"')
    from optreg.bench.questions import questions

    settled = questions(**asked)
    if picture and not settled.drawable:
        raise ConfigError("--plot draws the cases or, with --scaling, the curves; leave it out here")
    return settled


def _ask(questions: Questions) -> Answers:
    from optreg.bench.questions import answers

    with _progress(questions.turns) as progress:
        return answers(questions, progress)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    # The bar must not be drawn while the clock runs: it is when a turn ends.
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        bar = progress.add_task("starting", total=total)

        def advance(what: str) -> None:
            progress.update(bar, advance=1, description=what)
            progress.refresh()

        yield advance


def _print(answers: Answers) -> None:
    from rich.console import Console

    from optreg.bench.notes import notes
    from optreg.bench.table import tables

    console = Console()
    for table in tables(answers):
        console.print(table)
        console.print()
    for note in notes(answers):
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def _write(answers: Answers, record: Path | None, picture: Path | None) -> None:
    from optreg.bench.records import to_json

    written: Sequence[Path] = [path for path in (record, picture) if path is not None]
    if record is not None:
        record.write_text(to_json(answers), encoding="utf-8")
    if picture is not None:
        from optreg.bench.plot import draw

        draw(answers, picture)
    if written:
        click.echo(f"wrote {' and '.join(map(str, written))}")
