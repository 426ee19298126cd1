"""The text of a traced rule in C++, for one element of a tensor: a CUDA kernel stands around it, or a loop on the host.

Its parts, in namespace scope::

    union Word { … };                               a scalar: the number, or where on the device it is
    struct Once { … };                              what is the same for every element of a tensor
    Once once(const Word *scalars, const double *known, numbers…);
                                                    from the group's scalars, what is known of the tensor as a whole,
                                                    and the slots that are one number
    void element(const Once &once, arrays…);        changes the element of each array that the rule stores to

What has to be known of whole tensors before is found out by other texts, in which ``element`` has further arguments,
``totals…``, to which it adds what it finds. ``known`` has a column for each reduction and one for the tensor's size.

The macro ``OPTREG_FUNCTION`` stands before each function, and ``OPTREG_INFINITY`` is what it says. It is to be compiled
without contraction to multiply-adds, and with division and roots as IEEE 754 has them; then it gives NumPy's bits.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import attrs

from optreg.errors import UntraceableRuleError
from optreg.tracing.nodes import DType, HostValue, Load, Operation, Reduction, Rule, Size, Value, in_order

TYPES = {"float16": "Half", "float32": "float", "float64": "double", "bool": "bool", "int64": "long long"}
"""How a dtype is called. ``Half`` is only stored: ``to_float`` and ``to_half`` convert it."""

_SUFFIX = {"float32": "f", "float64": ""}
"""Of C's functions, by the dtype of their arguments."""

_INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "logical_and": "&&", "logical_or": "||",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=",
}  # fmt: skip

_TEXTS = {
    "negative": "-{0}",
    "positive": "{0}",
    "square": "{0} * {0}",
    "reciprocal": "1 / {0}",
    "logical_not": "!{0}",
    "isfinite": "{0} - {0} == 0",
    "isnan": "{0} != {0}",
    # As NumPy has them: a NaN is handed on, and of two equal numbers (that is, zeros) the second one is taken.
    "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}",
    "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}",
    "fmax": "{0} > {1} || {1} != {1} ? {0} : {1}",
    "fmin": "{0} < {1} || {1} != {1} ? {0} : {1}",
    "sign": "{0} > 0 ? 1 : {0} < 0 ? -1 : {0} == 0 ? 0 : {0}",
    "where": "{0} ? {1} : {2}",
}

_OF_C = {
    "sqrt": "sqrt", "absolute": "fabs", "fabs": "fabs", "floor": "floor", "ceil": "ceil", "copysign": "copysign",
    "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "tanh": "tanh", "power": "pow",
    "remainder": "remainder_of",
}  # fmt: skip
"""Functions that have a name in C, or that are written below."""

_OF_INTEGERS = {"absolute": "{0} < 0 ? -{0} : {0}", "floor": "{0}", "ceil": "{0}"}

_REMAINDER = """\
OPTREG_FUNCTION {type} remainder_of{suffix}({type} a, {type} b) {{
    const {type} rest = fmod{suffix}(a, b);
    if (b == 0) return rest;
    if (rest == 0) return copysign{suffix}(0, b);
    return (b < 0) != (rest < 0) ? rest + b : rest;
}}
"""

JOINS = {"add": "Sum", "maximum": "Largest", "minimum": "Smallest"}
"""How the results of a reduction are joined: what it begins with, and a function of two results."""

_WORD = "union Word { double number; const double *at; };"

JOINS_SOURCE = """\
struct Sum {
    OPTREG_FUNCTION double none() { return 0; }
    OPTREG_FUNCTION double of(double a, double b) { return a + b; }
};
struct Largest {
    OPTREG_FUNCTION double none() { return -OPTREG_INFINITY; }
    OPTREG_FUNCTION double of(double a, double b) { return b > a || b != b ? b : a; }
};
struct Smallest {
    OPTREG_FUNCTION double none() { return OPTREG_INFINITY; }
    OPTREG_FUNCTION double of(double a, double b) { return b < a || b != b ? b : a; }
};
"""


@attrs.frozen
class Element:
    """The text for a rule, and how its functions are called.

    Attributes:
        text: C++.
        numbers: the positions of the inputs whose single number ``once`` takes, in order.
        arrays: the positions of the inputs of which ``element`` takes an element, in order.
        loaded: those of ``arrays`` that are read.
        stored: those of ``arrays`` that are changed.
        new_numbers: the inputs that are single numbers and change, with the field of ``Once`` that holds the new one.
        totals: for each of the totals that ``element`` adds to, what joins two of them.
    """

    text: str
    numbers: tuple[int, ...]
    arrays: tuple[int, ...]
    loaded: frozenset[int]
    stored: frozenset[int]
    new_numbers: tuple[tuple[int, str], ...]
    totals: tuple[str, ...]


def type_of(dtype: DType) -> str:
    """The name of a dtype in C++.

    Raises:
        UntraceableRuleError: it has none.
    """
    if dtype.name not in TYPES:
        raise UntraceableRuleError(f"values of {dtype} cannot be compiled to C++")
    return TYPES[dtype.name]


def element_source(rule: Rule, found: Sequence[Reduction] = (), on_device: Set[int] = frozenset()) -> Element:
    """Write the functions of a rule.

    Args:
        rule: joined by ``chain``.
        found: what is to be found out of whole tensors, instead of changing anything.
        on_device: the positions of the scalars that are there.

    Raises:
        UntraceableRuleError: it computes something that has no counterpart in C++.
    """
    stores = () if found else rule.stores
    results = {reduction.operand for reduction in found}.union(value for _, value in stores)
    values = in_order([*(reduction.operand for reduction in found), *(value for _, value in stores)], known=Reduction)
    names = {value: f"v{number}" for number, value in enumerate(values)}
    loads = [value for value in values if isinstance(value, Load)]
    numbers = sorted({load.array for load in loads if load.single})
    loaded = frozenset(load.array for load in loads if not load.single)
    stored = {position: value for position, value in stores if not rule.inputs[position].single}
    arrays = tuple(sorted(loaded | stored.keys()))
    totals = tuple(JOINS[reduction.function] for reduction in found)

    single = [value for value in values if value.single]
    needed = results.union(*(value.operands for value in values if isinstance(value, Operation) and not value.single))
    handed_on = [value for value in single if value in needed]
    of_each = {value: f"once.{name}" if value.single else name for value, name in names.items()}
    text = _Text(rule, on_device)
    lines = [
        _WORD,
        f"struct Once {{ {' '.join(f'{type_of(value.dtype)} {names[value]};' for value in handed_on)} }};",
        f"OPTREG_FUNCTION Once once(const Word *scalars, const double *known{_arguments(rule, numbers, set())}) {{",
        *(f"    const {type_of(value.dtype)} {names[value]} = {text.of(value, names)};" for value in single),
        f"    return Once{{{', '.join(names[value] for value in handed_on)}}};",
        "}",
        f"OPTREG_FUNCTION void element(const Once &once{_arguments(rule, arrays, stored.keys())}"
        f"{''.join(f', double &r{number}' for number in range(len(totals)))}) {{",
        *(f"    const {type_of(v.dtype)} {names[v]} = {text.of(v, of_each)};" for v in values if not v.single),
        *(f"    a{position} = {of_each[value]};" for position, value in stored.items()),
        *(f"    r{n} = {join}::of(r{n}, {of_each[found[n].operand]});" for n, join in enumerate(totals)),
        "}",
    ]
    return Element(
        text="\n".join([*_helpers(values), *([JOINS_SOURCE] if totals else []), *lines, ""]),
        numbers=tuple(numbers),
        arrays=arrays,
        loaded=loaded,
        stored=frozenset(stored),
        new_numbers=tuple((position, of_each[value]) for position, value in stores if position not in stored),
        totals=totals,
    )


def _arguments(rule: Rule, positions: Sequence[int], changed: Set[int]) -> str:
    types = {position: type_of(rule.inputs[position].dtype) for position in positions}
    return "".join(f", {name}{' &' if position in changed else ' '}a{position}" for position, name in types.items())


def _helpers(values: Sequence[Value]) -> list[str]:
    kinds = {value.dtype.name for value in values if isinstance(value, Operation) and value.function == "remainder"}
    return [_REMAINDER.format(type=TYPES[kind], suffix=_SUFFIX[kind]) for kind in sorted(kinds & _SUFFIX.keys())]


class _Text:
    """Values of a rule as C++, given the names of what they are made of."""

    def __init__(self, rule: Rule, on_device: Set[int]) -> None:
        self._columns: dict[Value, int] = {value: column for column, value in enumerate(rule.reductions)}
        self._on_device = on_device

    def of(self, value: Value, names: dict[Value, str]) -> str:
        if isinstance(value, Load):
            return f"a{value.array}"
        if isinstance(value, Operation):
            return _called(value, [names[each] for each in value.operands])
        number = self._number(value)
        return f"{number} != 0" if value.dtype.kind == "b" else f"({type_of(value.dtype)}){number}"

    def _number(self, value: HostValue | Reduction | Size) -> str:
        if isinstance(value, HostValue):
            at = value.position
            return f"*scalars[{at}].at" if at in self._on_device else f"scalars[{at}].number"
        return f"known[{self._columns.get(value, len(self._columns))}]"


def _called(operation: Operation, operands: Sequence[str]) -> str:
    function, dtype = operation.function, operation.operands[0].dtype
    if function == "cast":
        return _cast(operands[0], dtype, operation.dtype)
    if function in _INFIX:
        return f"{operands[0]} {_INFIX[function]} {operands[1]}"
    if function in _TEXTS:
        return _TEXTS[function].format(*operands)
    if dtype.kind == "i" and function in _OF_INTEGERS:
        return _OF_INTEGERS[function].format(*operands)
    if dtype.name not in _SUFFIX or function not in _OF_C:
        raise UntraceableRuleError(f"np.{function} of {dtype} cannot be compiled to C++")
    return f"{_OF_C[function]}{_SUFFIX[dtype.name]}({', '.join(operands)})"


def _cast(operand: str, old: DType, new: DType) -> str:
    if new.kind == "b":
        return f"{operand} != 0"
    if old.name == "float16":
        return f"({type_of(new)})to_float({operand})"
    if new.name == "float16":
        if old.name != "float32":
            raise UntraceableRuleError(f"{old} cannot be rounded to float16 in one step; make it float32 first")
        return f"to_half({operand})"
    return f"({type_of(new)}){operand}"
