"""Plot data: whole series of a catalogue's columns, over all choices or choice by choice.

Source: contracts.md SC-16 to SC-30 and SCi-04 to SCi-12; wire.md, Scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from engine.errors import QueryError
from engine.processing.catalogue import Column, chosen_columns
from engine.processing.catalogue_offer import Offer
from engine.processing.catalogues import offer_of
from engine.processing.choices import known_choices
from engine.processing.plot_gather import Gathered, gather, value_of
from engine.processing.plot_pages import Page, page_of
from engine.processing.ranges import hours_between
from engine.processing.seeing import Seeing
from engine.processing.series_source import Recipe

__all__ = ["PlotAnswer", "PlotQuestion", "PlotSeries", "plot_data"]

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotQuestion:
    """What is to be plotted.

    Attributes
    ----------
    catalogue : str
    now_us : int
        The instant that durations count back from, µs since the epoch.
    columns, groups : tuple of str
        The union of both; neither: all columns.
    choice_ids : tuple of int
        One point for each choice and hour; none: one point an hour, over all choices.
    started, ended : str or None
        ISO 8601 instants or durations back from now, both included.
    page, page_size : int
        Of columns: every series is whole.
    seeing : Seeing or None
        What the asker may see; None: everything. What is hidden goes into no value.
    """

    catalogue: str
    now_us: int
    columns: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    choice_ids: tuple[int, ...] = ()
    started: str | None = None
    ended: str | None = None
    page: int = 1
    page_size: int = 100
    seeing: Seeing | None = None


@dataclass(frozen=True, slots=True)
class PlotSeries:
    """One column with its n points, oldest first, then by choice id.

    Attributes
    ----------
    column : Column
    times : datetime64[s], shape (n,)
        Starts of hours, UTC; hours without rows or value are left out.
    values : int64 or float64, shape (n,)
        Whole numbers of counts, else in the column's units.
    choice_ids : int64, shape (n,), or None
        None: over all choices.
    """

    column: Column
    times: npt.NDArray[np.datetime64]
    values: Numbers
    choice_ids: npt.NDArray[np.int64] | None

    @property
    def x_bounds(self) -> tuple[np.datetime64, np.datetime64] | None:
        """The first and the last time; None without points."""
        return (self.times[0], self.times[-1]) if len(self.times) else None

    @property
    def y_bounds(self) -> tuple[float, float] | None:
        """The least and the greatest value, int of counts; None without points."""
        if not len(self.values):
            return None
        return self.values.min().item(), self.values.max().item()

    def to_json(self) -> dict[str, Any]:
        """Give the series as the contract has it: ISO 8601 with zone, whole numbers as int."""
        return self.told(_texts(self.times))

    def told(self, times: Sequence[str]) -> dict[str, Any]:
        """Give the series as `to_json` does, with its times as texts."""
        values = _plain(self.values)
        bounds = () if self.y_bounds is None else _plain(np.array(self.y_bounds))
        low, high = bounds or (None, None)
        if self.choice_ids is None:
            told = [{"datetime": t, "value": v} for t, v in zip(times, values, strict=True)]
        else:
            rows = zip(self.choice_ids.tolist(), times, values, strict=True)
            told = [{"id": one, "datetime": t, "value": v} for one, t, v in rows]
        return {
            "column": self.column.to_json(),
            "min_x": times[0] if times else None,
            "max_x": times[-1] if times else None,
            "min_y": low,
            "max_y": high,
            "values": told,
        }


@dataclass(frozen=True, slots=True)
class PlotAnswer:
    """The series of one page.

    Attributes
    ----------
    page : Page
        `count` is the number of columns on all pages.
    series : tuple of PlotSeries
        In the order of the columns asked for, also those without points.
    """

    page: Page
    series: tuple[PlotSeries, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what the contract calls `count` and `results`."""
        results, at, texts = [], None, []  # most series have the very same times
        for one in self.series:
            if one.times is not at:
                at, texts = one.times, _texts(one.times)
            results.append(one.told(texts))
        return {"count": self.page.count, "results": results}


def plot_data(cursor: duckdb.DuckDBPyConnection, question: PlotQuestion) -> PlotAnswer:
    """Compute the series of a page.

    Rows of the same hour are put together: sums of sums, least minima, greatest maxima, and
    averages as the sum of sums by the sum of counts. With choices in the question every point
    tells its choice, also with only one of them.

    Raises
    ------
    NotFoundError
        There is no such catalogue, or the page is past the end.
    QueryError
        A column, a choice, the range or the page breaks its rule.

    Source: SC-16 to SC-30; SCi-07 is not followed, since the published client needs the id.
    """
    offer = offer_of(cursor, question.catalogue, question.seeing)
    columns = chosen_columns(offer.catalogue, question.columns, question.groups)
    hours = hours_between(question.started, question.ended, question.now_us)
    page = page_of(len(columns), question.page, question.page_size)
    chosen = _chosen(cursor, offer, question)
    shown = columns[page.first : page.stop]
    recipes = [offer.source.recipes[column.name] for column in shown]
    among = _among(cursor, offer, question)
    gathered = gather(cursor, offer.source, recipes, hours, chosen, among=among)
    return PlotAnswer(page, _series(shown, recipes, gathered))


def _chosen(
    cursor: duckdb.DuckDBPyConnection, offer: Offer, question: PlotQuestion
) -> dict[int, dict[str, str | None]]:
    """Give the choices asked for, by id, with their fields."""
    if not question.choice_ids:
        return {}
    known = known_choices(cursor, offer, question.seeing)
    for one in question.choice_ids:
        if one not in known:
            msg = f"`choice_id` must be one of the choices of {question.catalogue}, got {one}"
            raise QueryError(msg)
    return {one: known[one] for one in question.choice_ids}


def _among(
    cursor: duckdb.DuckDBPyConnection, offer: Offer, question: PlotQuestion
) -> dict[int, dict[str, str | None]] | None:
    """Give the only choices that values over all choices may be of; None: any."""
    seeing = question.seeing
    if question.choice_ids or seeing is None or not seeing.narrows(offer):
        return None
    return known_choices(cursor, offer, seeing)


def _series(
    columns: Sequence[Column], recipes: Sequence[Recipe], gathered: Gathered
) -> tuple[PlotSeries, ...]:
    times, choices = gathered.hours.astype("datetime64[s]"), gathered.choices
    found = []
    for column, recipe in zip(columns, recipes, strict=True):
        values, there = value_of(recipe, gathered.parts)
        if there.all():
            found.append(PlotSeries(column, times, values, choices))
        else:
            ids = None if choices is None else choices[there]
            found.append(PlotSeries(column, times[there], values[there], ids))
    return tuple(found)


def _texts(times: npt.NDArray[np.datetime64]) -> list[str]:
    return [f"{time}Z" for time in np.datetime_as_string(times, unit="s").tolist()]


def _plain(values: Numbers) -> list[Any]:
    """Give whole numbers as int, since clients take values for integers (SC-30)."""
    found: list[Any] = values.tolist()
    if values.dtype == np.int64:
        return found
    whole = (np.trunc(values) == values) & (np.abs(values) < 2**53)
    for place in np.flatnonzero(whole).tolist():
        found[place] = int(found[place])
    return found
