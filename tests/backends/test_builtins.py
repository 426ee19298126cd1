"""Every built-in optimizer under every elementwise hook: the bits of compiled kernels are those of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optreg
from backends.steps import arrays, assert_close, assert_same, both, everything, has, parameters, repeats, step
from optreg import Hook
from optreg.schedules import Cosine, Exponential, LinearWarmup


class Averaging(Hook):
    """A hook as another package would write it: the average of the parameters, in a slot of its own."""

    timing = "post"

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def rule(self, param: Any, grad: Any, average: Any) -> None:
        average += (param - average) * max(1 / self.t, self.rate)


def _hooks(kind: str) -> list[Any]:
    kinds: dict[str, list[Any]] = {
        "none": [],
        "weight decay": [optreg.WeightDecay(0.05)],
        "lasso": [optreg.Lasso(0.02)],
        "hard clipping": [optreg.GradientHardClipping(-0.9, 1.1)],
        "weight decay and lasso": [optreg.WeightDecay(0.05), optreg.Lasso(0.02)],
        "averaging": [Averaging(0.1)],
        "scheduled decay": [optreg.WeightDecay(Exponential(initial=0.1, factor=0.9))],
        "all of them": [
            optreg.WeightDecay(Exponential(initial=0.1, factor=0.9)),
            optreg.Lasso(0.02),
            optreg.GradientHardClipping(-0.9, 1.1),
            Averaging(0.1),
        ],
    }
    return kinds[kind]


# Without hooks, each is compared by the conformance kit as well.
KINDS = [
    "all of them",
    *(
        pytest.param(kind, marks=pytest.mark.exhaustive)
        for kind in [
            "none",
            "weight decay",
            "lasso",
            "hard clipping",
            "weight decay and lasso",
            "averaging",
            "scheduled decay",
        ]
    ),
]
REDUCING = ["lars", "lamb", "novograd", "stable_adamw", "mars", "tiger"]
"""They need norms or means of whole tensors, which backends sum in different orders."""
NAMES = [name for name in optreg.names() if "/" not in name and getattr(optreg.get(name), "elementwise", False)]
# What is made of sums over all tensors is compared by the conformance kit; fifty steps make too much of rounding.
NAMES = [name for name in NAMES if name not in REDUCING and not hasattr(optreg.get(name), "measure")]


def _run(name: str, kind: str, dtypes: list[str], result: Any = everything, master: bool = False) -> Any:
    """50 steps with schedules, options, and parameters that come late."""
    options = {"*/b": {"lr": 0.05}, "*/scale": {"lr": LinearWarmup(steps=10, then=0.2)}} if has(name, "lr") else None
    scheduled = {"lr": Cosine(initial=0.1, steps=40)} if has(name, "lr") else {}
    optimizer = optreg.create(name, options=options, hooks=_hooks(kind), master_weights=master, **scheduled)
    tree = parameters(*dtypes)
    optimizer.setup(tree)
    rng = np.random.default_rng(5)
    repeated = 0
    for number in range(50):
        if number == 20:
            tree["late"] = {"b": np.ones(9, np.float32), "c": np.ones((2, 2))}
        if number == 35:
            for parameter in optimizer.target.params():
                parameter.grad = None
            optimizer.update()
        else:
            step(optimizer, rng)
        repeated += repeats(optimizer)
    return result(optimizer), repeated


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_has_the_bits_of_numpy_under(name, kind):
    # float32 is what float16 is computed in; the exhaustive tests take all three.
    dtypes = ["float16", "float64"] if kind == "all of them" else ["float16", "float32", "float64"]
    (expected, none), (found, steps) = both(lambda: _run(name, kind, dtypes))
    assert_same(expected, found)
    assert none == 0
    assert steps == 50, "some steps were left to NumPy"


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_with_master_weights_has_the_bits_of_numpy(name):
    def run() -> Any:
        return _run(name, "all of them", ["float16"], master=True)

    (expected, none), (found, steps) = both(run)
    assert_same(expected, found)
    assert (none, steps) == (0, 50), "some steps were left to NumPy"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REDUCING)
def test_a_built_in_with_norms_has_the_numbers_of_numpy_but_for_rounding_under(name, kind):
    (expected, none), (found, steps) = both(lambda: _run(name, kind, ["float32", "float64"], arrays))
    assert_close(expected, found, 50)
    assert (none, steps) == (0, 50), "some steps were left to NumPy"


def test_there_are_as_many_built_ins_as_the_table_of_optimizers_says():
    assert len(NAMES) >= 27
