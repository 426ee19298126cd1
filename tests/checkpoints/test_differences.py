"""A checkpoint of something else: the error lists the differences, and nothing is loaded."""

from __future__ import annotations

import numpy as np
import pytest

import optreg
from optreg import schedules

from .others import Averaging, Memory
from .runs import FORMATS, contents, new_parameters, run

CLIPPING = ("gradient_clipping", {"threshold": 1.0})
DECAY = ("weight_decay", {"rate": 0.1})


def make(name="adam", parameters=None, hooks=(CLIPPING, DECAY), **given):
    target = new_parameters("float32") if parameters is None else parameters
    return optreg.create(name, hooks=list(hooks), **given).setup(target)


@pytest.fixture(params=FORMATS)
def path(request, tmp_path):
    return tmp_path / f"a.{request.param}"


def assert_differs(path, saved, loading, *phrases, error=ValueError):
    """Loading ``saved`` into ``loading`` raises one error with every phrase, and changes nothing."""
    optreg.save(path, run(saved, 3))
    run(loading, 1)
    before = contents(loading)
    with pytest.raises(error) as raised:
        optreg.load(path, loading)
    message = str(raised.value)
    assert message.startswith(f"{path} does not fit this optimizer: ")
    assert message.endswith("; nothing was loaded")
    for phrase in phrases:
        assert phrase in message
    assert contents(loading) == before


def test_another_optimizer(path):
    assert_differs(path, make("adam"), make("sgd"), "it is of adam, and this is sgd")


def test_an_optimizer_of_another_package(path):
    class Mine(optreg.GradientMethod):
        def rule(self, param, grad):
            param -= grad

    name = f"{__name__}:test_an_optimizer_of_another_package.<locals>.Mine"
    assert_differs(path, make("sgd", hooks=()), Mine().setup(new_parameters("float32")), f"this is {name}")


@pytest.mark.parametrize(
    ("here", "listed"),
    [
        ((), "none"),
        ((CLIPPING,), "gradient_clipping (gradient_clipping)"),
        ((DECAY, CLIPPING), "weight_decay (weight_decay), gradient_clipping (gradient_clipping)"),
        ((optreg.GradientClipping(1.0), DECAY), "GradientClipping (gradient_clipping), weight_decay (weight_decay)"),
    ],
)
def test_other_hooks_or_another_order_or_other_names(here, listed, path):
    theirs = "its hooks are gradient_clipping (gradient_clipping), weight_decay (weight_decay)"
    assert_differs(path, make(), make(hooks=here), f"{theirs}, and here they are {listed}")


def test_another_hook_of_the_same_name(path):
    assert_differs(path, make(hooks=[Averaging()]), make(hooks=[_named("Averaging", Memory())]), "(", "others:Memory")


def _named(name, hook):
    hook.name = name
    return hook


def test_missing_and_unexpected_parameters_and_other_shapes_and_dtypes_are_all_listed(path):
    here = new_parameters("float32")
    here["new"] = np.zeros(2)
    here["l1"]["b"] = np.zeros(4, "float32")
    here["scale"] = np.zeros((), "float64")
    del here["empty"]
    assert_differs(
        path,
        make(),
        make(parameters=here),
        "the parameter /new is missing from the file",
        "the parameter /empty of the file is unexpected",
        "the parameter /l1/b is (3,) float32 in the file and (4,) float32 here",
        "the parameter /scale is () float32 in the file and () float64 here",
        error=KeyError,
    )


@pytest.mark.parametrize("method", ["sgd", "adam"])
def test_parameters_count_even_without_states(method, path):
    fewer, more = {"W": np.ones(2)}, {"W": np.ones(2), "b": np.ones(2)}
    assert_differs(path, make(method, fewer), make(method, more), "/b is missing from the file", error=KeyError)
    assert_differs(path, make(method, more), make(method, fewer), "/b of the file is unexpected")


def test_a_missing_value_is_a_key_error_and_a_wrong_one_a_value_error(path):
    optreg.save(path, make())
    here = new_parameters("float32")
    here["new"] = np.zeros(2)
    with pytest.raises(optreg.errors.MissingKeyError) as raised:
        optreg.load(path, make(parameters=here))
    assert isinstance(raised.value, KeyError)
    assert isinstance(raised.value, ValueError)
    with pytest.raises(ValueError) as raised:
        optreg.load(path, make("sgd"))
    assert not isinstance(raised.value, KeyError)


def test_of_very_many_differences_twenty_are_listed(path):
    many = {f"layer {index:03}": np.ones(2) for index in range(100)}
    optreg.save(path, make(parameters=many))
    with pytest.raises(ValueError) as raised:
        optreg.load(path, make(parameters={name: np.ones(3) for name in many}))
    message = str(raised.value)
    assert message.count("the parameter") == 20
    assert "/layer 019 is (2,) float64 in the file and (3,) float64 here; and 80 more differences; nothing" in message


def test_states_of_other_names_are_listed(path):
    class Renamed(optreg.GradientMethod):
        slot = "m"

        def init_state(self, param, state):
            state[self.slot] = np.zeros_like(param.data)

        def update_one(self, param, state):
            pass

    saved, loading = Renamed(), Renamed()
    loading.slot = "v"
    parameters = {"W": np.ones(2)}
    assert_differs(
        path,
        saved.setup(parameters),
        loading.setup(parameters),
        "/W: v is missing",
        "/W: m is unexpected",
        error=KeyError,
    )


@pytest.mark.parametrize(
    ("there", "here", "phrase"),
    [
        (np.zeros(3), np.zeros(2), "/W: m has the shape (3,) instead of (2,)"),
        (np.zeros(2, "float32"), np.zeros(2), "/W: m is of dtype float32 instead of float64"),
        (np.zeros(2, "int8"), np.zeros(2, "uint8"), "/W: m is of dtype int8 instead of uint8"),
        (np.zeros(2), 0.0, "/W: m has the shape (2,) instead of ()"),
        (0.0, np.zeros(2), "/W: m has the shape () instead of (2,)"),
    ],
)
def test_states_of_other_shapes_or_dtypes_are_listed(there, here, phrase, path):
    class Holding(optreg.GradientMethod):
        def __init__(self):
            self.first = None

        def init_state(self, param, state):
            state["m"] = there if self.first else here

        def update_one(self, param, state):
            pass

    saved = Holding()
    saved.first = True
    saved.setup({"W": np.ones(2)})
    saved.first = None
    assert_differs(path, saved, Holding().setup({"W": np.ones(2)}), phrase)


def test_the_states_of_hooks_are_compared_as_well(path):
    class Slotted(optreg.Hook):
        def __init__(self, shape=()):
            pass

        def rule(self, param, grad, average):
            pass

    saved, loading = make(hooks=[Slotted()]), make(hooks=[Slotted()])
    run(saved, 1)
    saved._hook_states["Slotted"]["/l1/W"]["average"] = np.zeros(7)
    optreg.save(path, saved)
    with pytest.raises(ValueError, match=r"hook Slotted: /l1/W: average has the shape \(7,\) instead of \(4, 3\)"):
        optreg.load(path, loading)


def test_a_late_parameter_of_a_refused_file_gets_its_state_at_the_next_update(path):
    """As if nobody had tried to load."""

    class Anchored(optreg.GradientMethod):
        def init_state(self, param, state):
            state["start"] = param.data.copy()

        def update_one(self, param, state):
            param.data -= 0.1 * (param.data - state["start"]) + param.grad

    optreg.save(path, Anchored().setup({"other": np.ones(2)}))
    optimizer = Anchored().setup({"W": np.ones(2)})
    optimizer.target.arrays["late"] = np.zeros(2)
    with pytest.raises(KeyError):
        optreg.load(path, optimizer)
    optimizer.target.arrays["late"][...] = 5
    run(optimizer, 1)
    assert optimizer._states["/late"]["start"].tolist() == [5, 5]


def test_a_refused_file_leaves_a_new_optimizer_as_new_as_it_was(path):
    saved = make(hooks=[Averaging()])
    saved._states["/l1/b"]["m"] = np.zeros(7)
    optreg.save(path, saved)
    new = make(hooks=[Averaging()])
    before = contents(new)
    with pytest.raises(ValueError, match=r"/l1/b: m has the shape \(7,\)"):
        optreg.load(path, new)
    assert contents(new) == before


def test_values_that_the_bounds_of_today_forbid_are_named(path):
    optimizer = make()
    object.__setattr__(optimizer, "lr", -1.0)
    object.__setattr__(optimizer._hooks["weight_decay"], "rate", float("nan"))
    optreg.save(path, optimizer)
    loading = make()
    with pytest.raises(ValueError) as raised:
        optreg.load(path, loading)
    for phrase in (
        "the optimizer: Adam: lr must be a number > 0 (or a schedule), but it is -1.0",
        "hook weight_decay: WeightDecay: rate must be a number >= 0 (or a schedule), but it is nan",
    ):
        assert phrase in str(raised.value)
    assert contents(loading) == contents(make())


def test_a_schedule_that_holds_a_function_is_kept_and_a_number_does_not_do_for_it(path):
    schedule = schedules.LinearWarmup(steps=2, then=lambda t: 0.1 / t)
    optreg.save(path, make(lr=schedule))
    again = make(lr=schedule)
    optreg.load(path, again)
    assert again.lr is schedule
    with pytest.raises(ValueError, match=r"lr was LinearWarmup.*, which cannot be saved, and is 0.5 now"):
        optreg.load(path, make(lr=0.5))


def test_other_generators_are_named(path):
    class Drawing:
        def __init__(self, **generators):
            vars(self).update(generators)

        def __call__(self, optimizer):
            pass

    saved = make(hooks=[Drawing(one=np.random.default_rng(0))])
    phrase = "hook Drawing: the random generators are one in the file and"
    assert_differs(path, saved, make(hooks=[Drawing()]), f"{phrase} none here")
    assert_differs(path, saved, make(hooks=[Drawing(two=np.random.default_rng(0))]), f"{phrase} two here")
    mersenne = np.random.Generator(np.random.MT19937(0))
    assert_differs(path, saved, make(hooks=[Drawing(one=mersenne)]), "hook Drawing: ", "MT19937")


def test_extra_state_on_one_side_only(path):
    class Hooked:
        def __call__(self, optimizer):
            pass

    saved, loading = make(hooks=[Hooked()]), make(hooks=[Hooked()])
    Hooked.get_extra_state = lambda self: 1
    Hooked.set_extra_state = lambda self, state: None
    optreg.save(path, saved)
    del Hooked.get_extra_state
    with pytest.raises(ValueError, match="hook Hooked: there is extra state in the file only"):
        optreg.load(path, loading)
    optreg.save(path, saved)
    Hooked.get_extra_state = lambda self: 1
    with pytest.raises(ValueError, match="hook Hooked: there is extra state here only"):
        optreg.load(path, loading)


@pytest.mark.parametrize("function", [optreg.save, optreg.load])
def test_before_setup_there_is_nothing_to_save_or_load(function, path):
    with pytest.raises(RuntimeError, match="call setup"):
        function(path, optreg.create("adam"))
    assert not path.exists()
