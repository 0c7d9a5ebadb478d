"""The three panels of a picture of an anomaly job: the series, the bucket scores, the swimlane."""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from flows.lettering import fit, shown, tick_words
from flows.plotdata import Line, Picture, Records, Scores, SeriesName
from flows.severity import SEVERITIES, severities_of
from flows.swimlane import Lanes
from flows.thinning import POINTS, thinned

__all__ = ["draw_lanes", "draw_scores", "draw_series", "legend_of", "measure"]

Numbers = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

INK, LINE, BAND, TYPICAL, FAINT = "#222b36", "#34506b", "#cfdde9", "#6f93b3", "#eef1f4"
_EDGE_POINTS = 0.7
_COUNTS = ("count", "non_zero_count", "rare", "freq_rare")
_SIDES = ("low_", "high_")


def measure(series: SeriesName) -> str:
    """Say what the values of a series are: the words of its axis."""
    base = series.measured
    for side in _SIDES:
        base = base.removeprefix(side)
    if series.field is None:
        return "events" if base in _COUNTS else base.replace("_", " ")
    return f"{base.replace('_', ' ')} of {shown(series.field)}"


def days(time_us: Ints) -> Numbers:
    """Give instants as matplotlib's dates: days since 1970, UTC."""
    return time_us / 86_400e6


# ---- the series --------------------------------------------------------------------------------


def draw_series(axes: Axes, picture: Picture) -> None:
    """Draw the series with its band and typical line, and its anomalies as dots."""
    span_us = picture.span_s * 1_000_000
    middle = span_us / 2 / 86_400e6  # a value belongs to its whole bucket
    line = None if picture.line is None else thinned(picture.line, span_us)
    records = picture.records
    if line is not None:
        at = days(line.time_us) + middle
        axes.fill_between(at, line.lower, line.upper, color=BAND, linewidth=0, zorder=1, gid="band")
        axes.plot(at, line.typical, color=TYPICAL, linewidth=1.1, dashes=(4, 2), gid="typical")
        axes.plot(at, line.actual, color=LINE, linewidth=1.1, zorder=3, gid="actual")
        lone = _lone(line.actual)
        axes.scatter(at[lone], line.actual[lone], s=4, color=LINE, zorder=3)
        _bounds(axes, line, lone, middle)
    else:
        _bounds(axes, records.line, np.isfinite(records.score), middle)
    _dots(axes, records, middle)
    _limits(axes, line, records)
    largest = max(map(abs, axes.get_ylim()))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_words(value, largest)))


def _lone(actual: Numbers) -> Flags:
    """Tell which values stand between two gaps: of them a line shows nothing."""
    empty = np.isnan(actual)
    before, after = np.append(True, empty[:-1]), np.append(empty[1:], True)
    return np.asarray(~empty & before & after, np.bool_)


def _bounds(axes: Axes, line: Line, chosen: Flags, middle: float) -> None:
    """Draw the band and the typical value of single buckets."""
    at = days(line.time_us[chosen]) + middle
    axes.vlines(at, line.lower[chosen], line.upper[chosen], color=BAND, linewidth=5, zorder=1)
    axes.scatter(at, line.typical[chosen], marker="_", s=60, color=TYPICAL, zorder=2)


def _dots(axes: Axes, records: Records, middle: float) -> None:
    """Draw the records, the more severe over the less; interim ones are hollow."""
    at, height = days(records.line.time_us) + middle, _heights(records)
    kinds = severities_of(records.score)
    for place, severity in enumerate(SEVERITIES):
        for interim in (False, True):
            chosen = (kinds == place) & (records.interim == interim)
            if not chosen.any():
                continue
            axes.scatter(
                at[chosen],
                height[chosen],
                s=severity.dot_points**2,
                facecolor="white" if interim else severity.color,
                edgecolor=severity.color if interim else INK,
                linewidth=1.8 if interim else _EDGE_POINTS,
                zorder=5 + place,
                gid=f"anomalies-{severity.name}{'-interim' if interim else ''}",
            )


def _heights(records: Records) -> Numbers:
    """Give where each dot stands: its value, or what was expected where it has none."""
    line = records.line
    expected = np.where(np.isnan(line.typical), 0.0, line.typical)
    return np.where(np.isnan(line.actual), expected, line.actual)


def _limits(axes: Axes, line: Line | None, records: Records) -> None:
    """Show all values and dots, and of the band all but a few widest parts, as of a warm-up."""
    parts = [_heights(records)]
    for part in (line, records.line):
        if part is None:
            continue
        parts += [part.actual, part.typical]
        for bound, share in ((part.lower, 3), (part.upper, 97)):
            known = bound[~np.isnan(bound)]
            parts.append(np.percentile(known, [share]) if len(known) else known)
    every = np.concatenate(parts)
    every = every[~np.isnan(every)]
    if not len(every):
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        return
    low, high = float(every.min()), float(every.max())
    pad = 0.09 * (high - low) or 0.1 * abs(high) or 1.0
    axes.set_ylim(low - pad, high + pad)


# ---- the scores and the lanes ------------------------------------------------------------------


def draw_scores(axes: Axes, picture: Picture) -> None:
    """Draw the score of every bucket as a bar in the colour of its severity."""
    for severity in SEVERITIES[1:]:
        axes.axhline(severity.low, color="#c9d0d7", linewidth=0.6, dashes=(2, 3), zorder=0)
    first_s, end_s = picture.start_us // 1_000_000, -(-picture.end_us // 1_000_000)
    wide_s = -(-(end_s - first_s) // (POINTS * picture.span_s)) * picture.span_s
    start_s, score = _highest(picture.scores, wide_s)
    _cells(axes, "score", score, (start_s, wide_s), (np.zeros(len(score)), score))
    axes.set_ylim(0, 104)
    axes.set_yticks([0, 25, 50, 75, 100])


def _highest(scores: Scores, wide_s: int) -> tuple[Ints, Numbers]:
    """Give the highest score above 0 of each stretch of time, and where it starts."""
    some = scores.score > 0
    stretch = scores.time_us[some] // (wide_s * 1_000_000)
    starts = np.flatnonzero(np.diff(stretch, prepend=np.nan) != 0)
    if not len(starts):
        return stretch, scores.score[some]
    return stretch[starts] * wide_s, np.maximum.reduceat(scores.score[some], starts)


def draw_lanes(axes: Axes, lanes: Lanes, room_px: float, renderer: Any) -> None:
    """Draw a lane per influencer, the highest first, with its name in the room at its left."""
    count = len(lanes.names)
    axes.set_ylim(max(count, 2) - 0.5, -0.5)
    axes.set_yticks(range(count))
    names = [f"{shown(field or '')}: {shown(value) or '(empty)'}" for field, value in lanes.names]
    labels = axes.set_yticklabels(names)
    for place, label in enumerate(labels):
        fit(label, room_px, renderer)
        axes.axhspan(place - 0.4, place + 0.4, color=FAINT, linewidth=0, zorder=0)
    axes.set_yticklabels(
        [label.get_text() for label in labels]
    )  # the ticks keep texts of their own
    axes.tick_params(axis="y", length=0)
    bottom = lanes.lane.astype(np.float64) - 0.4
    _cells(axes, "lane", lanes.score, (lanes.start_s, lanes.cell_s), (bottom, bottom + 0.8))
    if not count:
        axes.text(
            0.5, 0.5, "no influencer has a score in this time", transform=axes.transAxes,
            ha="center", va="center", color="#66717d",
        )  # fmt: skip


def _cells(
    axes: Axes,
    name: str,
    score: Numbers,
    times_s: tuple[Ints, int],
    heights: tuple[Numbers, Numbers],
) -> None:
    """Draw rectangles in the colours of their scores.

    Parameters
    ----------
    axes : Axes
    name : str
        First part of the ids of the groups that they form.
    score : float64, shape (n,)
    times_s : (int64 of shape (n,), int)
        Where each starts, and how long all are.
    heights : (float64, float64), shape (n,) each
        Bottom and top.
    """
    left, right = times_s[0] / 86_400, (times_s[0] + times_s[1]) / 86_400
    bottom, top = heights
    corners = np.stack(
        [
            np.stack([left, bottom], axis=1),
            np.stack([left, top], axis=1),
            np.stack([right, top], axis=1),
            np.stack([right, bottom], axis=1),
        ],
        axis=1,
    )
    kinds = severities_of(score)
    for place, severity in enumerate(SEVERITIES):
        chosen = corners[kinds == place]
        if len(chosen):
            cells = PolyCollection(
                list(chosen),
                facecolor=severity.color,
                edgecolor=severity.color if name == "score" else "white",
                linewidth=0.5,
                zorder=2 + place,
                gid=f"{name}-{severity.name}",
            )
            axes.add_collection(cells, autolim=False)


# ---- the legend --------------------------------------------------------------------------------


def legend_of(picture: Picture) -> list[Line2D | Patch]:
    """Give what the legend shows: all that is drawn, and all four severities."""
    shown_lines: list[Line2D | Patch] = []
    if picture.line is not None:
        shown_lines.append(Line2D([], [], color=LINE, linewidth=1.6, label="actual"))
    if picture.series is not None:
        shown_lines += [
            Line2D([], [], color=TYPICAL, linewidth=1.4, dashes=(3, 1.5), label="typical"),
            Patch(color=BAND, label="expected band"),
        ]
    for severity in SEVERITIES:
        shown_lines.append(_dot(severity.color, INK, severity.dot_points, severity.words))
    if picture.records.interim.any():
        shown_lines.append(_dot("white", "#66717d", 7.0, "interim"))
    return shown_lines


def _dot(face: str, edge: str, points: float, words: str) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker="o",
        markersize=points,
        markerfacecolor=face,
        markeredgecolor=edge,
        markeredgewidth=_EDGE_POINTS,
        label=words,
    )
