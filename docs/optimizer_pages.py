"""A page for each optimizer, made of its declaration, its docstring and its rule; and a list of all of them.

The pages are written before Sphinx reads its sources, and are not kept in the repository.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from optimizer_paths import caption, draw_missing

import optreg
from optreg.rule import names_of_rules

ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def write(folder: Path) -> None:
    """Write every page and every picture into ``folder``; files that would be the same are left as they are."""
    folder.mkdir(exist_ok=True)
    names = builtin_names()
    texts = {f"{name}.rst": page(name) for name in names} | {"index.rst": index(names)}
    for stale in folder.glob("*.rst"):
        if stale.name not in texts:
            stale.unlink()
    for file, text in texts.items():
        write_text(folder / file, text)
    draw_missing(names, folder)


def write_text(path: Path, text: str) -> None:
    """Write a page, unless it would be the same: Sphinx reads what has changed."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def builtin_names() -> list[str]:
    """optreg's own optimizers, in the order of their declarations: families, simple ones first."""
    from optreg.builtins import optreg_optimizers

    return [spec.name for spec in optreg_optimizers()]


def page(name: str) -> str:
    """The page of an optimizer, as reStructuredText."""
    cls, info = optreg.get(name), optreg.info(name)
    lead, formula, rest, example = _parts(inspect.getdoc(cls) or "")
    sections = [
        title(name, "="),
        linked(lead),
        _code("text", formula, ":class: formula") if formula else "",
        linked(rest),
        f".. code-block:: python\n\n   optimizer = optreg.create({_call(info)})",
        title("The path it takes"),
        f".. figure:: {name}.png\n   :alt: Paths of {name} on two test surfaces\n\n   {caption(name)}",
        title("Hyperparameters"),
        _hyperparameters(info.hyperparameters),
        *_named_defaults(info),
        title("State"),
        _state(cls, info.slots),
        title("An example"),
        _code("pycon", example),
        title("The rule" if hasattr(cls, "rule") else "The source"),
        f"The text that runs, from ``{cls.__module__}``.",
        _code("python", source_of(cls)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def index(names: list[str]) -> str:
    """The page that lists all optimizers."""
    rows = []
    for name in names:
        info = optreg.info(name)
        rows.append((f":doc:`{name}`", info.summary, linked(info.paper)))
    parts = [
        title("Every optimizer", "="),
        "Simple ones first, family by family. The name is what :func:`optreg.create` takes. Each page has the formula, "
        "the paper, the defaults, the state, the path on two test surfaces, and the rule's source.",
        table(("Name", "What it does", "Paper"), rows, (22, 50, 28)),
        ".. toctree::\n   :hidden:\n\n" + "\n".join(f"   {name}" for name in names),
    ]
    return "\n\n".join(parts) + "\n"


def linked(text: str) -> str:
    """``text`` with its arXiv numbers as links."""
    return ARXIV.sub(r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", text)


def _parts(doc: str) -> tuple[str, str, str, str]:
    """A docstring as: its first sentence, the formula, what follows, the example."""
    text, _, example = doc.partition("\n>>> ")
    lead, double_colon, after = text.partition("::\n\n")
    if not double_colon:
        lead, _, rest = text.partition("\n\n")
        return lead, "", rest, f">>> {example}" if example else ""
    formula: list[str] = []
    lines = after.splitlines()
    while lines and (not lines[0].strip() or lines[0].startswith(" ")):
        formula.append(lines.pop(0))
    return lead.strip(), textwrap.dedent("\n".join(formula)).strip(), "\n".join(lines), f">>> {example}"


def _call(info: Any) -> str:
    shown = [each for each in info.hyperparameters if each.required] or info.hyperparameters[:1]
    return ", ".join([f'"{info.name}"', *(f"{e.name}={'...' if e.required else e.default!r}" for e in shown)])


def _hyperparameters(fields: tuple[Any, ...]) -> str:
    if not fields:
        return "None."
    rows = [
        (f"``{e.name}``", "required" if e.required else f"``{e.default!r}``", e.bound or "–", meaning(e))
        for e in fields
    ]
    return table(("Name", "Default", "Must be", "What it is"), rows, (20, 14, 22, 44))


def meaning(field: Any) -> str:
    """What a hyperparameter is, in its own words or in the usual ones."""
    if not (field.doc or field.name in COMMON):
        raise LookupError(f"nothing says what the hyperparameter {field.name} is; declare it with doc='…'")
    return field.doc or COMMON[field.name]


def _named_defaults(info: Any) -> list[str]:
    """The defaults of other libraries beside each other, and where they stand."""
    if not info.defaults:
        return []
    rows = [
        (f"``{e.name}``", *(_value(named.values, e.name) for named in info.defaults.values()))
        for e in info.hyperparameters
        if not e.is_common
    ]
    notes = [
        f"- ``{name}``: {linked(named.source)}" + (f". What differs: {linked(named.differs)}" if named.differs else "")
        for name, named in info.defaults.items()
    ]
    first = next(iter(info.defaults))
    widths = (20, *(80 // len(info.defaults) for _ in info.defaults))
    return [
        title("Defaults of other libraries"),
        f'``optreg.create("{info.name}", defaults="{first}")`` takes a column of these. What is … there has no '
        "default, so it must be given.",
        table(("Name", *(f"``{name}``" for name in info.defaults)), rows, widths),
        "\n".join(notes),
    ]


def _value(values: Any, name: str) -> str:
    return f"``{values[name]!r}``" if name in values else "…"


COMMON = {
    "lr": "the learning rate: how long steps are",
    "momentum": "how much of the sum of earlier gradients is kept at each step; None: no momentum",
    "alpha": "how much of an average is kept at each step",
    "rho": "how much of an average is kept at each step",
    "beta": "how much of an average is kept at each step",
    "beta1": "how much of the average of gradients is kept at each step",
    "beta2": "how much of the average of squares is kept at each step",
    "beta3": "how much of the third average is kept at each step",
    "eps": "a small number that keeps divisions from being by zero",
    "weight_decay": "how fast parameters shrink towards zero",
    "centered": "whether the average gradient is subtracted from what is divided by",
    "min_step": "the shortest step",
    "max_step": "the longest step",
}
"""What hyperparameters mean that many methods have, so that no class has to say it."""


def _state(cls: Any, slots: tuple[str, ...]) -> str:
    """What is remembered of each parameter, as an optimizer that was set up says it."""
    optimizer = optreg.create(optreg.registry.name_of(cls))
    weight = np.linspace(2, 3, 12, dtype=np.float32).reshape(3, 4)
    optimizer.setup({"w": weight})
    state = optimizer._states["/w"]
    slots = slots or tuple(state)  # those of a method without a rule
    if not slots:
        return "None: nothing is remembered of earlier steps."
    rows = [(f"``{slot}``", *_slot(state.get(slot), weight)) for slot in slots]
    arrays = sum(state[slot].size // weight.size for slot in slots if slot in state)
    memory = f"With the defaults, the state is {arrays} array{'s' * (arrays != 1)} as large as the parameter."
    return table(("Slot", "Shape", "Begins with"), rows, (30, 40, 30)) + "\n\n" + memory


def _slot(array: Any, weight: Any) -> tuple[str, str]:
    """The shape of a slot and what it begins with, in words."""
    if array is None:
        return "only where an option, or the parameter's shape, asks for it", "zeros"
    if array.shape != weight.shape:
        return ("one number" if array.shape == () else str(array.shape)), f"{float(array.flat[0]):g}"
    if np.array_equal(array, weight):
        return "the parameter's", "the parameter"
    values = np.unique(array)
    if len(values) > 1:
        return "the parameter's", "values of its own"
    return "the parameter's", f"{values[0]:g} everywhere" if values[0] else "zeros"


def source_of(cls: Any) -> str:
    """The text of a class's rule, and of the functions of optreg's own that it calls."""
    methods = [
        value
        for name, value in vars(cls).items()
        if isinstance(value, FunctionType) and not name.startswith("__") and value.__module__ == cls.__module__
    ]
    methods = [method for method in methods if not hasattr(method, "__attrs_original__")]
    methods += [getattr(cls, name) for name in names_of_rules(cls) if name not in vars(cls)]
    called = {function.__name__: function for method in methods for function in _called(method)}
    texts = [textwrap.dedent(inspect.getsource(each)).rstrip() for each in (*called.values(), *methods)]
    return "\n\n".join(texts)


def _called(function: FunctionType) -> Iterator[FunctionType]:
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, FunctionType) and value.__module__.startswith("optreg.optimizers"):
            yield from _called(value)
            yield value


def title(text: str, line: str = "-") -> str:
    """A heading."""
    return f"{text}\n{line * len(text)}"


def _code(language: str, text: str, *options: str) -> str:
    head = [f".. code-block:: {language}", *(f"   {option}" for option in options)]
    return "\n".join(head) + "\n\n" + textwrap.indent(text, "   ") if text else ""


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]], widths: tuple[int, ...]) -> str:
    """A table, as a list of its rows."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {' '.join(map(str, widths))}", ""]
    for row in (heads, *rows):
        lines += [f"   {'* -' if place == 0 else '  -'} {cell}" for place, cell in enumerate(row)]
    return "\n".join(lines)
