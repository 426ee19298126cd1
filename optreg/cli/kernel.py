"""``optreg kernel``: the text that is compiled for an optimizer."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from optreg import lookup, registry
from optreg.cli.output import looking_at_packages
from optreg.errors import OptregError, UntraceableRuleError
from optreg.hook import is_rule_hook, prepare_hook_states, timing_of
from optreg.masters import has_master
from optreg.passes import rule_inputs
from optreg.rule import Measure, OwnedRule, has_rule, measures, names_of_rules, rule_of, sees_before
from optreg.signatures import signature
from optreg.tracing.chain import Link, chain, stored_as, with_master
from optreg.tracing.nodes import Input, Rule
from optreg.tracing.trace import trace


@click.command()
@click.argument("name")
@click.option(
    "--backend",
    type=click.Choice(["numba", "cuda"]),
    default="numba",
    show_default=True,
    help="What it is written for.",
)
@click.option("--hook", "hooks", multiple=True, metavar="NAME", help="A hook in the same kernel; may be given often.")
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32", "float64"]),
    default="float32",
    show_default=True,
    help="Of the parameters.",
)
@click.option(
    "--shape",
    default="2",
    show_default=True,
    help="Of the parameter, such as 4x3, which some choose their rule by.",
)
@click.option("--master-weights", is_flag=True, help="With float32 copies of float16 parameters.")
@click.option(
    "--step", type=click.IntRange(min=1), default=2, show_default=True, help="The step: first ones may differ."
)
def kernel(
    name: str, *, backend: str, hooks: tuple[str, ...], dtype: str, shape: str, master_weights: bool, step: int
) -> None:
    """Print the kernel that is compiled for the optimizer NAME, such as adamw or acme/sophia.

    Where the optimizer measures all tensors before it changes them, that is printed first.

    \b
        optreg kernel adamw
        optreg kernel adamw --backend cuda --hook weight_decay --hook lasso
        optreg kernel adafactor --shape 4
    """
    comment = "#" if backend == "numba" else "//"
    with looking_at_packages():
        optimizer = _made(registry.get(name), name)
        if master_weights:
            optimizer.master_weights = True
        before, after = _set_up(optimizer, name, hooks, np.ones(_lengths(shape), dtype), step)
        passes: list[tuple[str, list[Any], Measure | None]] = [("Step", [*before, optimizer, *after], None)]
        if measures(optimizer):
            first = "What is measured before step", [*before, optimizer], Measure(optimizer)
            passes = [first, ("Step", [optimizer, *after], None)]
        printed = []
        for what, owners, measure in passes:
            rule = _joined(optimizer, owners, measure)
            facts = [f"{comment} {line}".rstrip() for line in _facts(f"{what} {step}", rule, owners)]
            printed.append("\n".join([*facts, *(f"\n{text.rstrip()}" for text in _texts(rule, backend))]))
    click.echo("\n\n\n".join(printed))


def _lengths(shape: str) -> tuple[int, ...]:
    lengths = shape.split("x")
    if not all(each.isdecimal() for each in lengths):
        raise click.BadParameter(f"{shape!r} is no shape such as 4x3", param_hint="--shape")
    return tuple(map(int, lengths))


def _set_up(
    optimizer: Any, name: str, hooks: tuple[str, ...], array: np.ndarray[Any, Any], step: int
) -> tuple[list[Any], list[Any]]:
    """Set the optimizer up with one parameter, at a step; returns the hooks before the update, and those after it."""
    if not has_rule(optimizer):
        raise OptregError(f"{name} has no rule, but its own way to update parameters, so nothing is compiled for it")
    made = [_made_hook(each) for each in hooks]
    before = [hook for hook in made if timing_of(hook) == "pre"]
    after = [hook for hook in made if timing_of(hook) == "post"]
    optimizer.setup({"w": array})
    optimizer.target["/w"].grad = np.ones_like(array)
    for number, hook in enumerate([*before, *after]):
        optimizer.add_hook(hook, name=str(number))
        object.__setattr__(hook, "t", step - 1 if timing_of(hook) == "pre" else step)
    optimizer.t = step
    return before, after


def _joined(optimizer: Any, owners: list[Any], measure: Measure | None) -> Rule:
    """The joined rule of a pass; ``measure`` stands in it for the optimizer's own rule."""
    parameter, state_of_optimizer = optimizer.target["/w"], optimizer._states["/w"]
    dtype = parameter.data.dtype
    of_hooks = list(prepare_hook_states(optimizer).items())
    links = []
    for owner in owners:
        own = [states for name, states in of_hooks if optimizer._hooks[name] is owner]
        state = state_of_optimizer if owner is optimizer else own[0]["/w"] if own else {}
        owned: OwnedRule = rule_of(owner, parameter)
        if owner is optimizer and measure is not None:
            owned, state = measure, state | {total: np.zeros(()) for total in measure.totals}
        if owned.needs_whole_tensors:
            others = "; with another --shape, another rule is printed" if len(names_of_rules(type(owner))) > 1 else ""
            raise OptregError(f"the {owned} needs whole tensors, so it runs as it is written, uncompiled{others}")
        rule = trace(owned, rule_inputs(owned, parameter, state))
        links.append(Link(rule, not getattr(owner, "changes_gradients", False), sees_before(owner)))
    rule = chain(links)
    if has_master(optimizer, state_of_optimizer):
        rule = with_master(rule, dtype)
    return stored_as(rule, {"param": dtype, "grad": dtype})


def _made_hook(name: str) -> Any:
    implementation = lookup.implementation(lookup.find("hook", name))
    hook = _made(implementation, name) if isinstance(implementation, type) else implementation
    if not is_rule_hook(hook):
        raise OptregError(f"the hook {name} is no rule, so it runs between kernels and is part of none")
    return hook


def _made(cls: Any, name: str) -> Any:
    """An object with some number for each hyperparameter that has no default: what it is does not show in the text."""
    try:
        return cls(**{field: 1.0 for field, each in signature(cls).fields.items() if each.required})
    except (TypeError, ValueError) as error:
        raise OptregError(f"{name} cannot be made without its hyperparameters: {error}") from error


def _texts(rule: Rule, backend: str) -> list[str]:
    if backend == "numba":
        from optreg.backends.kernel_source import sources

        texts = sources(rule)
        return [*(stage.source for stage in texts.stages), texts.run]
    from optreg.backends.cuda_source import OPTIONS, cuda_sources

    try:
        cuda = cuda_sources(rule)
    except UntraceableRuleError as error:
        raise OptregError(f"{error}; CuPy runs the rule as it is written") from error
    return [f"// nvrtc {' '.join(OPTIONS)}\n{text}" for text in (*cuda.stages, cuda.step)]


def _facts(what: str, rule: Rule, owners: list[Any]) -> list[str]:
    """What the numbers in the text stand for."""
    names = [f"owners[{place}] is {type(owner).__name__}" for place, owner in enumerate(owners)]
    stored = {position for position, _ in rule.stores}
    return [
        f"{what} of " + ", ".join(names),
        "",
        *(f"scalars[{place}] is {source}" for place, source in enumerate(rule.scalars)),
        *(f"array {place} is {each.name} ({_kind(each, place in stored)})" for place, each in enumerate(rule.inputs)),
        *(f"as long as {source} is {truth}" for source, truth in rule.guards),
    ]


def _kind(array: Input, changes: bool) -> str:
    return f"{array.dtype}{', one number' if array.single else ''}{', changed' if changes else ''}"
