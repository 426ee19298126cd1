"""Pictures: the path that an optimizer takes on two surfaces, run and drawn by ``optreg.compare``."""

from __future__ import annotations

import inspect
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

import optreg
from optreg.compare.comparison import Result, compare
from optreg.compare.contestants import Contestant
from optreg.compare.experiment import experiment, problem
from optreg.compare.paths import draw_paths
from optreg.compare.style import COLORS, RC, Stroke

SURFACES = ("rosenbrock", "beale")
STEPS = 200
RATES = 6
LOWEST, HIGHEST = 1e-3, 1e2
"""The learning rates tried, as multiples of the default: for a method whose default is 1, these begin at 0.001."""


def draw_missing(names: list[str], folder: Path) -> None:
    """Draw the picture of each optimizer that has none, or whose source file is newer than its picture."""
    wanted = []
    for name in names:
        picture = folder / f"{name}.png"
        source = Path(inspect.getfile(optreg.get(name)))
        if not picture.exists() or picture.stat().st_mtime < source.stat().st_mtime:
            wanted.append((name, picture))
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(draw, *zip(*wanted, strict=True)) if wanted else ():
            pass


def draw(name: str, picture: Path) -> None:
    """Draw the paths of one optimizer, a surface beside the other."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
        for axes, surface in zip(figure.subplots(1, len(SURFACES)), SURFACES, strict=True):
            result = best(name, surface)
            draw_paths(axes, problem(surface), [(result.runs[0], Stroke(COLORS[0], "-"))])
            axes.set_title(f"{surface}, {_rate(result)}: loss {_loss(result)}")
        figure.savefig(picture)


def best(name: str, surface: str) -> Result:
    """The best of several runs, whose learning rates are each ten times the other."""
    usual = usual_lr(name)
    sweep = {} if usual is None else {"sweep": RATES, "lr_range": (LOWEST * usual, HIGHEST * usual)}
    with optreg.use_backend("numpy"):
        return compare(experiment(surface, [name], steps=STEPS, **sweep)).results[0]


def usual_lr(name: str) -> float | None:
    """The default learning rate; None where there is none."""
    return Contestant(name, name, {}).usual_lr()


def caption(name: str) -> str:
    """What the picture shows, in words."""
    tried = (
        f"the best of {RATES} learning rates from 1/1000 to 100 times the default"
        if usual_lr(name) is not None
        else "with the defaults"
    )
    return (
        f"{STEPS} steps from the square, on two functions of two variables; the star is the minimum, "
        f"darker is lower. Run with {tried}, other hyperparameters as they are by default."
    )


def _rate(result: Any) -> str:
    return "defaults" if result.lr is None else f"lr = {result.lr:g}"


def _loss(result: Result) -> str:
    run = result.runs[0]
    values = run.curve.get("loss", [])
    return f"{values[-1]:.2g}" if run.status == "finished" else run.status
