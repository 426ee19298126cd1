"""Rules that are composed at random of the operations that can be traced."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from hypothesis import note
from hypothesis import strategies as st

from optreg.tracing.symbols import UFUNCS

EXACT = sorted(set(UFUNCS) - {"exp", "expm1", "log", "log1p", "tanh", "power", "fmax", "fmin"})
"""What has NumPy's bits everywhere. (NumPy's fmax and fmin take now the one zero, now the other, by their place.)"""

NUMBERS = [0, 1, 2, -1, 0.5, 2.0, True, 1e-3, np.float64(0.1), np.float32(0.1)]
SCALARS = ["self.lr", "self.power", "self.t", "self.betas[1]", "self.strong", "self.weak", "(self.t > 2)"]

arrays = st.sampled_from(["param", "grad", "m", "n", "made"])
operands = st.one_of(arrays, st.sampled_from(SCALARS), st.sampled_from([repr(number) for number in NUMBERS]))


class Hyperparameters:
    """What random rules read of ``self``."""

    lr, power, betas, strong, weak = 0.1, 2.0, (0.9, 0.999), np.float64(0.3), np.float32(0.3)


class _Self(Hyperparameters):
    t = 3


def _statements(functions: Collection[str]) -> st.SearchStrategy[str]:
    unary, binary = (
        st.sampled_from(sorted(name for name in functions if getattr(np, name).nin == count)) for count in (1, 2)
    )
    expressions = st.one_of(
        st.tuples(unary, arrays).map(lambda each: f"np.{each[0]}({each[1]})"),
        st.tuples(binary, arrays, operands).map(lambda each: f"np.{each[0]}({each[1]}, {each[2]})"),
        st.tuples(binary, operands, arrays).map(lambda each: f"np.{each[0]}({each[1]}, {each[2]})"),
        st.tuples(arrays, operands, operands).map(lambda each: f"np.where({', '.join(each)})"),
        st.tuples(arrays, operands, operands).map(lambda each: f"np.clip({', '.join(each)})"),
        st.tuples(arrays, st.sampled_from(["float32", "float64"])).map(lambda each: f"{each[0]}.astype('{each[1]}')"),
    )
    return st.one_of(
        st.tuples(st.just("made ="), expressions),
        st.tuples(arrays, st.sampled_from(["+=", "-=", "*=", "/=", "[...] ="]), st.one_of(operands, expressions)),
    ).map(" ".join)


def _possible(line: str, names: dict[str, Any]) -> bool:
    """Whether NumPy can do a statement, and a trace can; another one is left out of the rule."""
    expression = line.partition("= ")[2]
    of_bits = "bitwise" in line or "invert" in line  # which are traced for True and False only
    try:
        with np.errstate(all="ignore"):
            dtype = np.asarray(eval(expression, {"np": np}, names)).dtype
            exec(line, {"np": np}, names)
    except (TypeError, ValueError):  # no such loop, a result that cannot be cast or has axes, a number that is no array
        return False
    return dtype.name in (("bool",) if of_bits else ("bool", "int64", "float32", "float64"))


@st.composite
def rules(draw: st.DrawFn, functions: Collection[str] = UFUNCS) -> tuple[Any, str]:
    """A function ``rule(self, param, grad, m, n)``, where ``n`` is a single number, and the dtype of its arrays.

    Args:
        draw: given by Hypothesis.
        functions: the names of the functions of NumPy that it may call.
    """
    lines = draw(st.lists(_statements(functions), min_size=1, max_size=8))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    rng = np.random.default_rng(1)
    arguments = {name: rng.normal(size=58).astype(dtype) for name in ("param", "grad", "m")}
    names = {"self": _Self, **arguments, "n": np.array(0.5, dtype), "made": arguments["grad"] * 2}
    kept = ["made = grad * 2"]
    for line in lines:
        before = dict(names)
        if _possible(line, names):
            kept.append(line)
        else:
            names = before
    text = "def rule(self, param, grad, m, n):\n    " + "\n    ".join([*kept, "param += 0"])
    note(f"{dtype}:\n{text}")
    scope: dict[str, Any] = {"np": np}
    exec(text, scope)
    return scope["rule"], dtype
