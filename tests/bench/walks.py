"""Steps of contenders, to be compared."""

from __future__ import annotations

import numpy as np

from optreg.bench.cases import Case, Numbers
from optreg.bench.conditions import conditions, processors
from optreg.bench.lineup import contender

MODEL = Case("model", ((3, 4), (4,), (), (2, 2, 7), (70_000,)))
THREADS = processors()


def walked(name, job, steps=5, case=MODEL):
    """The parameters of a contender after some steps, each with other gradients."""
    numbers = Numbers.of(case, job.dtype)
    made = contender(name, job)
    with conditions(job.threads):
        made.start(numbers.values)
        with made.at_work():
            for step in range(steps):
                made.renew_gradients([np.roll(gradient, step) for gradient in numbers.gradients])
                made.step()
    return made.values()


def assert_same_walk(one, other, start, tolerance):
    """Two walks from the same point end near each other, measured by how far they went."""
    for mine, theirs, began in zip(one, other, start, strict=True):
        assert mine.shape == began.shape
        went = np.abs(theirs - began).max()
        assert went > 0
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * went)
