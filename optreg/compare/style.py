"""How plots tell the contestants apart: colours, line styles, labels where curves end, crosses."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import attrs

# Okabe and Ito's colours, which people of every colour vision tell apart; their yellow is lost on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))

FEW = len(COLORS)
"""So many curves share a panel and are labelled where they end; of more, each gets a panel of its own."""

RC = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
}


@attrs.frozen
class Stroke:
    """The look of one contestant."""

    color: str
    dashes: Any

    @classmethod
    def of(cls, position: int) -> Stroke:
        """The look of the contestant at that place in the order in which the user named them."""
        return cls(COLORS[position % len(COLORS)], DASHES[position % len(DASHES)])


@attrs.frozen
class Label:
    """What to write beside a panel, and the end of the curve that it belongs to."""

    x: float
    y: float
    text: str
    color: str


def draw_cross(axes: Any, stroke: Stroke, x: float, y: float) -> None:
    """Mark where a run diverged, at the edge of the axes if that is outside."""
    low, high = axes.get_ylim()
    y = min(max(y, low), high)
    axes.plot(x, y, "X", color=stroke.color, markersize=9, markeredgecolor="white", zorder=4, clip_on=False)


def label_ends(axes: Any, labels: list[Label]) -> None:
    """Write the labels right of the axes, level with the ends of their curves, apart where they would touch.

    Call it when the limits of the axes are final. A thin line leads there from a curve that reaches the right.
    """
    figure = axes.figure
    bottom, top = axes.bbox.y0, axes.bbox.y1
    to_pixels = axes.transData.transform
    low, high = axes.get_ylim()
    labels = sorted(labels, key=lambda label: label.y)
    ends = [(label.x, min(max(label.y, low), high)) for label in labels]
    levels = apart([to_pixels(end)[1] for end in ends], 13 * figure.dpi / 72, bottom, top)
    for label, end, level in zip(labels, ends, levels, strict=True):
        line = {"color": label.color, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 0}
        leader = {"arrowstyle": "-", "relpos": (0, 0.5), **line}
        axes.annotate(
            label.text,
            xy=end,
            xytext=(1.045, (level - bottom) / (top - bottom)),
            textcoords="axes fraction",
            color=label.color,
            va="center",
            annotation_clip=False,
            arrowprops=leader if label.x >= axes.get_xlim()[1] else None,
        )


def apart(wanted: list[float], distance: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones (which ascend), at least ``distance`` apart, inside low to high.

    Those that would touch become a block around the mean of what they wanted.
    """
    blocks: list[list[float]] = []
    for i, position in enumerate(wanted):
        blocks.append([position - i * distance])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            above = blocks.pop()
            blocks[-1] += above
    ceiling = max(low, high - distance * (len(wanted) - 1))
    starts = [min(max(fmean(block), low), ceiling) for block in blocks for _ in block]
    return [start + i * distance for i, start in enumerate(starts)]
