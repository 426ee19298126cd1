"""What ``setup()`` accepts, and what it says of everything else."""

from __future__ import annotations

from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from links import Chain, Link
from untouched import untouched

import optreg
from optreg.errors import GradientError, TargetError, UnknownKeyError


def sgd(target, lr=1.0):
    return optreg.create("sgd", lr=lr).setup(target)


def names(optimizer):
    return [name for name, _ in optimizer.target.namedparams()]


def test_a_nested_mapping_has_a_path_for_every_array():
    optimizer = sgd({"l1": {"W": np.ones((2, 3)), "b": np.zeros(2)}, "scale": np.array(1.0)})
    assert names(optimizer) == ["/l1/W", "/l1/b", "/scale"]
    assert len(optimizer.target) == 3
    assert list(optimizer.target) == names(optimizer)


def test_sequences_are_nested_by_position_and_keys_may_be_numbers_or_paths():
    optimizer = sgd({"layers": [np.ones(1), (np.ones(2),)], 7: np.ones(3), "a/b": np.ones(4)})
    assert names(optimizer) == ["/layers/0", "/layers/1/0", "/7", "/a/b"]


def test_a_list_of_arrays_is_a_target():
    arrays = [np.ones(2), np.ones(3)]
    sgd(arrays).apply_gradients([np.ones(2), None])
    np.testing.assert_array_equal(arrays[0], [0, 0])
    np.testing.assert_array_equal(arrays[1], [1, 1, 1])


def test_a_mapping_that_cannot_be_assigned_to_is_updated_in_place():
    w = np.ones(2)
    sgd(MappingProxyType({"w": w})).apply_gradients({"w": np.ones(2)})
    np.testing.assert_array_equal(w, [0, 0])


@pytest.mark.parametrize("path", ["/l1/W", "l1/W"])
def test_a_parameter_is_found_by_its_path(path):
    W = np.ones((2, 3))
    target = sgd({"l1": {"W": W}}).target
    assert target[path].data is W
    assert target[path].name == "/l1/W"
    assert target[path].grad is None


def test_an_unknown_path_is_a_key_error_that_lists_the_paths_and_guesses():
    target = sgd({"l1": {"W": np.ones(2), "b": np.ones(2)}}).target
    with pytest.raises(UnknownKeyError, match=r"'/l1/w'; there are: /l1/W, /l1/b\. Did you mean '/l1/W'") as caught:
        target["/l1/w"]
    assert isinstance(caught.value, KeyError)


def test_an_array_at_two_places_is_one_parameter_and_updated_once():
    W = np.ones(2)
    optimizer = sgd({"encoder": {"W": W}, "decoder": {"W": W}})
    assert names(optimizer) == ["/encoder/W"]
    assert optimizer.target["/decoder/W"] is optimizer.target["/encoder/W"]
    optimizer.apply_gradients({"decoder": {"W": np.full(2, 0.25)}})
    np.testing.assert_array_equal(W, [0.75, 0.75])


def test_two_gradients_for_one_shared_array_are_refused():
    W = np.ones(2)
    optimizer = sgd({"a": W, "b": W})
    with untouched(optimizer), pytest.raises(GradientError, match="/b is an array that the mapping shares"):
        optimizer.apply_gradients({"a": np.ones(2), "b": np.ones(2)})


def test_a_parameter_that_a_link_reaches_twice_is_updated_once():
    link = Link(W=np.ones(2))
    optimizer = sgd(Chain(first=link, second=link))
    link.W.grad = np.full(2, 0.25)
    optimizer.update()
    np.testing.assert_array_equal(link.W.data, [0.75, 0.75])
    assert list(optimizer._states) == ["/first/W"]


def test_a_target_with_params_alone_names_them_by_their_names_or_positions():
    parameters = [SimpleNamespace(name=name, data=np.ones(2), grad=np.ones(2)) for name in ("w", None)]
    optimizer = sgd(SimpleNamespace(params=lambda: iter(parameters)))
    optimizer.update()
    assert list(optimizer._states) == ["/w", "/1"]
    assert all((parameter.data == 0).all() for parameter in parameters)


def test_a_target_needs_neither_zerograds_nor_cleargrads():
    parameter = SimpleNamespace(data=np.ones(2), grad=np.full(2, 5.0))
    target = SimpleNamespace(namedparams=lambda: iter([("/w", parameter)]))
    optimizer = optreg.create("sgd", lr=1.0).setup(target)
    mine = parameter.grad

    def lossfun():
        parameter.grad += 0.5
        return SimpleNamespace(backward=lambda: None)

    optimizer.update(lossfun)
    assert parameter.grad is mine
    np.testing.assert_array_equal(parameter.data, [0.5, 0.5])
    optimizer.use_cleargrads()
    optimizer.update(lambda: SimpleNamespace(backward=lambda: setattr(parameter, "grad", np.ones(2))))
    np.testing.assert_array_equal(parameter.data, [-0.5, -0.5])


@pytest.mark.parametrize("empty", [{}, [], {"l1": {}}])
def test_a_target_without_parameters_works(empty):
    optimizer = optreg.create("adam", hooks=["skip_nonfinite", ("gradient_clipping", {"threshold": 1.0})])
    optimizer.setup(empty).update()
    optimizer.apply_gradients({})
    assert optimizer.t == 2


def test_a_parameter_of_size_zero_works():
    parameters = {"empty": np.zeros((0, 3)), "w": np.ones(2)}
    optimizer = optreg.create("adam", lr=0.5, hooks=[("gradient_clipping", {"threshold": 1.0})]).setup(parameters)
    optimizer.apply_gradients({"empty": np.zeros((0, 3)), "w": np.ones(2)})
    assert optimizer._states["/empty"]["m"].shape == (0, 3)
    np.testing.assert_allclose(parameters["w"], 0.5)


def test_a_parameter_that_is_added_later_gets_its_state_at_the_next_update_and_the_count_of_the_optimizer():
    parameters = {"w": np.zeros(2)}
    optimizer = optreg.create("adam", lr=1.0, beta1=0.5, beta2=0.5).setup(parameters)
    optimizer.apply_gradients({"w": np.ones(2)})
    parameters["late"] = np.zeros(2)
    optimizer.apply_gradients({"w": np.ones(2), "late": np.ones(2)})
    assert optimizer.t == 2
    np.testing.assert_array_equal(optimizer._states["/late"]["m"], [0.5, 0.5])
    # Adam's correction for t = 2, not for the parameter's own first step.
    expected = -(0.5 / 0.75) / np.sqrt(0.5 / 0.75)
    np.testing.assert_allclose(parameters["late"], expected, rtol=1e-6)


def test_a_parameter_that_is_added_by_a_hook_is_updated_in_the_same_step():
    parameters = {"w": np.ones(2)}
    optimizer = sgd(parameters)
    optimizer.add_hook(lambda opt: parameters.setdefault("late", np.ones(2)), "add")
    optimizer.add_hook("weight_decay", rate=0.5)
    optimizer.update()
    np.testing.assert_array_equal(parameters["late"], [0.5, 0.5])


def test_a_late_parameter_of_integers_is_refused_before_anything_happens():
    parameters = {"w": np.ones(2)}
    optimizer = optreg.create("adam", hooks=[("weight_decay", {"rate": 0.5})]).setup(parameters)
    optimizer.target["/w"].grad = np.ones(2)
    parameters["late"] = np.arange(3)
    with untouched(optimizer), pytest.raises(TypeError, match="the parameter /late is of dtype int64"):
        optimizer.update()


def test_a_parameter_without_an_array_is_skipped_until_it_has_one():
    parameters = {"W": None, "b": np.ones(2)}
    optimizer = sgd(parameters)
    optimizer.apply_gradients({"b": np.ones(2)})
    assert list(optimizer._states) == ["/b"]
    parameters["W"] = np.ones(3)
    optimizer.apply_gradients({"W": np.ones(3)})
    np.testing.assert_array_equal(parameters["W"], [0, 0, 0])
    np.testing.assert_array_equal(parameters["b"], [0, 0])


def test_a_gradient_for_a_parameter_without_an_array_is_refused():
    optimizer = sgd({"W": None, "b": np.ones(2)})
    with (
        untouched(optimizer),
        pytest.raises(GradientError, match="the parameter /W has no array yet, so it takes no gradient"),
    ):
        optimizer.apply_gradients({"W": np.ones(2)})


def test_an_array_that_is_replaced_in_the_mapping_is_the_parameter_from_then_on():
    parameters = {"w": np.zeros(2)}
    optimizer = optreg.create("momentum_sgd", lr=1.0, momentum=0.5).setup(parameters)
    optimizer.apply_gradients({"w": np.ones(2)})
    parameters["w"] = np.zeros(2)
    optimizer.apply_gradients({"w": np.ones(2)})
    np.testing.assert_array_equal(parameters["w"], [-1.5, -1.5])


def test_a_parameter_that_has_got_another_shape_is_refused():
    parameters = {"w": np.zeros(2)}
    optimizer = optreg.create("momentum_sgd").setup(parameters)
    optimizer.update()
    parameters["w"] = np.zeros(3)
    optimizer.target["/w"].grad = np.zeros(3)
    with untouched(optimizer), pytest.raises(TargetError, match=r"/w was \(2,\) float64 and is now \(3,\) float64"):
        optimizer.update()


@pytest.mark.parametrize("wrong", [np.float64(1.0), [1.0], np.arange(2)])
def test_a_parameter_that_is_no_array_any_more_is_refused(wrong):
    parameters = {"w": np.zeros(2)}
    optimizer = optreg.create("momentum_sgd").setup(parameters)
    optimizer.update()
    parameters["w"] = wrong
    with pytest.raises((TargetError, GradientError), match="/w"):
        optimizer.apply_gradients({"w": np.zeros(2)})
    with pytest.raises((TargetError, GradientError), match="/w"):
        optimizer.update()
    assert optimizer.t == 1


def test_memory_mapped_parameters_are_updated_in_their_file(tmp_path):
    mapped = np.lib.format.open_memmap(tmp_path / "w.npy", mode="w+", dtype="f4", shape=(3,))
    optreg.create("momentum_sgd", lr=1.0).setup({"w": mapped}).apply_gradients({"w": np.ones(3, "f4")})
    mapped.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "w.npy"), [-1, -1, -1])


READ_ONLY = np.ones(2)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("xxx", "optimization target must be a link, or a mapping"),
        (None, "got NoneType"),
        (3.0, "got float"),
        (np.ones(3), "got ndarray"),
        (Link, "got the class Link"),
        ({"l1": {"W": np.arange(3)}}, "/l1/W is of dtype int64, which has no gradients"),
        ({"w": np.ones(3, bool)}, "/w is of dtype bool"),
        ({"w": np.array(["text"])}, "/w is of dtype <U4"),
        ({"w": np.array([1.0, None])}, "/w is of dtype object"),
        ({"w": 1.0}, r"/w is a float \(1.0\); parameters are arrays"),
        ({"w": [1.0, 2.0]}, r"/w/0 is a float \(1.0\)"),
        ({"w": "text"}, "/w is a str"),
        ({"w": READ_ONLY}, "/w is read-only"),
        ({"a": {"b": np.ones(1)}, "a/b": np.ones(1)}, "two arrays of the mapping have the path /a/b"),
    ],
)
def test_anything_else_is_a_type_error_that_says_what_is_accepted(target, said):
    optimizer = optreg.create("adam", hooks=["skip_nonfinite"]).setup({"w": np.ones(2)})
    optimizer.apply_gradients({"w": np.ones(2)})
    with untouched(optimizer), pytest.raises(TypeError, match=said):
        optimizer.setup(target)


def test_a_link_with_a_parameter_of_integers_is_refused():
    link = Link(W=np.ones(2))
    link.W.data = np.arange(2)
    with pytest.raises(TypeError, match="/W is of dtype int64"):
        sgd(link)


def test_a_mapping_that_gives_new_arrays_at_each_access_is_refused(tmp_path):
    np.savez(tmp_path / "w.npz", w=np.ones(2))
    with np.load(tmp_path / "w.npz") as file, pytest.raises(TypeError, match="gives a new array for /w at each access"):
        sgd(file)


def test_a_mapping_that_contains_itself_is_refused():
    inner = {"w": np.ones(2)}
    inner["again"] = {"inner": inner}
    with pytest.raises(TypeError, match="what lies at /l1/again/inner contains itself"):
        sgd({"l1": inner})


def test_a_mapping_may_hold_another_one_twice():
    inner = {"w": np.ones(2)}
    assert list(sgd({"a": inner, "b": inner}).target) == ["/a/w"]
