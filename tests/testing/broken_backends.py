"""Backends that are wrong on purpose, each in one thing."""

from __future__ import annotations

import time
from weakref import WeakKeyDictionary

import attrs
import numpy as np

from optreg.backends.numpy import NumpyBackend


class Right(NumpyBackend):
    """NumPy, under another name."""

    name = "x"

    def run(self, work):
        before = {id(tensor): tensor.parameter.data.copy() for tensor in tensors(work)}
        super().run(work)
        for group in work.groups:
            for tensor in group.tensors:
                self.spoil(group, tensor.parameter.data, before[id(tensor)])

    def spoil(self, group, data, before):
        """What a wrong one does to a parameter that was ``before``."""


def tensors(work):
    return [tensor for group in work.groups for tensor in group.tensors]


def owners(group):
    return [type(rule.owner).__name__ for rule in group.rules]


class OtherName(Right):
    """Calls itself otherwise."""

    name = "y"


class SpoilsLion(Right):
    """Has another idea of a sign."""

    def spoil(self, group, data, before):
        if "Lion" in owners(group):
            data *= 1 + 1e-6


class SpoilsLamb(Right):
    """Has another idea of a norm."""

    def spoil(self, group, data, before):
        if "LAMB" in owners(group):
            data *= 1 + 1e-6


class SpoilsHalf(Right):
    """Computes in float16."""

    def spoil(self, group, data, before):
        if data.dtype == np.float16:
            data *= np.float16(1.01)


class ForgetsImaginaryParts(Right):
    """Takes complex numbers for real ones."""

    def spoil(self, group, data, before):
        if data.dtype.kind == "c":
            data.imag[...] = before.imag


class ChangesCopies(Right):
    """Works on a contiguous copy."""

    def spoil(self, group, data, before):
        if not data.flags.c_contiguous:
            data[...] = before


class ConfusesManyHooks(Right):
    """Loses count of rules."""

    def spoil(self, group, data, before):
        if len(group.rules) >= 3:
            data *= 1 + 1e-6


class OneGroupForAll(Right):
    """Takes the hyperparameters of the first group for those of all."""

    def run(self, work):
        groups = [attrs.evolve(group, values=work.groups[0].values) for group in work.groups]
        return super().run(attrs.evolve(work, groups=groups))


class KeepsAddresses(Right):
    """Relies on the arrays of the first step."""

    def __init__(self):
        self.first = WeakKeyDictionary()

    def run(self, work):
        for tensor in tensors(work):
            if id(tensor.parameter.data) != KEPT.setdefault(tensor.parameter, id(tensor.parameter.data)):
                return None
        return super().run(work)


class KeyedByIdentity(dict):
    def setdefault(self, key, value):
        return super().setdefault(id(key), (key, value))[1]  # the key is kept, so that its identity stays its own


KEPT = KeyedByIdentity()


class GivesTheGradientAway(Right):
    """Lets rules write to the user's gradients."""

    def run(self, work):
        groups = [
            attrs.evolve(group, rules=[attrs.evolve(rule, overwrites_gradient=False) for rule in group.rules])
            for group in work.groups
        ]
        return super().run(attrs.evolve(work, groups=groups))


class KeepsTheStep(Right):
    """What belongs to a step is on the instance."""

    def run(self, work):
        self.work = work
        time.sleep(1e-3)
        return super().run(self.work)


BROKEN = {
    "check_backend_name": OtherName,
    "check_backend_elementwise": SpoilsLion,
    "check_backend_whole_tensors": SpoilsLamb,
    "check_backend_float16": SpoilsHalf,
    "check_backend_complex": ForgetsImaginaryParts,
    "check_backend_strided": ChangesCopies,
    "check_backend_hooks": ConfusesManyHooks,
    "check_backend_groups": OneGroupForAll,
    "check_backend_changes_between_steps": KeepsAddresses,
    "check_backend_gradients": GivesTheGradientAway,
    "check_backend_threads": KeepsTheStep,
}
