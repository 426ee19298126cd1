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
RATES = 5


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
    """The best of five runs, whose learning rates are each ten times the other."""
    with optreg.use_backend("numpy"):
        settled = experiment(surface, [name], sweep=RATES, steps=STEPS)
        return compare(settled).results[0]


def caption(name: str) -> str:
    """What the picture shows, in words."""
    tried = (
        f"the best of {RATES} learning rates from 1/100 to 100 times the default"
        if Contestant(name, name, {}).usual_lr() is not None
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
