"""All contenders do the same work, on arrays of their own."""

from importlib.util import find_spec

import numpy as np
import pytest

from optreg.bench import optax_peer, torch_peers
from optreg.bench.cases import CASES, VARIANTS, Case, Numbers, Variant
from optreg.bench.conditions import conditions
from optreg.bench.contender import Job, arrays_moved
from optreg.bench.devices import check_device
from optreg.bench.limit import Limit
from optreg.bench.lineup import PEERS, contender, lineup
from optreg.errors import ConfigError

from .walks import MODEL, THREADS, assert_same_walk, walked

SOME = Variant("some", decay=0.02, threshold=0.5)


def installed(job):
    return lineup(job).but_the_limit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.name)
def test_all_contenders_come_to_the_same_parameters(variant, dtype):
    job = Job("adamw", variant, dtype, threads=THREADS)
    names = installed(job)
    reference = "torch-single" if "torch-single" in names else "numpy"
    expected, start = walked(reference, job), Numbers.of(MODEL, dtype).values
    for name in names:
        assert_same_walk(walked(name, job), expected, start, 1e-3 if dtype == "float32" else 1e-5)


TABLES = {
    **dict.fromkeys(torch_peers.MODES, torch_peers.TORCH),
    "pytorch-optimizer": torch_peers.PYTORCH_OPTIMIZER,
    "optax": optax_peer.OPTAX,
}
LACKING = {("torch-fused", each) for each in torch_peers.TORCH} - {
    ("torch-fused", each) for each in ("sgd", "momentum_sgd", "nesterov_ag", "adagrad", "adam", "adamw", "amsgrad")
}
PAIRS = [
    (peer, each)
    for peer, table in TABLES.items()
    for each in table
    if (peer, each) not in LACKING and "/" not in each  # what a package offers is for its own tests
]
OTHERS = [
    *(("pytorch-optimizer", each) for each in ("lamb", "adafactor", "adopt")),
    ("optax", "adan"),
]
"""They differ from optreg by more than rounding."""


@pytest.mark.parametrize(("peer", "optimizer"), sorted({*PAIRS} - {*OTHERS}))
def test_a_peer_that_is_said_to_have_a_method_walks_the_path_of_optreg(peer, optimizer):
    assert set(TABLES) == set(PEERS)
    job = Job(optimizer, SOME, "float64", threads=THREADS)
    if "has no weight decay" in lineup(job).left_out.get(peer, ""):
        job = Job(optimizer, VARIANTS["clipping"], "float64", threads=THREADS)
    members = lineup(job)
    if peer not in members.peers:
        assert "is not installed" in members.left_out[peer]
        return
    start = Numbers.of(MODEL, job.dtype).values
    # Twelve steps: RAdam begins to adapt at its sixth.
    assert_same_walk(walked(peer, job, 12), walked("numpy", job, 12), start, 5e-3)


@pytest.mark.parametrize(("peer", "optimizer"), OTHERS)
def test_a_peer_that_has_another_formula_is_measured_and_said_to_differ(peer, optimizer):
    job = Job(optimizer, SOME, "float64", threads=THREADS)
    if peer not in lineup(job).peers:
        pytest.skip(f"{peer} is not installed")
    assert lineup(job).remarks[peer].startswith(f"its {optimizer} ")
    start = Numbers.of(MODEL, job.dtype).values
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_same_walk(walked(peer, job, 12), walked("numpy", job, 12), start, 5e-3)


@pytest.mark.parametrize("variant", ["decay", "clipping"])
def test_decay_and_clipping_change_what_is_done(variant):
    plain, other = (walked("numpy", Job("adamw", VARIANTS[each], "float64", THREADS)) for each in ("plain", variant))
    assert not any(np.array_equal(*pair) for pair in zip(plain, other, strict=True))


def test_gradients_are_new_arrays_at_each_step():
    job, numbers = Job("adamw", VARIANTS["plain"], "float32", THREADS), Numbers.of(MODEL, "float32")
    made = contender("numpy", job)
    made.start(numbers.values)
    seen = []
    for _ in range(3):
        made.renew_gradients(numbers.gradients)
        seen.append([parameter.grad for parameter in made._parameters])
    assert len({id(array) for arrays in seen for array in arrays}) == 3 * len(MODEL.shapes)
    for arrays in seen:
        for array, original in zip(arrays, numbers.gradients, strict=True):
            assert not np.shares_memory(array, original)
            np.testing.assert_array_equal(array, original)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("threads", sorted({1, THREADS}))
def test_the_limit_goes_over_every_element_of_every_array_once(optimizer, threads, dtype):
    case = Case("several", ((300_000,), (5,), (0,), (65_536,), (65_537, 3)))
    numbers = Numbers.of(case, dtype)
    limit = Limit(Job(optimizer, VARIANTS["plain"], dtype, threads))
    with conditions(threads):
        limit.start(numbers.values)
        limit.renew_gradients(numbers.gradients)
        limit.step()
    assert len(limit._arrays[0]) == {"sgd": 2, "adamw": 4}[optimizer]
    assert limit.compiled == (find_spec("numba") is not None)
    for tensor, gradient in enumerate(numbers.gradients):
        unchanged, *changed = limit._arrays[tensor]
        np.testing.assert_array_equal(unchanged, gradient)
        for number, array in enumerate(changed, start=1):
            np.testing.assert_array_equal(array, np.asarray(number, dtype) + gradient)


def test_the_arrays_that_a_step_moves_are_those_of_the_formula():
    # p and g in, p out; and each state in and out. A state of one number a tensor is none.
    assert arrays_moved("sgd") == 3
    assert arrays_moved("lion") == 5
    assert arrays_moved("adamw") == 7
    assert arrays_moved("amsgrad") == 9
    assert arrays_moved("nadam") == 7
    # A factored state is as good as none, and not of every shape.
    assert [arrays_moved("adafactor", shape) for shape in [(40, 50), (50,)]] == [3, 5]


def test_gpt2_is_the_small_one_of_the_paper():
    case = CASES["gpt2"]
    assert len(case.shapes) == 148
    assert case.elements == 124_439_808  # as the authors' checkpoint has
    assert str(case) == "gpt2: 148 tensors, 124 M parameters"


def test_the_numbers_are_the_same_at_every_call():
    one, other = Numbers.of(MODEL, "float32"), Numbers.of(MODEL, "float32")
    for first, second in ((one.values, other.values), (one.gradients, other.gradients)):
        assert [array.shape for array in first] == list(MODEL.shapes)
        for mine, theirs in zip(first, second, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.gpu
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.name)
def test_all_contenders_on_a_gpu_come_to_the_parameters_of_the_processor(variant):
    try:
        check_device("cuda")
    except ConfigError as error:
        pytest.skip(str(error))
    job = Job("adamw", variant, "float32", threads=THREADS, device="cuda")
    expected, start = walked("numpy", Job("adamw", variant, "float32", THREADS)), Numbers.of(MODEL, "float32").values
    names = lineup(job).but_the_limit
    assert "cupy" in names
    for name in names:
        assert_same_walk(walked(name, job), expected, start, 1e-3)
    (limit,) = walked("limit", job, steps=1)
    np.testing.assert_array_equal(
        limit, 1 + np.concatenate([each.ravel() for each in Numbers.of(MODEL, "float32").gradients])
    )
