"""A backend does what NumPy does, with every kind of rule, hook and array."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any

import numpy as np

import optreg
from optreg.testing.catalog import check
from optreg.testing.problems import Contents, Problem, contents_of, differing, names_in, on_host
from optreg.testing.results import fail
from optreg.testing.subjects import BackendSubject, compiled_at_once, reference

SHAPES = {"W": (5, 7), "b": (3,), "scale": (), "empty": (0, 2), "long": (20_000,)}
ELEMENTWISE = ("momentum_sgd", "adamw", "lion", "rprop")
WHOLE = ("lars", "lamb", "novograd")
CLOSE = 1e-10


def _compare(subject: BackendSubject, what: str, run: Callable[[Any], Contents], rtol: float = 0.0) -> None:
    xp = subject.arrays()
    expected = reference(run)
    with compiled_at_once(subject.name):
        found = run(xp)
    different = differing(expected, found, rtol)
    if different:
        kind = "numbers" if rtol else "bits"
        fail(
            f"the backend {subject.name} gives other {kind} than NumPy {what}: {names_in(different)} differ; "
            f"a run that moves from one to the other would not be the same, so compute in NumPy's order and dtypes, "
            f"and fuse no multiplication with an addition"
        )


def _run(name: str, dtype: Any, xp: Any, seed: int = 0, **settings: Any) -> Contents:
    problem = Problem(SHAPES, dtype, seed, xp=xp)
    return contents_of(problem.run(optreg.create(name, **settings).setup(problem.arrays), range(5)))


@check("backend", level="1")
def check_backend_name(subject: BackendSubject) -> None:
    """It is made without arguments, can be chosen by its name, and tells the last part of it."""
    subject.arrays()
    with optreg.use_backend(subject.name):
        pass
    name = getattr(subject.implementation(), "name", None)
    if name != subject.name.rpartition("/")[2]:
        fail(f"the backend {subject.name} calls itself {name!r}, which messages show; set name in the class")


@check("backend", level="1")
def check_backend_elementwise(subject: BackendSubject) -> None:
    """Elementwise rules give NumPy's bits, in float32 and float64."""
    for name, dtype in product(ELEMENTWISE, (np.float32, np.float64)):
        _compare(subject, f"for {name} in {np.dtype(dtype)}", partial(_run, name, dtype))


@check("backend", level="1")
def check_backend_whole_tensors(subject: BackendSubject) -> None:
    """Rules with norms and means of whole tensors give NumPy's numbers, up to the order of sums."""
    for name in WHOLE:
        _compare(subject, f"for {name}", partial(_run, name, np.float64), CLOSE)


@check("backend", level="1")
def check_backend_float16(subject: BackendSubject) -> None:
    """float16 parameters are updated in arithmetic of float32, as NumPy does."""
    _compare(subject, "in float16", partial(_run, "adam", np.float16))


@check("backend", level="1")
def check_backend_complex(subject: BackendSubject) -> None:
    """Complex parameters are updated as pairs of real numbers."""

    def run(xp: Any) -> Contents:
        problem = Problem({"W": (5, 7), "b": (3,)}, np.complex128, xp=xp)
        optimizer = optreg.create("adam").setup(problem.arrays)
        rng = np.random.default_rng(3)
        for _ in range(3):
            gradients = {
                f"/{name}": xp.asarray(rng.normal(size=array.shape) + 1j * rng.normal(size=array.shape))
                for name, array in problem.arrays.items()
            }
            optimizer.apply_gradients(gradients)
        return contents_of(optimizer)

    _compare(subject, "for complex numbers", run)


@check("backend", level="1")
def check_backend_strided(subject: BackendSubject) -> None:
    """Parameters may be views: transposed, reversed, and of every second element."""

    def run(xp: Any) -> Contents:
        problem = Problem({"W": (5, 7), "b": (4,)}, xp=xp)
        kept = dict(problem.arrays)
        problem.arrays["W"] = xp.zeros((14, 10))[::2, ::-2].T
        problem.arrays["b"] = xp.zeros(8)[::-2]
        for name, array in kept.items():
            problem.arrays[name][...] = array
        return contents_of(problem.run(optreg.create("momentum_sgd").setup(problem.arrays), range(4)))

    _compare(subject, "for arrays that are views", run)


@check("backend", level="1")
def check_backend_hooks(subject: BackendSubject) -> None:
    """Hooks before and after the update, with and without slots, are run in their order."""
    hooks = [
        ("weight_decay", {"rate": 0.1}),
        ("gradient_hard_clipping", {"lower_bound": -0.2, "upper_bound": 0.3}),
        ("lasso", {"rate": 0.01}),
    ]

    def run(xp: Any, clipped: bool) -> Contents:
        problem = Problem(SHAPES, xp=xp)
        optimizer = optreg.create("adam", hooks=hooks)
        if clipped:
            optimizer.add_hook("gradient_clipping", threshold=0.5)
        optimizer.add_hook(_After(), "after")
        return contents_of(problem.run(optimizer.setup(problem.arrays), range(4)))

    _compare(subject, "with hooks", partial(run, clipped=False))
    # On a device, the norm of all gradients is summed in another order than on the host.
    rtol = 0.0 if subject.arrays() is np else CLOSE
    _compare(subject, "with hooks and clipping", partial(run, clipped=True), rtol)


class _After(optreg.Hook):
    timing = "post"

    def rule(self, param: Any, grad: Any, total: Any) -> None:
        total += np.abs(param) + grad
        param -= 0.01 * total


@check("backend", level="1")
def check_backend_groups(subject: BackendSubject) -> None:
    """Parameters may have hyperparameters of their own, and schedules."""
    settings: dict[str, Any] = {
        "lr": optreg.schedules.Cosine(initial=0.1, steps=4),
        "options": {"*/b": {"beta1": 0.5, "lr": 0.01}},
    }
    _compare(subject, "with options and a schedule", partial(_run, "adamw", np.float64, **settings))


@check("backend", level="1")
def check_backend_changes_between_steps(subject: BackendSubject) -> None:
    """Between steps, arrays may be replaced and parameters and hooks added: nothing of an earlier step is relied on."""

    def run(xp: Any) -> Contents:
        problem = Problem(SHAPES, xp=xp)
        optimizer = problem.run(optreg.create("adam").setup(problem.arrays), range(3))
        problem.arrays["W"] = xp.array(problem.arrays["W"]) * 2
        problem.run(optimizer, [3])
        problem.arrays["late"] = xp.ones((3, 3))
        problem.run(optimizer, [4])
        optimizer.add_hook("weight_decay", rate=0.1)
        optimizer.lr = 0.02
        return contents_of(problem.run(optimizer, [5, 6]))

    _compare(subject, "after changes between steps", run)


@check("backend", level="1")
def check_backend_gradients(subject: BackendSubject) -> None:
    """Gradients that a rule uses as scratch memory, or that cannot be written to, are left as they are."""
    xp = subject.arrays()
    array, gradient = xp.ones(5), xp.full(5, 2.0)
    with compiled_at_once(subject.name):
        optimizer = _Scratch().setup({"w": array})
        for _ in range(3):
            optimizer.apply_gradients({"w": gradient})
    if not bool((gradient == 2.0).all()) or not np.allclose(on_host(array), 1.0 - 3 * 0.1 * 4.0):
        fail(
            f"the backend {subject.name} lets a rule overwrite the user's gradient; give a rule whose "
            f"overwrites_gradient is True a copy"
        )


class _Scratch(optreg.GradientMethod):
    def rule(self, param: Any, grad: Any) -> None:
        grad *= 2.0
        param -= 0.1 * grad


@check("backend", level="1")
def check_backend_threads(subject: BackendSubject) -> None:
    """Optimizers in several threads give what each gives alone."""
    xp = subject.arrays()

    def run(seed: int) -> Contents:
        with optreg.use_backend(subject.name):  # which is chosen for each thread by itself
            return _run("adam", np.float64, xp, seed)

    with compiled_at_once(subject.name):
        expected = [run(seed) for seed in range(4)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(run, range(4)))
    for before, after in zip(expected, found, strict=True):
        different = differing(before, after)
        if different:
            fail(
                f"the backend {subject.name} gives other numbers where several threads use it: {names_in(different)} "
                f"differ; keep what belongs to a step out of the instance, which all threads share"
            )
