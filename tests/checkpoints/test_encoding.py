"""Values become JSON and come back the same, down to their types and bits."""

from __future__ import annotations

import json
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from optreg import schedules
from optreg.encoding import decoded, encoded
from optreg.errors import CheckpointError

from .others import Halving
from .runs import contents

TAGS = st.sampled_from(["__array__", "__tuple__", "__pairs__", "__scalar__", "__schedule__", "__complex__"])
SCALARS = stn.scalar_dtypes().flatmap(lambda dtype: stn.arrays(dtype, ()).map(lambda array: array[()]))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | SCALARS
    | stn.arrays(stn.scalar_dtypes() | stn.array_dtypes(), stn.array_shapes(min_dims=0, min_side=0, max_side=3))
)
VALUES = st.recursive(
    LEAVES,
    lambda children: (
        st.lists(children, max_size=3)
        | st.lists(children, max_size=3).map(tuple)
        | st.dictionaries(TAGS | st.text(max_size=3), children, max_size=3)
        | st.dictionaries(st.integers() | st.booleans() | st.tuples(st.text(), st.none()), children, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_any_value_comes_back_with_its_types_and_bits(value):
    text = json.dumps(encoded(value, "it"))
    assert contents(decoded(json.loads(text))) == contents(value)


def test_arrays_keep_their_memory_order_and_come_back_as_copies():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    back = decoded(encoded(array, "it"))
    assert back.flags.f_contiguous
    assert back.flags.writeable
    assert not np.shares_memory(array, back)
    mutable = {"a": [array]}
    copy = decoded(encoded(mutable, "it"))
    array[...] = 0
    assert copy["a"][0].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "schedule",
    [schedules.Constant(0.5), schedules.LinearWarmup(steps=3, then=schedules.Step(initial=1.0, every=2)), Halving(1.0)],
)
def test_schedules_come_back_equal(schedule):
    assert decoded(json.loads(json.dumps(encoded([schedule], "it")))) == [schedule]


class Unequal(schedules.Schedule):
    """A schedule that its config does not describe."""

    name = "unequal"

    def __eq__(self, other):
        return self is other

    __hash__ = None


@pytest.mark.parametrize(
    "value",
    [
        object(), print, {1, 2}, b"bytes", Fraction(1, 2), OrderedDict(a=1), np.array([None, 1], dtype=object),
        np.zeros(2, [("a", object)]), schedules.LinearWarmup(steps=3, then=lambda t: 1.0), Unequal(),
        [1, ({"a": object()},)], {object(): 1},
    ],
)  # fmt: skip
def test_other_values_are_refused_by_name(value):
    with pytest.raises(CheckpointError, match=r"the thing is or holds .*, which cannot be saved without pickle; keep"):
        encoded(value, "the thing")
