"""Random rules: whatever is composed of the operations that can be traced has NumPy's bits."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optreg.tracing.symbols import UFUNCS

from .test_operations import check

UNARY = sorted(name for name in UFUNCS if getattr(np, name).nin == 1)
BINARY = sorted(name for name in UFUNCS if getattr(np, name).nin == 2)
ARRAYS = ["param", "grad", "m", "n", "made"]
NUMBERS = [0, 1, 2, -1, 0.5, 2.0, True, 1e-3, np.float64(0.1), np.float32(0.1)]
SCALARS = ["self.lr", "self.power", "self.t", "self.betas[1]", "self.strong", "self.weak", "(self.t > 2)"]

arrays = st.sampled_from(ARRAYS)
operands = st.one_of(arrays, st.sampled_from(SCALARS), st.sampled_from([repr(number) for number in NUMBERS]))
expressions = st.one_of(
    st.tuples(st.sampled_from(UNARY), arrays).map(lambda each: f"np.{each[0]}({each[1]})"),
    st.tuples(st.sampled_from(BINARY), arrays, operands).map(lambda each: f"np.{each[0]}({each[1]}, {each[2]})"),
    st.tuples(st.sampled_from(BINARY), operands, arrays).map(lambda each: f"np.{each[0]}({each[1]}, {each[2]})"),
    st.tuples(arrays, operands, operands).map(lambda each: f"np.where({', '.join(each)})"),
    st.tuples(arrays, operands, operands).map(lambda each: f"np.clip({', '.join(each)})"),
    st.tuples(arrays, st.sampled_from(["float32", "float64"])).map(lambda each: f"{each[0]}.astype('{each[1]}')"),
)
statements = st.one_of(
    st.tuples(st.just("made ="), expressions),
    st.tuples(arrays, st.sampled_from(["+=", "-=", "*=", "/=", "[...] ="]), st.one_of(operands, expressions)),
).map(" ".join)


def possible(line, names):
    """Whether NumPy can do a statement; one that it refuses to do is left out of the rule."""
    try:
        with np.errstate(all="ignore"):
            exec(line, {"np": np}, names)
    except (TypeError, ValueError):  # no such loop, a result that cannot be cast or has axes, a number that is no array
        return False
    of_bits = "bitwise" in line or "invert" in line  # which are traced for True and False only
    return np.asarray(names["made"]).dtype.name in (("bool",) if of_bits else ("bool", "int64", "float32", "float64"))


class _Self:
    t, lr, power, betas, strong, weak = 3, 0.1, 2.0, (0.9, 0.999), np.float64(0.3), np.float32(0.3)


@settings(max_examples=200, deadline=None)
@given(st.lists(statements, min_size=1, max_size=8), st.sampled_from(["float32", "float64"]))
def test_a_random_rule_has_the_bits_of_numpy(lines, dtype):
    rng = np.random.default_rng(1)
    arguments = {name: rng.normal(size=58).astype(dtype) for name in ("param", "grad", "m")}
    names = {"self": _Self, **arguments, "n": np.array(0.5, dtype), "made": arguments["grad"] * 2}
    kept = ["made = grad * 2"]
    for line in lines:
        before = dict(names)
        if possible(line, names):
            kept.append(line)
        else:
            names = before
    scope = {"np": np}
    exec("def rule(self, param, grad, m, n):\n    " + "\n    ".join(kept), scope)
    check(scope["rule"], dtype)
