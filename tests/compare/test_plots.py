"""The picture: it can be looked at, whatever the runs were like."""

import matplotlib.image
import numpy as np
import pytest

from optreg.compare.comparison import compare
from optreg.compare.experiment import experiment
from optreg.compare.plot import draw
from optreg.compare.ranking import MANY
from optreg.compare.records import from_json, to_json
from optreg.compare.style import FEW, Stroke, apart
from optreg.registry import names, register, temporary


def drawn(comparison, tmp_path):
    draw(comparison, tmp_path / "picture.png")
    return matplotlib.image.imread(tmp_path / "picture.png")


def colors_in(picture):
    red, green, blue = np.moveaxis((picture[..., :3] * 255).round().astype(int), -1, 0)
    return {(each >> 16, each >> 8 & 255, each & 255) for each in np.unique(red << 16 | green << 8 | blue).tolist()}


def rgb(stroke):
    return tuple(int(stroke.color[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize("task", ["digits", "rosenbrock"])
def test_every_one_of_a_few_optimizers_has_its_colour_in_the_picture(task, tmp_path):
    several = ["sgd:lr=1e-4", "adam", "lion"]
    picture = drawn(compare(experiment(task, several, steps=20, seeds=2)), tmp_path)
    assert picture.shape[1] > 1.5 * picture.shape[0]
    assert {rgb(Stroke.of(i)) for i in range(3)} <= colors_in(picture)


@pytest.mark.parametrize("task", ["digits-softmax", "beale"])
def test_many_optimizers_get_a_panel_each(task, tmp_path):
    many = names("a*")
    assert len(many) > FEW
    picture = drawn(compare(experiment(task, many, steps=10, seeds=1)), tmp_path)
    assert picture.std() > 0.01


def test_very_many_optimizers_are_ranked_in_dots(tmp_path):
    class Broken:
        def __init__(self, as_diverged):
            self.loss = float("nan") if as_diverged else None

        def setup(self, target): ...

        def update(self, lossfun, *args):
            return self.loss

    many = [f"adam:lr={lr}" for lr in range(1, MANY)]
    with temporary():
        register("acme/broken", Broken)
        both = ["acme/broken:as_diverged=true", "acme/broken:as_diverged=false"]
        made = compare(experiment("digits-softmax", [*many, *both], steps=3, seeds=1))
    assert len(made.results) == MANY + 1
    picture = drawn(made, tmp_path)
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colors_in(picture)
    assert picture.shape[0] > 0.4 * picture.shape[1]


def test_runs_that_diverge_leave_the_picture_readable(tmp_path):
    made = compare(experiment("rosenbrock", ["sgd:lr=1", "adam"], steps=40))
    assert made.results[0].runs[0].status == "diverged"
    assert {rgb(Stroke.of(0)), rgb(Stroke.of(1))} <= colors_in(drawn(made, tmp_path))


@pytest.mark.parametrize("task", ["digits-softmax", "beale"])
def test_a_picture_is_drawn_even_where_no_run_worked(task, tmp_path):
    class Broken:
        def setup(self, target): ...

        def update(self, lossfun, *args):
            return float("nan")

    class Failing(Broken):
        def setup(self, target):
            raise ValueError("not today")

    with temporary():
        register("acme/broken", Broken)
        register("acme/failing", Failing)
        made = compare(experiment(task, ["acme/broken", "acme/failing"], steps=3, seeds=1))
    assert drawn(made, tmp_path).std() > 0.01


def test_a_loss_of_exactly_zero_can_be_drawn(tmp_path):
    class Jump:
        def setup(self, target):
            self.point = target["point"]

        def update(self, lossfun, *args):
            self.point[:] = (3, 0.5)
            return 0.0

    with temporary():
        register("acme/jump", Jump)
        made = compare(experiment("beale", ["acme/jump", "sgd"], steps=5))
    assert made.results[0].runs[0].curve["loss"][-1] == 0
    assert drawn(made, tmp_path).std() > 0.01


def test_a_record_draws_the_same_picture(tmp_path):
    made = compare(experiment("beale", ["sgd", "adam"], steps=20, seeds=2))
    np.testing.assert_array_equal(drawn(made, tmp_path), drawn(from_json(to_json(made)), tmp_path))


def test_labels_keep_their_places_where_there_is_room_and_move_apart_where_there_is_none():
    assert apart([10, 50, 90], 12, 0, 100) == [10, 50, 90]
    placed = apart([50, 51, 52], 12, 0, 100)
    assert np.diff(placed).min() >= 12
    assert max(apart([95, 99, 100], 12, 0, 100)) <= 100
    assert min(apart([-5, 0, 1], 12, 0, 100)) >= 0


def test_thirty_five_optimizers_differ_in_colour_or_dashes():
    assert len({(Stroke.of(i).color, str(Stroke.of(i).dashes)) for i in range(35)}) == 35
