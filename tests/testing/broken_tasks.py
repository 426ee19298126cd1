"""Tasks that are wrong on purpose, each in one thing."""

from __future__ import annotations

import numpy as np

from optreg.compare.surfaces import Rosenbrock


class Right(Rosenbrock):
    """As it should be."""


class Resembles:
    """Has what a task has, and is none."""

    metric, loss, selection, target = Rosenbrock.metric, Rosenbrock.loss, Rosenbrock.selection, Rosenbrock.target
    steps, seeds, batch_size, evaluations = 10, 1, None, 10

    def __getattr__(self, name):
        return getattr(Right(), name)

    def loss_and_gradients(self, parameters, batch):
        return Right().loss_and_gradients(parameters, batch)


class OtherEachTime(Rosenbrock):
    """Starts anywhere."""

    def initial_parameters(self, seed):
        return {"point": np.random.default_rng().normal(size=2)}


class WrongFactor(Rosenbrock):
    """Forgets a factor."""

    def slope(self, x, y):
        return tuple(2 * each for each in super().slope(x, y))


class Flat(Rosenbrock):
    """Cannot be solved."""

    def height(self, x, y):
        return 1.0 + 0 * x

    def slope(self, x, y):
        return 0 * x, 0 * y


BROKEN = {
    "check_task_is_complete": Resembles,
    "check_task_is_repeatable": OtherEachTime,
    "check_task_gradients": WrongFactor,
    "check_task_can_be_solved": Flat,
}
