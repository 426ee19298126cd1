"""``optreg info``: what there is to know of one name."""

from __future__ import annotations

from typing import Any

import click

from optreg import lookup, registry
from optreg.cli.output import looking_at_packages, print_columns, print_json
from optreg.hyperparameters import Hyperparameter, signature
from optreg.offers import Offer
from optreg.provenance import describe_optimizer, distribution_of, find_any
from optreg.schedules import Schedule


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def info(name: str, as_json: bool) -> None:
    """Describe NAME: what it is, its hyperparameters with defaults and bounds, and which package offers it.

    NAME is that of an optimizer, such as adamw or acme/sophia, or of a hook, hook set, backend, target or task.
    """
    with looking_at_packages():
        offer = find_any(name)
        facts, hyperparameters = _facts(offer)
    if as_json:
        print_json(facts | {"hyperparameters": [_as_dict(each) for each in hyperparameters]})
        return
    click.echo(f"{click.style(facts['name'], bold=True)}: {facts['summary']}\n")
    shown = {key.replace("_", " "): _shown(value) for key, value in facts.items() if key not in ("name", "summary")}
    for key, text in shown.items():
        if text:
            click.echo(f"  {key:<12}  {text}")
    if hyperparameters:
        click.echo()
        documented = any(each.doc for each in hyperparameters)
        rows = [
            [each.name, _default(each), each.bound, *([each.doc] if documented else [])] for each in hyperparameters
        ]
        print_columns(["HYPERPARAMETER", "DEFAULT", "MUST BE", *(["WHAT IT IS"] if documented else [])], rows)
    if offer.spec.kind in ("optimizer", "hook"):
        click.echo(f"\n{_example(offer, hyperparameters)}")


def _facts(offer: Offer) -> tuple[dict[str, Any], list[Hyperparameter]]:
    """What to show of an offer, in order, and its hyperparameters, if its kind has such."""
    distribution, version = distribution_of(offer.plugin)
    facts: dict[str, Any] = {
        "name": offer.shown_name,
        "summary": offer.spec.summary,
        "full_name": offer.full_name,
        "kind": offer.spec.kind,
        "aliases": list(offer.names[1:]),
        "paper": getattr(offer.spec, "paper", ""),
        "distribution": distribution,
        "version": version,
        "target": offer.target,
        "requires": list(getattr(offer.spec, "requires", ())),
    }
    if offer.spec.kind == "optimizer":
        described = describe_optimizer(offer, registry.get(offer.full_name))
        return facts | {"slots": list(described.slots)}, list(described.hyperparameters)
    if offer.spec.kind == "hook":
        hook = lookup.implementation(offer)
        return facts, list(signature(hook).fields.values()) if isinstance(hook, type) else []
    if offer.spec.kind == "hook set":
        return facts | {"hooks": registry.hook_set(offer.full_name)}, []
    return facts, []


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{each[0]} {each[1]}" if isinstance(each, tuple) else str(each) for each in value)
    return str(value or "")


def _default(hyperparameter: Hyperparameter) -> str:
    return "(required)" if hyperparameter.required else repr(hyperparameter.default)


def _as_dict(hyperparameter: Hyperparameter) -> dict[str, Any]:
    default = None if hyperparameter.required else hyperparameter.default
    return {
        "name": hyperparameter.name,
        "required": hyperparameter.required,
        "default": default.config() if isinstance(default, Schedule) else default,
        "bound": hyperparameter.bound,
        "doc": hyperparameter.doc,
    }


def _example(offer: Offer, hyperparameters: list[Hyperparameter]) -> str:
    """How to make it in Python, with the required hyperparameters, or else the first one."""
    shown = [each for each in hyperparameters if each.required] or hyperparameters[:1]
    values = [f"{each.name}={'...' if each.required else _default(each)}" for each in shown]
    call = "create" if offer.spec.kind == "optimizer" else "create_hook"
    return f"optreg.{call}({', '.join([repr(offer.shown_name).replace(chr(39), chr(34)), *values])})"
