"""The panel of a surface of two parameters: paths of optimizers over the contours of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from optreg.compare.extras import needed
from optreg.compare.style import Stroke, draw_cross
from optreg.compare.surfaces import Surface
from optreg.compare.training import DIVERGED, Run

FAR = 1e6
"""Where a path that diverges is cut off: far outside every view, and still a number that can be drawn."""


def draw_paths(axes: Any, surface: Surface, runs: list[tuple[Run, Stroke]], *, names: bool = True) -> None:
    """Contours at equal ratios of the loss, the paths, the start and the minimum (with their names)."""
    (left, right), (bottom, top) = surface.view
    draw_contours(axes, surface, 19 if names else 10)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    for i, (run, stroke) in enumerate(runs):
        # Earlier paths are wider, so that they show under later ones.
        draw_path(axes, run, stroke, 1.8 + 0.45 * (len(runs) - 1 - i))
    axes.grid(False)
    size = 1.0 if names else 0.6
    axes.plot(*surface.start, "s", color="black", markeredgecolor="white", markersize=8 * size, zorder=5)
    axes.plot(*surface.minimum, "*", color="black", markeredgecolor="white", markersize=15 * size, zorder=5)
    if names:
        axes.set(xlabel="x", ylabel="y", title="paths")
        halo = [needed("matplotlib.patheffects").withStroke(linewidth=3, foreground="white")]
        for point, text, side, offset in (
            (surface.start, "start", "right", (-8, -4)),
            (surface.minimum, "minimum", "left", (9, -14)),
        ):
            axes.annotate(text, point, offset, textcoords="offset points", ha=side, zorder=6, path_effects=halo)


def draw_path(axes: Any, run: Run, stroke: Stroke, width: float) -> None:
    """Where a run went; a dot where it ended, a cross where it left the view, if it diverged."""
    x, y = np.array(run.curve.get("x", ())), np.array(run.curve.get("y", ()))
    drawable = (abs(x) < FAR) & (abs(y) < FAR)
    x, y = x[drawable], y[drawable]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    outside = np.flatnonzero((x < left) | (x > right) | (y < bottom) | (y > top))
    if run.status == DIVERGED and len(outside):
        # What comes after the first point outside is a zigzag across the view.
        x, y = x[: outside[0] + 1], y[: outside[0] + 1]
    axes.plot(x, y, color=stroke.color, linestyle=stroke.dashes, linewidth=width, zorder=3)
    if len(x) and run.status == DIVERGED:
        last = len(x) - 1 - bool(len(outside))
        draw_cross(axes, stroke, x[last], y[last])
    elif len(x):
        axes.plot(x[-1], y[-1], "o", color=stroke.color, markeredgecolor="white", zorder=4)


def draw_contours(axes: Any, surface: Surface, count: int) -> None:
    """The loss in the view, darker where it is lower."""
    (left, right), (bottom, top) = surface.view
    x, y = np.meshgrid(np.linspace(left, right, 300), np.linspace(bottom, top, 300))
    logarithm = np.log10(np.maximum(surface.height(x, y), 1e-12))
    highest = logarithm.max()
    levels = np.linspace(max(logarithm.min(), highest - 6), highest, count)
    axes.contourf(x, y, logarithm, levels, cmap="Greys_r", alpha=0.35, extend="min")
    axes.contour(x, y, logarithm, levels, colors="#9A9A9A", linewidths=0.5, linestyles="solid")
