"""Adapters that are wrong on purpose, each in one thing."""

from __future__ import annotations

import numpy as np


class Model:
    """Somebody's model."""

    def __init__(self):
        self.w = np.arange(6.0).reshape(2, 3)
        self.b = np.ones(3)


class Parameter:
    def __init__(self, array):
        self.data = array
        self.grad = None


class Target:
    def __init__(self, named):
        self.named = named

    def namedparams(self):
        return iter(self.named)


def right(model):
    """Give the model's own arrays."""
    return Target([("/w", Parameter(model.w)), ("/b", Parameter(model.b))])


def without_slashes(model):
    """Give names that are no paths."""
    return Target([("w", Parameter(model.w)), ("b", Parameter(model.b))])


def copies(model):
    """Give copies of the arrays."""
    return Target([("/w", Parameter(model.w.copy())), ("/b", Parameter(model.b.copy()))])


class Stubborn(Parameter):
    @property
    def grad(self):
        return self.gradient

    @grad.setter
    def grad(self, value):
        self.gradient = np.ones_like(self.data) if value is None else value


def stubborn(model):
    """Give parameters whose gradients cannot be cleared."""
    return Target([("/w", Stubborn(model.w)), ("/b", Stubborn(model.b))])


def by_identity(model):
    """Give names that no other run will have."""
    return Target([(f"/{id(model)}/w", Parameter(model.w)), (f"/{id(model)}/b", Parameter(model.b))])


REAL = f"{__name__}.Model"

BROKEN = {
    "check_target_types": ("right", (REAL, "numpy.array"), ""),
    "check_target_parameters": ("without_slashes", (REAL,), "check_target_gradients_by_name"),
    "check_target_updates": ("copies", (REAL,), ""),
    "check_target_gradients_by_name": ("stubborn", (REAL,), ""),
    "check_target_resuming": ("by_identity", (REAL,), ""),
}
