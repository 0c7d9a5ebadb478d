"""A picture of an anomaly job, as PNG or SVG: series with band, bucket scores, swimlane.

::

    title, what is drawn, legend
    ┌──────────────────────────┐
    │ series, band, anomalies  │
    ├──────────────────────────┤
    │ bucket scores            │
    ├──────────────────────────┤
    │ influencers by time      │
    └──────────────────────────┘

The same rows give the same bytes: no date, no random id, no setting of the user's matplotlib. Names
are drawn as they are, never as formulas; letters that no font here has are told, not fatal.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from flows.anomalyjobs import utc
from flows.lettering import fit, shown, span_words
from flows.panels import draw_lanes, draw_scores, draw_series, legend_of, measure
from flows.plotdata import Picture

__all__ = ["FORMS", "Drawing", "draw", "figure_of", "rendered", "renderer_of", "styled"]

FORMS = ("png", "svg")

_WIDTH_IN, _HEIGHT_IN, _DPI = 16.0, 9.0, 100
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.14, 0.985, 0.862, 0.07
_ROOM_PX = 0.9 * _LEFT * _WIDTH_IN * _DPI  # for the names of lanes
_FIRST_DAY, _LAST_DAY = -719_162.0, 2_932_896.9999  # years 1 to 9999, all that matplotlib knows
_QUIET = "#56616d"
_STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "none",  # texts stay texts: to be found, copied and read aloud
    "svg.hashsalt": "bellwether",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # matplotlib has the first of its own
    "font.size": 11.0,
    "axes.edgecolor": "#b5bdc6",
    "axes.labelcolor": "#222b36",
    "xtick.color": "#3c4753",
    "ytick.color": "#3c4753",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "timezone": "UTC",
}
# By the unit of the ticks: year, month, day, hour, minute, second.
_DATES: dict[str, Any] = {
    "formats": ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"],
    "zero_formats": ["", "%b %Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
    "show_offset": False,
}
_MISSING = re.compile(r"Glyph \d+ .* missing from font", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Drawing:
    """The bytes of a picture; `lacks_letters`: some are not in the fonts here."""

    content: bytes
    lacks_letters: bool


def draw(picture: Picture, form: str) -> Drawing:
    """Draw a picture of 1600 x 900 pixels, or of that shape as SVG.

    Parameters
    ----------
    picture : Picture
    form : str
        One of `FORMS`.
    """
    return rendered(lambda: figure_of(picture), form)


def rendered(lay_out: Callable[[], Figure], form: str) -> Drawing:
    """Lay out a figure while `styled`, and give its bytes in one of `FORMS`."""
    out = io.BytesIO()
    nobody = {"Software": None} if form == "png" else {"Date": None, "Creator": "Bellwether"}
    with styled(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        lay_out().savefig(out, format=form, dpi=_DPI, metadata=nobody)
    lacking = False
    for each in told:
        if _MISSING.match(str(each.message)):
            lacking = True
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return Drawing(out.getvalue(), lacking)


@contextmanager
def styled() -> Iterator[None]:
    """Draw as is decided here, whatever the user's matplotlib is set to."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def renderer_of(figure: Figure) -> Any:
    """Give what measures the texts of a figure."""
    return FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]


def figure_of(picture: Picture) -> Figure:
    """Lay a picture out; while `styled`."""
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=_DPI, facecolor="white")
    renderer = renderer_of(figure)
    lanes = max(len(picture.lanes.names), 2)
    grid = figure.add_gridspec(
        3,
        1,
        height_ratios=(10 - 0.35 * lanes, 2.6, 0.4 + 0.42 * lanes),
        left=_LEFT,
        right=_RIGHT,
        top=_TOP,
        bottom=_BOTTOM,
        hspace=0.13,
    )
    series, scores, swimlane = (figure.add_subplot(grid[place]) for place in range(3))
    draw_series(series, picture)
    draw_scores(scores, picture)
    draw_lanes(swimlane, picture.lanes, _ROOM_PX, renderer)
    _name_axes(picture, series, scores, swimlane, renderer)
    _time_axes(picture, (series, scores, swimlane))
    _title(figure, picture, renderer)
    return figure


def _name_axes(picture: Picture, series: Axes, scores: Axes, swimlane: Axes, renderer: Any) -> None:
    label = series.set_ylabel("" if picture.series is None else measure(picture.series))
    _fit_upright(label, series.get_window_extent(renderer).height - 12, renderer)
    if picture.series is not None:
        label.set_text(f"{label.get_text()}\nper {span_words(picture.span_s)}")
    scores.set_ylabel("bucket score\n0 to 100")
    lanes = picture.lanes
    many = f"the {len(lanes.names)} highest of {lanes.total:,}"
    swimlane.set_title(
        f"Influencers{', ' + many if lanes.total > len(lanes.names) else ''}:"
        f" the highest score in {span_words(lanes.cell_s)}",
        loc="left",
        fontsize=10.5,
        color=_QUIET,
        pad=4,
    )
    swimlane.set_xlabel(f"time (UTC), {_date(picture)}")
    for axes in (series, scores):  # in one column, however wide the numbers beside them are
        axes.yaxis.set_label_coords(-0.112, 0.5)


def _fit_upright(label: Any, height_px: float, renderer: Any) -> None:
    """Fit a text that runs upwards."""
    label.set_rotation(0)
    fit(label, height_px, renderer)
    label.set_rotation(90)


def _time_axes(picture: Picture, every: tuple[Axes, ...]) -> None:
    start, end = picture.start_us / 86_400e6, picture.end_us / 86_400e6
    margin = 0.005 * (end - start)  # room for half a dot
    for axes in every:
        locator = AutoDateLocator(minticks=6, maxticks=12)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        formatter = ConciseDateFormatter(locator, **_DATES)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(formatter)
        axes.set_xlim(max(start - margin, _FIRST_DAY), min(end + margin, _LAST_DAY))
        axes.grid(visible=True, axis="x", color="#e3e7eb", linewidth=0.7)
        axes.set_axisbelow(True)
    for axes in every[:-1]:
        axes.tick_params(axis="x", labelbottom=False, length=0)


def _title(figure: Figure, picture: Picture, renderer: Any) -> None:
    room_px = (_RIGHT - 0.015) * _WIDTH_IN * _DPI
    name = figure.text(
        0.015, 0.972, f"Anomaly job {shown(picture.job)}", fontsize=16, weight="bold", va="top"
    )
    fit(name, room_px, renderer)
    when = figure.text(
        _RIGHT, 0.932, _when(picture), fontsize=11, color=_QUIET, va="top", ha="right"
    )
    what = figure.text(0.015, 0.932, _what(picture), fontsize=11, color=_QUIET, va="top")
    fit(what, room_px - when.get_window_extent(renderer).width - 30, renderer)
    figure.legend(
        handles=legend_of(picture),
        loc="upper left",
        bbox_to_anchor=(_LEFT, 0.9),
        bbox_transform=figure.transFigure,
        ncols=8,
        frameon=False,
        borderaxespad=0,
        borderpad=0,
        handletextpad=0.5,
        columnspacing=1.8,
        fontsize=10.5,
    )


def _what(picture: Picture) -> str:
    series = picture.series
    if series is None:
        return "no detector has any result in this time"
    field = "" if series.field is None else f"({shown(series.field)})"
    parts = [f"detector {series.detector}: {shown(series.function)}{field}"]
    parts += [f"{shown(name)} {shown(value)}" for name, value in series.parts]
    if picture.line is None:
        parts.append("its records alone are stored")
    return "  ·  ".join(parts)


def _when(picture: Picture) -> str:
    start, end = (utc(us)[:16].replace("T", " ") for us in (picture.start_us, picture.end_us))
    count = len(picture.records.score)
    marked = f"{count:,} anomal{'y' if count == 1 else 'ies'} ≥ {picture.threshold:g}"
    return f"{marked}  ·  {start} to {end} UTC"


def _date(picture: Picture) -> str:
    """Give what the ticks leave out: the year or years, or of a single day its date."""
    first, last = utc(picture.start_us)[:10], utc(picture.end_us - 1)[:10]
    if first == last:
        return first
    return first[:4] if first[:4] == last[:4] else f"{first[:4]} to {last[:4]}"
