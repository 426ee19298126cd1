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
from optreg.rule import has_rule, rule_of, sees_before
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
@click.option("--master-weights", is_flag=True, help="With float32 copies of float16 parameters.")
@click.option(
    "--step", type=click.IntRange(min=1), default=2, show_default=True, help="The step: first ones may differ."
)
def kernel(name: str, *, backend: str, hooks: tuple[str, ...], dtype: str, master_weights: bool, step: int) -> None:
    """Print the kernel that is compiled for the optimizer NAME, such as adamw or acme/sophia.

    \b
        optreg kernel adamw
        optreg kernel adamw --backend cuda --hook weight_decay --hook lasso
    """
    with looking_at_packages():
        optimizer = _made(registry.get(name), name)
        if master_weights:
            optimizer.master_weights = True
        rule, owners = _joined(optimizer, name, hooks, np.dtype(dtype), step)
        texts = _texts(rule, backend)
    comment = "#" if backend == "numba" else "//"
    for line in _facts(rule, owners, step):
        click.echo(f"{comment} {line}".rstrip())
    for text in texts:
        click.echo(f"\n{text.rstrip()}")


def _joined(
    optimizer: Any, name: str, hooks: tuple[str, ...], dtype: np.dtype[Any], step: int
) -> tuple[Rule, list[Any]]:
    """The joined rule of a step, and the owners of its parts."""
    if not has_rule(optimizer):
        raise OptregError(f"{name} has no rule, but its own way to update parameters, so nothing is compiled for it")
    made = [(each, _made_hook(each)) for each in hooks]
    before = [hook for _, hook in made if timing_of(hook) == "pre"]
    after = [hook for _, hook in made if timing_of(hook) == "post"]
    optimizer.setup({"w": np.ones(2, dtype)})
    parameter = optimizer.target["/w"]
    parameter.grad = np.ones(2, dtype)
    for number, hook in enumerate([*before, *after]):
        optimizer.add_hook(hook, name=str(number))
        object.__setattr__(hook, "t", step - 1 if timing_of(hook) == "pre" else step)
    of_hooks = list(prepare_hook_states(optimizer).items())
    optimizer.t = step
    links = []
    owners = [*before, optimizer, *after]
    for owner in owners:
        own = [states for name, states in of_hooks if optimizer._hooks[name] is owner]
        state = optimizer._states["/w"] if owner is optimizer else own[0]["/w"] if own else {}
        owned = rule_of(owner, parameter)
        rule = trace(owned, rule_inputs(owned, parameter, state))
        links.append(Link(rule, not getattr(owner, "changes_gradients", False), sees_before(owner)))
    rule = chain(links)
    if has_master(optimizer, optimizer._states["/w"]):
        rule = with_master(rule, dtype)
    return stored_as(rule, {"param": dtype, "grad": dtype}), owners


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


def _facts(rule: Rule, owners: list[Any], step: int) -> list[str]:
    """What the numbers in the text stand for."""
    names = [f"owners[{place}] is {type(owner).__name__}" for place, owner in enumerate(owners)]
    stored = {position for position, _ in rule.stores}
    return [
        f"Step {step} of " + ", ".join(names),
        "",
        *(f"scalars[{place}] is {source}" for place, source in enumerate(rule.scalars)),
        *(f"array {place} is {each.name} ({_kind(each, place in stored)})" for place, each in enumerate(rule.inputs)),
        *(f"as long as {source} is {truth}" for source, truth in rule.guards),
    ]


def _kind(array: Input, changes: bool) -> str:
    return f"{array.dtype}{', one number' if array.single else ''}{', changed' if changes else ''}"
