"""Rules that take scalars for plain numbers, as with the math module, are traced anew at each step."""

import math

import attrs
import numpy as np
import pytest

from optreg.hyperparameters import positive
from optreg.optimizer import GradientMethod
from optreg.rule import OwnedRule
from optreg.tracing.nodes import Input
from optreg.tracing.trace import trace, traced

FLOAT = np.dtype(np.float32)
INPUTS = Input("param", FLOAT), Input("grad", FLOAT)


@attrs.define(eq=False)
class Rooted(GradientMethod):
    """Steps that fall with the root of the step, every third of them twice as long."""

    lr: float = positive(0.1)

    def rule(self, param, grad):
        length = self.lr / math.sqrt(self.t)
        param -= (2 * length if int(self.t) % 3 == 0 else length) * grad


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_rule_with_functions_of_math_is_right_at_every_step(backend, monkeypatch, tmp_path):
    import optreg

    if backend == "numba":
        pytest.importorskip("numba")
        monkeypatch.setenv("OPTREG_COMPILE", "now")
    w = np.linspace(-1, 1, 40_000, dtype=np.float32)
    wanted = w.copy()
    with optreg.use_backend(backend):
        optimizer = Rooted().setup({"w": w})
        for t in range(1, 8):
            grad = np.cos(wanted)
            optimizer.apply_gradients({"w": grad.copy()})
            wanted -= (2 if t % 3 == 0 else 1) * (0.1 / math.sqrt(t)) * grad
    assert w.tobytes() == wanted.tobytes()


def test_such_a_trace_is_right_for_its_step_alone():
    optimizer = Rooted()
    optimizer.t = 4
    assert traced(OwnedRule(optimizer), INPUTS).fleeting
    first = trace(OwnedRule(optimizer), INPUTS)
    optimizer.t = 9
    assert trace(OwnedRule(optimizer), INPUTS).scalars != first.scalars
