"""Learning rates by layer."""

from __future__ import annotations

import json

import numpy as np
import pytest
from links import Chain, Linear

import optreg
from optreg import layer_wise_lr_decay
from optreg.errors import ConfigError, HyperparameterError, PatternError, TargetError
from optreg.schedules import Cosine, LinearWarmup, Scaled

PARTS = ("attention/W", "attention/b", "mlp/W")


def vit(blocks, between="/"):
    body = [f"/blocks{between}{number}/{part}" for number in range(blocks) for part in PARTS]
    return ["/patch_embed/W", "/cls_token", *body, "/norm/scale", "/head/W", "/head/b"]


def rates(options, paths):
    """The learning rate of each path, as an optimizer has it."""
    optimizer = optreg.create("sgd", lr=1e9, options=options).setup({path: np.zeros(1) for path in paths})
    optimizer.apply_gradients({path: np.ones(1) for path in paths})
    return {path: -optimizer.target[path].data[0] for path in paths}


def test_a_vision_transformer_has_the_rates_of_beit_and_timm():
    # There, layer 0 is what comes before the blocks, block i is layer i + 1, and norm and head are the last layer,
    # whose scale is 1; the scale of a layer is decay^(last layer − layer).
    found = rates(layer_wise_lr_decay(vit(12), lr=1e-3, decay=0.65), vit(12))
    for path, rate in found.items():
        layer = int(path.split("/")[2]) + 1 if "blocks" in path else 13 if path[1] in "nh" else 0
        assert rate == pytest.approx(1e-3 * 0.65 ** (13 - layer), rel=1e-14), path


def test_electras_rates_come_of_layers_with_a_distance_before_the_task():
    # There, embeddings have depth 0, layer i of n depth i + 1, the task n + 2; the rate is lr·decay^(n + 2 − depth).
    n, lr, decay = 3, 1e-4, 0.8
    layers = ["/embeddings/*", *(f"/encoder/layer_{i}/*" for i in range(n)), (), ["/task/*", "/pooler/W"]]
    paths = ["/embeddings/word", *(f"/encoder/layer_{i}/W" for i in range(n)), "/pooler/W", "/task/W"]
    found = rates(layer_wise_lr_decay(paths, lr, decay, layers), paths)
    depths = [0, 1, 2, 3, n + 2, n + 2]
    np.testing.assert_allclose(list(found.values()), [lr * decay ** (n + 2 - depth) for depth in depths], rtol=1e-14)


def test_ten_comes_after_nine():
    paths = sorted(vit(12))
    assert [path.split("/")[2] for path in paths if path.startswith("/blocks")][3:9:3] == ["1", "10"]
    options = layer_wise_lr_decay(paths, lr=1.0, decay=0.5)
    blocks = [pattern for pattern in options if pattern.startswith("/blocks")]
    assert blocks == [f"/blocks/{number}/*" for number in range(12)]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/l1/W", "/l1/b", "/l2/W"], [["/l1/*"], ["/l2/*"]]),
        (["/W1", "/W2", "/W3"], [["/W1"], ["/W2"], ["/W3"]]),
        (["/0/W", "/1/W"], [["/0/*"], ["/1/*"]]),
        (["/conv2d_1/W", "/conv2d_2/W"], [["/conv2d_1/*"], ["/conv2d_2/*"]]),
        (["/encoder/W", "/encoder/b", "/head"], [["/encoder/*"], ["/head"]]),
        (["/conv1/W", "/bn1/scale", "/conv2/W"], [["/conv1/*"], ["/bn1/*"], ["/conv2/*"]]),
        (["/a[0]/W", "/b*/W"], [["/a[[]0]/*"], ["/b[*]/*"]]),
        (["l1.W", "/x/y1/W", "/x/y2/W"], [["l1.W"], ["/x/y1/*"], ["/x/y2/*"]]),
    ],
    ids=["links", "leaves", "list", "other digits", "no numbers", "several kinds", "odd names", "mixed"],
)
def test_the_layers_are_found_in_the_paths(paths, expected):
    options = layer_wise_lr_decay(paths, lr=1.0, decay=0.5)
    by_rate: dict[float, list[str]] = {}
    for pattern, overrides in options.items():
        by_rate.setdefault(overrides["lr"], []).append(pattern)
    assert list(by_rate.values()) == expected
    assert sorted(by_rate) == [0.5**after for after in reversed(range(len(expected)))]


def test_targets_are_taken_as_setup_takes_them():
    arrays = {"embed": np.ones(2), "blocks": [{"W": np.ones(2)}, {"W": np.ones(2)}], "head": None}
    assert list(layer_wise_lr_decay(arrays, 1.0, 0.5)) == ["/embed", "/blocks/0/*", "/blocks/1/*", "/head"]
    links = Chain(l1=Linear(2, 2), l2=Linear(2, 2))
    assert list(layer_wise_lr_decay(links, 1.0, 0.5)) == ["/l1/*", "/l2/*"]
    with pytest.raises(TargetError, match="optimization target must be"):
        layer_wise_lr_decay(3, 1.0, 0.5)


def test_other_options_are_joined_to_them():
    paths = ["/l1/W", "/l1/b", "/l2/W", "/l2/b"]
    options = layer_wise_lr_decay(paths, lr=0.1, decay=0.5) | {"*/b": {"weight_decay": 0.0}}
    optimizer = optreg.create("adamw", weight_decay=0.5, options=options).setup({path: np.ones(1) for path in paths})
    optimizer.apply_gradients({path: np.zeros(1) for path in paths})
    moved = [1 - optimizer.target[path].data[0] for path in paths]
    np.testing.assert_allclose(moved, [0.05 * 0.5, 0, 0.1 * 0.5, 0], atol=1e-15)


def test_a_schedule_is_followed_by_every_layer_as_torchs_groups_follow_it():
    torch = pytest.importorskip("torch")
    paths, decay = ["/embed/W", "/l1/W", "/l2/W", "/head/W"], 0.7
    schedule = LinearWarmup(steps=3, then=Cosine(initial=0.1, steps=6))
    options = layer_wise_lr_decay(paths, lr=schedule, decay=decay)
    arrays = {path: np.ones(3) for path in paths}
    ours = optreg.create("adamw", options=options).setup(arrays)
    tensors = [torch.nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in paths]
    groups = [{"params": [tensor], "lr": decay ** (3 - number)} for number, tensor in enumerate(tensors)]
    theirs = torch.optim.AdamW(groups)
    following = torch.optim.lr_scheduler.LambdaLR(theirs, lambda step: schedule(step + 1))
    for t in range(8):
        gradient = np.random.default_rng(t).normal(size=3)
        ours.apply_gradients({path: gradient.copy() for path in paths})
        for tensor in tensors:
            tensor.grad = torch.tensor(gradient)
        theirs.step()
        following.step()
    for path, tensor in zip(paths, tensors, strict=True):
        np.testing.assert_allclose(arrays[path], tensor.detach().numpy(), rtol=1e-12)


def test_schedules_may_be_functions_or_written_down():
    options = layer_wise_lr_decay(["/l1/W", "/l2/W"], lr=lambda t: 0.1 * t, decay=0.5)
    assert [options["/l1/*"]["lr"](3), options["/l2/*"]["lr"](3)] == pytest.approx([0.15, 0.3])
    written = {"schedule": "cosine", "initial": 0.2, "steps": 10}
    options = layer_wise_lr_decay(["/l1/W", "/l2/W"], lr=written, decay=0.5)
    assert options["/l1/*"]["lr"] == Scaled(Cosine(initial=0.2, steps=10), 0.5)


def test_they_are_written_down_and_saved(tmp_path):
    paths = ["/l1/W", "/l2/W"]
    options = layer_wise_lr_decay(paths, lr=Cosine(initial=0.2, steps=10), decay=0.5)
    optimizer = optreg.create("sgd", options=options).setup({path: np.ones(1) for path in paths})
    config = json.loads(json.dumps(optimizer.config()))
    assert config["options"]["/l1/*"]["lr"]["schedule"] == "scaled"
    assert optreg.create(config).config() == optimizer.config()
    optreg.save(tmp_path / "run.npz", optimizer)
    other = optreg.create("sgd").setup({path: np.ones(1) for path in paths})
    optreg.load(tmp_path / "run.npz", other)
    assert other.options == optimizer.options


@pytest.mark.parametrize("decay", [0, 1.5, -0.5, float("nan"), "0.5", True, None])
def test_a_decay_that_cannot_be_is_refused(decay):
    with pytest.raises(HyperparameterError, match="must be a number > 0 and <= 1"):
        layer_wise_lr_decay(["/l1/W", "/l2/W"], lr=1.0, decay=decay)


@pytest.mark.parametrize("layers", [3, "/l*", [1, 2], [["/l1/*"], 2]])
def test_layers_that_are_no_patterns_are_refused(layers):
    with pytest.raises(PatternError, match=r"layers are patterns of paths, or lists of these, .*; got"):
        layer_wise_lr_decay(["/l1/W", "/l2/W"], lr=1.0, decay=0.5, layers=layers)


@pytest.mark.parametrize("lr", ["0.1x", None, [0.1]])
def test_a_rate_of_another_type_is_refused(lr):
    with pytest.raises(HyperparameterError, match="lr must be a number or a schedule"):
        layer_wise_lr_decay(["/l1/W", "/l2/W"], lr=lr, decay=0.5)


@pytest.mark.parametrize(
    ("paths", "layers", "message"),
    [
        (["/W", "/b"], ["*W"], "the paths do not show more than one layer"),
        (["/body/W", "/body/b"], None, "the paths do not show more than one layer: /body/W, /body/b; say which"),
        ([], None, "more than one layer: there are none"),
        (["/l1/W", "/l11/W", "/l2/W"], ["/l1*", "/l11*", "/l2/*"], "/l11/W is in the layers '/l1[*]' and in '/l11[*]'"),
        (["/l1/W", "/l2/W"], ["/l1/*", "/l3/*"], "/l2/W is in none of the layers"),
        (["/l1/W", "/l2/W"], ["/l1/*", ["/l2/*", "/l3/*"]], "the pattern '/l3/[*]' of a layer matches no parameter"),
    ],
    ids=["one given", "one found", "none", "two", "none of them", "nothing"],
)
def test_layers_that_are_not_those_of_the_parameters_are_refused(paths, layers, message):
    with pytest.raises(PatternError, match=message):
        layer_wise_lr_decay(paths, lr=1.0, decay=0.5, layers=layers)


def test_a_rate_that_cannot_be_is_refused_by_the_optimizer():
    options = layer_wise_lr_decay(["/l1/W", "/l2/W"], lr=-1.0, decay=0.5)
    with pytest.raises(HyperparameterError, match="lr must be a number > 0"):
        optreg.create("sgd", options=options)


def test_a_function_as_the_rate_cannot_be_written_down():
    options = layer_wise_lr_decay(["/l1/W", "/l2/W"], lr=lambda t: 1.0, decay=0.5)
    optimizer = optreg.create("sgd", options=options)
    with pytest.raises(ConfigError, match="cannot be written down"):
        optimizer.config()
