"""Random rules, compiled, leave NumPy's bits in parameters and states."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from tracing.random_rules import EXACT, Hyperparameters, rules

from backends.steps import assert_same, both, everything, repeats
from optreg import GradientMethod

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, np.inf, -np.inf, np.nan, 1e-45, 3e38]


@settings(max_examples=60)
@given(rules(EXACT))
def test_a_random_rule_compiled_has_the_bits_of_numpy(made):
    function, dtype = made
    first, second = np.array(np.meshgrid(SPECIAL, SPECIAL), dtype).reshape(2, -1)

    class Method(Hyperparameters, GradientMethod):
        rule = function

        def init_state(self, param: Any, state: Any) -> None:
            state["m"] = np.roll(param.data, 1)
            state["n"] = np.array(0.75, dtype)

    def run() -> Any:
        optimizer = Method().setup(
            {"special": first.copy(), "matrix": np.linspace(-2, 2, 15, dtype=dtype).reshape(3, 5)}
        )
        with np.errstate(all="ignore"):
            for gradient in (second, second[::-1].copy()):
                optimizer.target["special"].grad = gradient.copy()
                optimizer.target["matrix"].grad = np.linspace(1, -3, 15, dtype=dtype).reshape(3, 5)
                optimizer.update()
        return optimizer

    expected, found = both(run)
    assert repeats(found)
    assert_same(everything(expected), everything(found))
