"""``optreg info``: what there is to know of one name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import click

from optreg import registry
from optreg.cli.output import looking_at_packages, print_columns, print_json
from optreg.hyperparameters import Hyperparameter
from optreg.named_defaults import NamedDefaults
from optreg.provenance import Info
from optreg.schedules import Schedule


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def info(name: str, as_json: bool) -> None:
    """Describe NAME: what it is, its hyperparameters with defaults and bounds, and which package offers it.

    NAME is that of an optimizer, such as adamw or acme/sophia, or of a hook, hook set, backend, target, task or
    command.
    """
    with looking_at_packages():
        described = registry.info(name)
    facts = {field.name: getattr(described, field.name) for field in attrs.fields(Info)}
    hyperparameters, defaults = facts.pop("hyperparameters"), facts.pop("defaults")
    if as_json:
        print_json(
            facts
            | {
                "hyperparameters": [_as_dict(each) for each in hyperparameters],
                "defaults": {name: attrs.asdict(each) for name, each in defaults.items()},
            }
        )
        return
    click.echo(f"{click.style(described.name, bold=True)}: {described.summary}\n")
    for key, value in facts.items():
        if value and key not in ("name", "summary"):
            click.echo(f"  {key.replace('_', ' '):<12}  {_shown(value)}")
    if hyperparameters:
        click.echo()
        documented = any(each.doc for each in hyperparameters)
        rows = [
            [each.name, _default(each), each.bound, *([each.doc] if documented else [])] for each in hyperparameters
        ]
        print_columns(["HYPERPARAMETER", "DEFAULT", "MUST BE", *(["WHAT IT IS"] if documented else [])], rows)
    if defaults:
        click.echo()
        rows = [_named(name, each, hyperparameters) for name, each in defaults.items()]
        print_columns(["DEFAULTS", "VALUES (...: TO BE GIVEN)", "FROM"], rows)
    if described.kind in _CALLS:
        click.echo(f"\n{_example(described)}")


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(each if isinstance(each, str) else _with_arguments(*each) for each in value)
    return str(value)


def _with_arguments(name: str, arguments: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})" if arguments else name


def _default(hyperparameter: Hyperparameter) -> str:
    return "(required)" if hyperparameter.required else repr(hyperparameter.default)


def _named(name: str, named: NamedDefaults, hyperparameters: Iterable[Hyperparameter]) -> list[str]:
    own = [each.name for each in hyperparameters if not each.is_common]
    values = [f"{each}={named.values[each]!r}" if each in named.values else f"{each}=..." for each in own]
    return [name, ", ".join(values), "; but ".join(filter(None, (named.source, named.differs)))]


def _as_dict(hyperparameter: Hyperparameter) -> dict[str, Any]:
    default = None if hyperparameter.required else hyperparameter.default
    return {
        "name": hyperparameter.name,
        "required": hyperparameter.required,
        "default": default.config() if isinstance(default, Schedule) else default,
        "bound": hyperparameter.bound,
        "doc": hyperparameter.doc,
    }


_CALLS = {
    "optimizer": 'optreg.create("{}"{})',
    "hook": 'optreg.create_hook("{}"{})',
    "hook set": 'optimizer.add_hook("{}"{})',
    "backend": 'with optreg.use_backend("{}"{}): ...',
    "task": "optreg compare --task {} adam sgd",
    "command": "optreg {} --help",
}


def _example(described: Info) -> str:
    """How to use it, with the required hyperparameters, or else the first one."""
    shown = [each for each in described.hyperparameters if each.required] or described.hyperparameters[:1]
    values = "".join(f", {each.name}={'...' if each.required else _default(each)}" for each in shown)
    return _CALLS[described.kind].format(described.name, values)
