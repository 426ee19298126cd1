"""What a package declares: cold, complete, and leading somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from typing import Any

from optreg.testing.catalog import KINDS, check
from optreg.testing.internals import Optimizer
from optreg.testing.results import fail, skip
from optreg.testing.subjects import Subject

HEAVY = ("torch", "jax", "cupy", "tensorflow", "scipy", "matplotlib", "numba", "sklearn", "pandas")
"""Modules that take long to import. NumPy is not among them: every optimizer needs it."""


@check(*KINDS, level="1")
def check_declaration_is_cheap(subject: Subject) -> None:
    """Declaring a name imports neither its implementation nor anything heavy."""
    declared = subject.declared
    if not declared.is_installed:
        skip("it was registered in this process, so no package declares it")
    target = getattr(declared.spec, "target", "").partition(":")[0]
    imported = _imported_by_declaring(declared.namespace, declared.is_builtin, tuple(sys.path))
    guilty = [module for module in (*HEAVY, target) if module in imported]
    if guilty:
        fail(
            f"declaring {subject.name} imports {' and '.join(guilty)}, so every program that lists the names of "
            f"optimizers waits for it; keep the @optreg.hookimpl functions in a module of their own, whose "
            f"declarations name the implementation as text"
        )


@cache
def _imported_by_declaring(namespace: str, is_builtin: bool, path: tuple[str, ...]) -> frozenset[str]:
    """The modules of a new Python that has read the declarations of one namespace, and no others."""
    only = {"OPTREG_DISABLE_PLUGIN_AUTOLOAD": "1"} if is_builtin else {"OPTREG_PLUGINS": namespace}
    program = (
        f"import sys; before = set(sys.modules); sys.path[:] = {list(path)!r}; "
        "import optreg; optreg.plugins(); print(); print(*(set(sys.modules) - before))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={**os.environ, **only}
    )
    if result.returncode:
        last = result.stderr.strip().rpartition("\n")[2]
        fail(f"a new Python cannot read the declarations of {namespace}: {last}; import the package there to see why")
    return frozenset(result.stdout.splitlines()[-1].split())


@check("optimizer", "hook", "backend", "target", "task", "command", level="1")
def check_target_resolves(subject: Subject) -> None:
    """The declaration leads to something of its kind, which can be made."""
    found = subject.implementation()
    target = subject.declared.spec.target
    wanted = _WANTED[subject.kind]
    method = {"optimizer": "update", "backend": "run", "task": "loss_and_gradients", "command": "main"}.get(
        subject.kind
    )
    fits = callable(found if method is None else getattr(found, method, None))
    a_class = isinstance(found, type) or subject.kind in ("hook", "target", "command")
    if not (fits and a_class) or (subject.kind == "optimizer" and not issubclass(found, Optimizer)):
        fail(f"{subject.name} is declared as {target!r}, which is {found!r}, so it cannot be used; name {wanted}")
    subject.try_out()


_WANTED = {
    "optimizer": "a class that derives from optreg.Optimizer or optreg.GradientMethod",
    "hook": "a class whose instances can be called, such as an optreg.Hook, or a function of the optimizer",
    "backend": "a class with a method run(work)",
    "target": "a function that takes an object and returns a target",
    "task": "a class that derives from optreg.compare.task.Task",
    "command": "a click command or group",
}


@check(*KINDS, level="1")
def check_description(subject: Subject) -> None:
    """A summary says what it is, and so does the docstring of what is declared."""
    declared = subject.declared
    summary = declared.spec.summary.strip()
    if not summary:
        fail(f"{subject.name} has no summary, which is all that `optreg list` shows of it; give a line in its spec")
    if len(summary) > 120:
        fail(
            f"the summary of {subject.name} has {len(summary)} letters, which does not fit into a line of "
            f"`optreg list`; say it in 120, and the rest in the docstring"
        )
    if subject.kind in ("hook set", "command"):
        return
    found = subject.implementation()
    inherited = isinstance(found, type) and any(found.__doc__ == base.__doc__ for base in found.__mro__[1:])
    if not (found.__doc__ or "").strip() or inherited or _is_generated(found):
        fail(
            f"{getattr(found, '__name__', found)} has no docstring, so nobody learns what {subject.name} does; "
            f"write one: a sentence, the formula, the paper"
        )


def _is_generated(found: Any) -> bool:
    """Whether the docstring is what dataclasses write: the signature."""
    return str(found.__doc__).startswith(f"{getattr(found, '__name__', '')}(")
