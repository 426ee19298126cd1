"""Something that is done between two steps to the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.steps import step

Change = Callable[[Any, dict[str, Any]], Any]
"""Takes an optimizer and the mapping of its parameters; may return another optimizer to go on with."""


def new_tree() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        "l1": {"W": rng.normal(size=(4, 5)).astype("f4"), "b": rng.normal(size=5).astype("f4")},
        "l2": {"W": rng.normal(size=(5, 2)).astype("f4"), "none": None},
        "list": [np.ones(3, "f4"), np.zeros(2, "f4")],
    }


def new(shape: Any = (4, 5), dtype: str = "f4", fill: float = 0.5) -> Any:
    return np.full(shape, fill, dtype)


CHANGES: dict[str, Change] = {}


def change(function: Change) -> Change:
    """Something that is done between two steps."""
    CHANGES[function.__name__.strip("_").replace("_", " ")] = function
    return function


@change
def _a_parameter_is_a_new_array(optimizer, tree):
    tree["l1"]["W"] = new()


@change
def _a_parameter_is_a_new_array_in_a_list(optimizer, tree):
    tree["list"][0] = new(3)


@change
def _a_parameter_is_set(optimizer, tree):
    optimizer.target["l2/W"].data = new((5, 2))


@change
def _a_parameter_has_another_order_in_memory(optimizer, tree):
    tree["l1"]["W"] = np.asfortranarray(tree["l1"]["W"])


@change
def _a_parameter_is_strided(optimizer, tree):
    tree["l1"]["b"] = np.ones(10, "f4")[::2]


@change
def _a_parameter_has_another_shape(optimizer, tree):
    tree["l1"]["W"] = new((5, 4))


@change
def _a_parameter_has_another_dtype(optimizer, tree):
    tree["l1"]["W"] = new(dtype="f8")


@change
def _a_parameter_is_reshaped_in_place(optimizer, tree):
    tree["l1"]["W"].shape = (2, 10)


@change
def _a_parameter_is_resized_in_place(optimizer, tree):
    tree["l1"]["b"].resize(9, refcheck=False)


@change
def _a_parameter_is_made_smaller_in_place(optimizer, tree):
    tree["l1"]["b"].resize(2, refcheck=False)


@change
def _a_parameter_is_read_only(optimizer, tree):
    tree["l1"]["b"].flags.writeable = False


@change
def _a_parameter_is_a_number(optimizer, tree):
    tree["l1"]["b"] = 3.0


@change
def _a_parameter_is_gone(optimizer, tree):
    del tree["l1"]["b"]


@change
def _a_mapping_of_parameters_is_gone(optimizer, tree):
    del tree["l2"]


@change
def _all_parameters_are_gone(optimizer, tree):
    tree.clear()


@change
def _a_parameter_is_new(optimizer, tree):
    tree["new"] = new(3)


@change
def _a_parameter_is_initialized(optimizer, tree):
    tree["l2"]["none"] = new(3)


@change
def _a_parameter_is_not_initialized_any_more(optimizer, tree):
    tree["l2"]["W"] = None


@change
def _a_parameter_has_another_name(optimizer, tree):
    tree["l1"]["c"] = tree["l1"].pop("b")


@change
def _a_parameter_goes_as_another_comes(optimizer, tree):
    del tree["l1"]["b"]
    tree["l1"]["c"] = new(7)


@change
def _two_parameters_are_swapped(optimizer, tree):
    tree["list"].reverse()


@change
def _two_parameters_of_one_shape_are_swapped(optimizer, tree):
    tree["same"] = new()
    step(optimizer, np.random.default_rng(9))
    tree["l1"]["W"], tree["same"] = tree["same"], tree["l1"]["W"]


@change
def _the_order_of_parameters_is_another(optimizer, tree):
    tree["l1"]["W"] = tree["l1"].pop("W")


@change
def _a_mapping_is_another(optimizer, tree):
    tree["l1"] = {key: array.copy() for key, array in tree["l1"].items()}


@change
def _a_parameter_is_a_mapping(optimizer, tree):
    tree["l1"]["b"] = {"inner": new(5)}


@change
def _two_paths_share_an_array(optimizer, tree):
    tree["same"] = new()
    step(optimizer, np.random.default_rng(9))
    tree["same"] = tree["l1"]["W"]


@change
def _two_paths_that_shared_an_array_do_so_no_more(optimizer, tree):
    tree["same"] = tree["l1"]["W"]
    step(optimizer, np.random.default_rng(9))
    step(optimizer, np.random.default_rng(9))
    tree["same"] = tree["l1"]["W"].copy()


@change
def _the_first_of_two_paths_that_shared_an_array_has_its_own(optimizer, tree):
    tree["same"] = tree["l1"]["W"]
    step(optimizer, np.random.default_rng(9))
    step(optimizer, np.random.default_rng(9))
    tree["l1"]["W"] = tree["l1"]["W"].copy()


@change
def _a_parameter_is_a_view_of_another(optimizer, tree):
    tree["same"] = new()
    step(optimizer, np.random.default_rng(9))
    tree["same"] = tree["l1"]["W"][:]


@change
def _a_parameter_overlaps_another(optimizer, tree):
    memory = np.zeros(12, "f4")
    tree["l1"]["b"] = memory[:5]
    tree["late"] = memory[3:]
