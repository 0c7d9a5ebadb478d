"""A picture of plot data, as PNG or SVG: a small panel for each column, a line for each choice."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from flows.anomalyplot import Drawing, rendered, renderer_of
from flows.lettering import fit, shown, tick_words

__all__ = ["CHOICES", "PANELS", "draw_plot"]

PANELS = 12
"""The most columns in one picture; further ones are left out, and it says so."""

CHOICES = 8
"""The most choices, likewise."""

_WIDTH_IN, _HEIGHT_IN, _DPI = 16.0, 9.0, 100
_COLORS = (
    *("#34506b", "#d1603d", "#4f9d69", "#9b5fa5"),
    *("#c9a227", "#3aa6b9", "#8c5a3c", "#7a7f87"),
)
_QUIET = "#56616d"
_HOUR = np.timedelta64(1, "h")

Times = npt.NDArray[np.datetime64]
Numbers = npt.NDArray[np.float64]


def draw_plot(
    catalogue: str, series: Sequence[Mapping[str, Any]], choices: Mapping[int, str], form: str
) -> Drawing:
    """Draw the series of an answer of plot data.

    Parameters
    ----------
    catalogue : str
    series : sequence of mapping
        As the contract has them.
    choices : mapping of int to str
        The choices asked for, by id; none: all of them as one.
    form : str
        ``png`` or ``svg``.
    """
    return rendered(lambda: _figure(catalogue, series, choices), form)


def _figure(
    catalogue: str, series: Sequence[Mapping[str, Any]], choices: Mapping[int, str]
) -> Figure:
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=_DPI, facecolor="white")
    renderer = renderer_of(figure)
    drawn = list(series[:PANELS])
    lines = dict(list(choices.items())[:CHOICES])
    across = 1 if len(drawn) < 4 else 2 if len(drawn) < 7 else 3
    down = -(-len(drawn) // across)
    grid = figure.add_gridspec(
        down, across, left=0.055, right=0.985, top=0.845, bottom=0.06, hspace=0.42, wspace=0.16
    )
    limits = _limits(drawn)
    for place, each in enumerate(drawn):
        axes = figure.add_subplot(grid[place % down, place // down])
        for (choice, _), color in zip(lines.items() or [(None, "")], _COLORS, strict=False):
            times, values = _points(each["values"], choice)
            _draw_line(axes, times, values, color)
        _dress(axes, each, limits, renderer)
    span = "" if limits is None else f"{_day(limits[0] + _HOUR)} to {_day(limits[1] - _HOUR)}, "
    counts = (len(drawn), len(series)), (lines, len(choices))
    _title(figure, (catalogue, f"{span}by hour, UTC"), *counts, renderer)
    return figure


def _points(values: Sequence[Mapping[str, Any]], choice: int | None) -> tuple[Times, Numbers]:
    mine = [each for each in values if choice is None or each.get("id") == choice]
    times = [each["datetime"].removesuffix("Z") for each in mine]
    return (
        np.array(times, dtype="datetime64[s]"),
        np.array([float(each["value"]) for each in mine], np.float64),
    )


def _draw_line(axes: Axes, times: Times, values: Numbers, color: str) -> None:
    """Draw a line that is broken where hours have no value, and a dot for each lone value."""
    gaps = np.flatnonzero(np.diff(times) > _HOUR) + 1
    starts, ends = np.append(0, gaps), np.append(gaps, len(times)) - 1
    lone = starts[(starts == ends) & (starts < len(times))]
    at = np.insert(times, gaps, times[gaps - 1] + _HOUR) if len(gaps) else times
    broken = np.insert(values, gaps, np.nan)
    axes.plot(at, broken, color=color, linewidth=1.2, zorder=3)
    axes.scatter(times[lone], values[lone], s=9, color=color, zorder=3)


def _limits(series: Sequence[Mapping[str, Any]]) -> tuple[Any, Any] | None:
    """Give the first and the last time of all series: each panel shows the same."""
    times = [
        np.datetime64(each[name].removesuffix("Z"))
        for each in series
        for name in ("min_x", "max_x")
        if each[name] is not None
    ]
    return (min(times) - _HOUR, max(times) + _HOUR) if times else None


def _day(time: Any) -> str:
    return str(np.datetime_as_string(time, unit="D"))


def _dress(
    axes: Axes, series: Mapping[str, Any], limits: tuple[Any, Any] | None, renderer: Any
) -> None:
    column = series["column"]
    units = "" if column["units"] in {"", "count"} else f", {shown(str(column['units']))}"
    title = axes.set_title(f"{shown(str(column['title']))}{units}", loc="left", fontsize=10.5)
    fit(title, axes.get_window_extent(renderer).width, renderer)
    if limits is None or not series["values"]:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.45, "no values", transform=axes.transAxes, ha="center", color=_QUIET)
        return
    axes.set_xlim(*limits)
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    if series["min_y"] == series["max_y"] == 0:
        axes.set_ylim(-0.05, 1.05)
    largest = max(map(abs, axes.get_ylim()))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_words(value, largest)))
    axes.tick_params(labelsize=9)
    axes.grid(visible=True, color="#e3e7eb", linewidth=0.7)
    axes.set_axisbelow(True)


def _title(
    figure: Figure,
    named: tuple[str, str],
    panels: tuple[int, int],
    lines: tuple[Mapping[int, str], int],
    renderer: Any,
) -> None:
    room_px = 0.97 * _WIDTH_IN * _DPI
    name = figure.text(0.015, 0.972, shown(named[0]), fontsize=16, weight="bold", va="top")
    fit(name, room_px, renderer)
    parts = [named[1]]
    if panels[0] < panels[1]:
        parts.append(f"{panels[0]} of {panels[1]} columns: choose by --column or --group")
    if len(lines[0]) < lines[1]:
        parts.append(f"{len(lines[0])} of {lines[1]} choices")
    if not lines[0]:
        parts.append("all choices as one")
    what = figure.text(0.015, 0.932, "  ·  ".join(parts), fontsize=11, color=_QUIET, va="top")
    fit(what, room_px, renderer)
    if lines[0]:
        handles = [
            Line2D([], [], color=color, label=shown(title)[:40])
            for title, color in zip(lines[0].values(), _COLORS, strict=False)
        ]
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0.012, 0.905),
            ncols=CHOICES,
            frameon=False,
            fontsize=10.5,
            borderaxespad=0,
        )
