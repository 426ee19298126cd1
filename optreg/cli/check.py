"""``optreg check``: the conformance checks, without pytest."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import click

from optreg.cli.output import looking_at_packages, print_columns, print_json
from optreg.errors import ConfigError

if TYPE_CHECKING:
    from optreg.testing.results import CheckResult
    from optreg.testing.running import Run


@click.command()
@click.argument("name", metavar="NAME|NAMESPACE")
@click.option("--level", default="1", show_default=True, help="Of the checks; a level never grows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def check(name: str, level: str, as_json: bool) -> None:
    """Run the conformance checks of a name (optimizer, hook, backend, target, task), or of all that a package offers.

    \b
        optreg check acme/lion            everything that has this name
        optreg check acme/lion:lr=0.01    made with these hyperparameters
        optreg check acme                 everything in the namespace acme; optreg itself has the namespace optreg

    They are the checks of optreg.testing. The exit status is 1 if a check fails, or if none of a name's was run.
    """
    from optreg.testing.results import none_was_run

    runs = _runs(name, level)
    everything: list[CheckResult] = []
    failed = False
    for run in runs:
        results = _results(run)
        failed |= none_was_run(results) or any(result.outcome == "failed" for result in results)
        everything += results
        if not as_json:
            _print(results, all_of_them=len(runs) == 1)
    if as_json:
        print_json([attrs.asdict(result, filter=attrs.filters.exclude("error")) for result in everything])
    elif len(runs) > 1:
        failures = sum(result.outcome == "failed" for result in everything)
        click.echo(f"{len(runs)} names, {len(everything)} checks, {failures or 'none'} failed")
    if failed:
        raise SystemExit(1)


def _runs(text: str, level: str) -> list[Run]:
    from optreg.compare.contestants import read_assignments
    from optreg.testing.running import runs_of_name

    name, colon, assignments = text.partition(":")
    arguments = read_assignments(text, assignments) if colon else {}
    with looking_at_packages():
        try:
            return runs_of_name(name, arguments, level)
        except ValueError as error:
            raise ConfigError(str(error)) from error


def _results(run: Run) -> list[CheckResult]:
    results = []
    with looking_at_packages():
        for each in run.checks:
            _show_progress(f"{run.subject.name} {each.name}")
            results.append(run.of(each))
    _show_progress("")
    return results


def _show_progress(text: str) -> None:
    """What is being checked, in a line that the next one replaces, where somebody looks at it."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{text}", nl=False, err=True)


def _print(results: Sequence[CheckResult], all_of_them: bool) -> None:
    """Where a name is one of many, only what has not passed."""
    from optreg.testing.results import summary

    shown = [result for result in results if all_of_them or result.outcome != "passed"]
    if shown:
        print_columns(["CHECK", "RESULT", "TEXT"], [[each.check, each.outcome, each.text] for each in shown])
    click.secho(f"{results[0].kind} {results[0].name}: {summary(results)}", bold=True)
