"""A file that reads well and says what optreg never wrote: an error, and the optimizer is as it was."""

from __future__ import annotations

import copy
import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optreg
from optreg import schedules

from .others import Averaging, Remembering
from .runs import contents, new_parameters, run


class Everything(Remembering):
    """An optimizer of which a file holds something of every kind."""

    def __init__(self, lr=0.1, momentum=0.5, table=(1, {2: 1j})):
        super().__init__(lr)
        self.momentum = momentum
        self.table_of = table
        self.generator = np.random.default_rng(0)

    def init_state(self, param, state):
        state.update(m=np.zeros_like(param.data), steps=0)


def make(lr=0.1):
    optimizer = Everything(lr)
    schedule = schedules.LinearWarmup(steps=3, then=schedules.Step(initial=lr, every=2))
    optimizer.options = {"*/b": {"lr": 0.2}, "/l1/*": {"momentum": 0.2, "lr": schedule}}
    optimizer.add_hook("gradient_noise", eta=0.1, seed=0)
    optimizer.add_hook(Averaging(0.2))
    optimizer.add_hook("skip_nonfinite")
    parameters = {key: value for key, value in new_parameters().items() if key != "empty"}
    return run(optimizer.setup(parameters), 2)


@functools.cache
def arrays():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.npz")
        optreg.save(path, make())
        with np.load(path) as file:
            return dict(file)


def metadata():
    return json.loads(arrays()["__optreg__"].tobytes())


def load_into(optimizer, text=None, **changed):
    """Load the checkpoint, with another text or with other arrays (None: without)."""
    everything = {**arrays(), **changed}
    if text is not None:
        text = text if isinstance(text, str) else json.dumps(text)
        everything["__optreg__"] = np.frombuffer(text.encode(), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.npz")
        np.savez(path, **{name: value for name, value in everything.items() if value is not None})
        optreg.load(path, optimizer)


def assert_refused(match, text=None, **changed):
    optimizer = make(0.25)
    before = contents(optimizer)
    with pytest.raises(optreg.errors.CheckpointError, match=match):
        load_into(optimizer, text, **changed)
    assert contents(optimizer) == before


def test_the_file_loads_as_long_as_nobody_changes_it():
    optimizer = make(0.25)
    load_into(optimizer)
    optimizer.target.arrays.update(make().target.arrays)
    assert contents(optimizer) == contents(make())


def places(node, path=()):
    """The paths of everything in nested JSON."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


PLACES = sorted(places(metadata()), key=repr)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["__array__", "__tuple__", "__pairs__", "__scalar__", "__schedule__", "schedule", "lr"]),
            children,
            max_size=2,
        )
    ),
    max_leaves=4,
)


@settings(max_examples=150)
@given(place=st.sampled_from(PLACES), new=JSON, remove=st.booleans())
def test_any_other_json_is_loaded_or_refused_whole(place, new, remove):
    text = metadata()
    node = functools.reduce(lambda node, key: node[key], place[:-1], text)
    if remove:
        del node[place[-1]]
    else:
        node[place[-1]] = new
    optimizer = make(0.25)
    before = contents(optimizer)
    try:
        load_into(optimizer, text)
    except optreg.errors.CheckpointError:
        assert contents(optimizer) == before


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "3", '"text"', "{}", "\ud800".encode("utf-16", "surrogatepass")]
)
def test_a_description_that_is_none_is_refused(text):
    assert_refused("its description is damaged", text if isinstance(text, str) else text.hex())


def changed(*path, to):
    text = metadata()
    node = functools.reduce(lambda node, key: node[key], path[:-1], text)
    node[path[-1]] = to
    return text


@pytest.mark.parametrize("newer", [2, 1.5, "1", None])
def test_a_newer_format_is_refused(newer):
    text = changed("format", to=newer)
    text["version"] = "9.9"
    assert_refused(rf"it is of format {newer} \(optreg 9.9\), and this optreg reads 1; nothing was loaded", text)


@pytest.mark.parametrize("rate", [-0.1, float("inf"), "0.1", True, None, [0.1]])
def test_hyperparameters_out_of_bounds_or_of_other_types_are_refused(rate):
    assert_refused(
        "hook Averaging: Averaging: rate must be a number >= 0",
        changed("hooks", 1, "hyperparameters", "rate", to=rate),
    )
    assert_refused("hook gradient_noise: .*eta", changed("hooks", 0, "hyperparameters", "eta", to=rate))


def test_unknown_hyperparameters_are_refused():
    assert_refused(
        "the optimizer: Everything has no hyperparameter warmth; nothing",
        changed("hyperparameters", "warmth", to=1.0),
    )
    assert_refused("options: Everything has no hyperparameter 'warmth'", changed("options", "*/b", "warmth", to=1.0))


def test_a_pattern_that_matches_nothing_is_refused():
    assert_refused(r"options: the pattern '\*/bias' in options", changed("options", "*/bias", to={"lr": 0.1}))


def test_an_attribute_that_is_no_hyperparameter_cannot_be_set():
    for name in ("target", "_states", "update", "__class__", "t"):
        assert_refused(f"has no hyperparameter {name}", changed("hyperparameters", name, to=1))


@pytest.mark.parametrize("state", [None, 3, {}, {"bit_generator": "MT19937"}, {"bit_generator": "PCG64", "state": "x"}])
def test_a_generator_in_no_state_is_refused(state):
    assert_refused("the optimizer: ", changed("generators", "generator", to=state))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("t", np.array([1, 2])), ("t", np.array(-1)), ("t", np.array(0.5)), ("epoch", np.array("one")),
        ("epoch", np.array(np.nan)), ("t", np.array(True)),
    ],
)  # fmt: skip
def test_counts_that_count_nothing_are_refused(name, value):
    text = metadata()
    del text["values"][name]
    assert_refused(f"{name} is .*, which counts nothing", text, **{name: value})


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], -1, {"__scalar__": ""}])
def test_counts_that_are_written_as_something_else_are_refused(value):
    assert_refused("which counts nothing|is damaged", changed("values", "epoch", to=value))


@pytest.mark.parametrize("name", ["t", "epoch"])
def test_counts_that_are_missing_are_a_key_error(name):
    text = metadata()
    del text["values"][name]
    assert_refused(f"{name} is missing", text, **{name: None})


def test_states_that_are_missing_or_unexpected_are_refused():
    assert_refused("/l1/W: m is missing", None, **{"l1/W/m": None})
    assert_refused("/l1/W: extra is unexpected", None, **{"l1/W/extra": np.ones(3)})
    assert_refused("/l7/W: m is unexpected", None, **{"l7/W/m": np.ones(3)})
    assert_refused("hook Averaging: /l1/W: average is missing", None, **{"__hooks__/Averaging/l1/W/average": None})
    assert_refused("hook Averaging: /l1/W: x is unexpected", None, **{"__hooks__/Averaging/l1/W/x": np.ones(1)})
    assert_refused("/__hooks__/other/l1/W: m is unexpected", None, **{"__hooks__/other/l1/W/m": np.ones(1)})


def test_a_file_without_its_description_is_taken_for_one_of_chainer():
    optimizer = make(0.25)
    optimizer._hook_states["Averaging"]["/l1/b"]["average"][...] = 7
    expected = copy.deepcopy(optimizer)
    without_hooks = {name: None for name in arrays() if name.startswith("__")}
    load_into(optimizer, None, **without_hooks)
    assert optimizer.t == 2
    assert optimizer.lr == 0.25
    assert optimizer._states["/l1/W"]["m"].tobytes() == arrays()["l1/W/m"].tobytes()
    assert contents(optimizer._hooks) == contents(expected._hooks)
    assert contents(optimizer._hook_states) == contents(expected._hook_states)
