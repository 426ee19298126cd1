"""The same again, whatever else goes on: no hidden state, no chance, no other thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np

from optreg.testing.catalog import check
from optreg.testing.internals import BLAS, LARGE
from optreg.testing.problems import Contents, Problem, contents_of, differing, names_in
from optreg.testing.results import fail, skip
from optreg.testing.subjects import OptimizerSubject, threads

THREADS = 4


@check("optimizer", level="1")
def check_deterministic(subject: OptimizerSubject) -> None:
    """Two runs from the same start give the same bits; one that draws random numbers takes a seed."""
    different = differing(subject.run(range(4)), subject.run(range(4)))
    if different:
        fail(
            f"two runs of {subject.name} from the same start differ in {names_in(different)}, so no result can be "
            f"repeated; draw random numbers from a numpy.random.Generator of the instance, made from a "
            f"hyperparameter called seed, and keep nothing on the class"
        )


@check("optimizer", level="1")
def check_instances_are_apart(subject: OptimizerSubject) -> None:
    """Two optimizers that take turns do not disturb each other."""
    expected = [subject.run(range(3), Problem(seed=seed)) for seed in (0, 1)]
    problems = [Problem(seed=seed) for seed in (0, 1)]
    optimizers = [subject.on(problem) for problem in problems]
    for batch in range(3):
        for problem, optimizer in zip(problems, optimizers, strict=True):
            problem.run(optimizer, [batch])
    for before, optimizer in zip(expected, optimizers, strict=True):
        different = differing(before, contents_of(optimizer))
        if different:
            fail(
                f"two optimizers {subject.name} that take turns disturb each other: {names_in(different)} are not as "
                f"without the other one; keep everything in states or attributes of the instance, nothing on the "
                f"class, in the module, or in a default argument"
            )


@check("optimizer", level="1")
def check_threads(subject: OptimizerSubject) -> None:
    """Optimizers in several threads give what each gives alone."""
    expected = [subject.run(range(6), Problem(seed=seed)) for seed in range(THREADS)]
    problems = [Problem(seed=seed) for seed in range(THREADS)]
    optimizers = [subject.on(problem) for problem in problems]
    together = Barrier(THREADS)

    def run(number: int) -> Contents:
        for batch in range(6):
            together.wait()
            problems[number].run(optimizers[number], [batch])
        return contents_of(optimizers[number])

    def run_or_release(number: int) -> Contents:
        try:
            return run(number)
        except BaseException:
            together.abort()  # the others would wait for this one
            raise

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(run_or_release, range(THREADS)))
    for before, after in zip(expected, found, strict=True):
        different = differing(before, after)
        if different:
            fail(
                f"{subject.name} gives other numbers where other threads have optimizers of their own: "
                f"{names_in(different)} differ; keep no arrays for scratch on the class or in the module"
            )


@check("optimizer", level="1")
def check_tensors_in_parallel(subject: OptimizerSubject) -> None:
    """One that says tensors_in_parallel gives the bits on several threads that it gives on one."""
    optimizer = subject.create()
    if not getattr(optimizer, "tensors_in_parallel", False):
        skip("it does not say tensors_in_parallel")
    if getattr(optimizer, "multiplies_matrices", False) and not BLAS.can_be_limited:
        skip("it multiplies matrices, which is left to the threads of the BLAS where threadpoolctl cannot limit them")
    matrices = {f"W{number}": (256, LARGE // 256 + number) for number in range(THREADS)}
    shapes = matrices | {f"b{number}": (LARGE + number,) for number in range(THREADS)}
    with threads(1):
        expected = subject.run(range(3), Problem(shapes, np.float32))
    with threads(THREADS):
        found = subject.run(range(3), Problem(shapes, np.float32))
    different = differing(expected, found)
    if different:
        fail(
            f"{subject.name} says tensors_in_parallel, and gives other numbers with several threads than with one: "
            f"{names_in(different)} differ; let the rule change nothing but its arrays (keep nothing of a tensor on "
            f"the instance, count nothing, draw no random numbers), or leave tensors_in_parallel out"
        )
