"""Drift over rolling windows: bins of each model, counted and compared with its reference set.

A feed reads all properties that are watched over the same rows at once; each track bins its own and
rolls the counts of the bins like any other whole numbers. `HypothesisTest` of numbers needs the
values themselves and keeps them as a multiset.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.drift import MEASURES
from engine.drift_bins import Bins, bin_numbers, bin_texts
from engine.drift_tests import chi2_test, ks_test
from engine.drift_thresholds import chance_of
from engine.panes import pane_of
from engine.query.plan import Multiset
from engine.rules.multisets import Entries, Multisets
from engine.rules.reader import Read, Wanted
from engine.rules.rowset import RowColumns
from engine.rules.tracks import Reading, Series, Track
from engine.rules.windows import Deltas, Windows

__all__ = ["BinTrack", "Binned", "Feed", "Rows", "TestTrack", "feed_of"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SILENT = np.inf
"""A threshold that nothing passes."""


# Values of windows of an independent stream, in parts of chi-squared by the sizes of both sides.
_SHARE_OF_CHI2 = {
    "PSI": 1.0,
    "KLDivergence": 0.5,
    "JSDivergence": 0.125,
    "HellingerDistance": 0.125,
}
_FEW = 5  # events expected in the rarest bin, below which that distribution is another one


@dataclass(frozen=True, slots=True)
class Binned:
    """The bins of one model, frozen with its reference set.

    Attributes
    ----------
    binning, version : str, int
        Where they are stored.
    threshold : callable or None
        Samples of a window to the threshold: of rules whose threshold is dynamic.
    ordered : float64 or None
        The reference values, ascending: of numbers under `HypothesisTest`.
    """

    bins: Bins
    binning: str
    version: int
    threshold: Callable[[int], float] | None = None
    ordered: Floats | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that a feed has read, grouped by (model, pane, arrival).

    Attributes
    ----------
    group : int64, shape (n,)
        The group of each row.
    first : int64, shape (g,)
        A row of each group.
    by_model : mapping of int to int64
        The rows of each model.
    """

    model_no: Ints
    weight: Ints
    pane_s: Ints
    enter_s: Ints
    group: Ints
    first: Ints
    by_model: Mapping[int, Ints]
    columns: Mapping[str, Any]


@dataclass(slots=True)
class Feed:
    """Reads what several tracks need of the same rows.

    Attributes
    ----------
    keys, tail : str
        SQL: the columns that tell window and row, and which rows count.
    listed : dict of str to str
        SQL of each column that a track reads.
    """

    keys: str
    tail: str
    parameters: Mapping[str, object]
    step_s: int
    listed: dict[str, str] = field(default_factory=dict)

    def read(self, cursor: duckdb.DuckDBPyConnection, models: str) -> Rows:
        """Read the rows of ``w_rows`` of the models that `models`, SQL, lists."""
        wanted = "".join(f", {sql} AS v{i}" for i, sql in enumerate(self.listed.values()))
        table = cursor.sql(
            f"SELECT {self.keys}, r.weight{wanted}"
            f" FROM w_rows r WHERE r.model_no IN ({models}) AND {self.tail}",
            params=dict(self.parameters),
        ).to_arrow_table()
        model_no, pane = table["model_no"].to_numpy(), table["pane_s"].to_numpy()
        enter = table["enter_s"].to_numpy()
        group, first = _grouped(model_no, pane, enter, self.step_s)
        columns = {sql: table[f"v{i}"] for i, sql in enumerate(self.listed.values())}
        weight = table["weight"].to_numpy()
        order = np.argsort(model_no, kind="stable")
        present, starts = np.unique(model_no[order], return_index=True)
        parts = np.split(order, starts[1:])
        by_model = dict(zip(present.tolist(), parts, strict=True)) if len(order) else {}
        return Rows(model_no, weight, pane, enter, group, first, by_model, columns)


def feed_of(
    columns: RowColumns,
    truths: tuple[str, ...],
    basis: str,
    step_s: int,
    where: tuple[str, Mapping[str, object]],
) -> Feed:
    """Write the statement of a feed; `where` is the filter of the target and its parameters."""
    label_basis = basis == "label"
    moment = columns.moment(truths, label_basis=label_basis)
    needed = truths or (("label",) if label_basis else ())
    conditions = [columns.present(needed), f"({where[0]})"] + ([] if needed else ["r.changed"])
    columns.note(where[0])
    pane = pane_of(moment, step_s)
    arrival = pane_of("make_timestamp(r.arrival_us)", step_s)
    keys = (
        f"r.model_no, {pane} AS pane_s, (greatest({pane}, {arrival}) + {step_s})::BIGINT AS enter_s"
    )
    if needed:
        columns.last(" ".join((keys, *conditions)))
    return Feed(keys, " AND ".join(conditions), where[1], step_s)


def _grouped(model_no: Ints, pane: Ints, enter: Ints, step_s: int) -> tuple[Ints, Ints]:
    """Give the number of the group (model, pane, arrival) of each row, and a row of each."""
    if not len(pane):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place = (pane - pane.min()) // step_s
    late = (enter - pane) // step_s - 1
    key = (model_no * (int(place.max()) + 1) + place) * (int(late.max()) + 1) + late
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return group, first


class _FedTrack(Track):
    """What both kinds of drift track share: a column of a feed, and what is frozen by model."""

    def __init__(
        self,
        feed: Feed,
        column: str,
        series: Series,
        windows: tuple[int, int],
        measure: str,
    ) -> None:
        super().__init__(None, series, *windows)  # type: ignore[arg-type] # fed by its feed
        self.measure = measure
        self.feed = feed
        self.column = column
        self.frozen: dict[int, Binned] = {}

    @property
    def wanted(self) -> Wanted:
        """Nothing: the feed brings the rows (`take`)."""
        return {}

    def gather(self, read: Read, watched: npt.NDArray[np.bool_]) -> None:
        """Do nothing: the feed brings the rows (`take`)."""

    def blank(self) -> tuple[float, int]:
        """Give value and samples of an empty window."""
        return float("nan"), 0

    def thresholds(self, series: Ints, samples: Ints, value: Floats) -> Floats:
        """Give the dynamic threshold of windows; infinite where the value is far below any."""
        found = np.full(len(series), SILENT)
        for number in np.unique(series):
            frozen = self.frozen[self.series.keys[number][0]]
            mine = series == number
            if frozen.threshold is None:
                continue
            rows = np.flatnonzero(mine & (value > self.surely_below(frozen, samples)))
            sizes, place = np.unique(samples[rows], return_inverse=True)
            told = np.array([frozen.threshold(int(size)) for size in sizes], np.float64)
            found[rows] = told[place]
        return found

    def surely_below(self, frozen: Binned, samples: Ints) -> Floats:
        """Give values that no threshold is below: it takes some 20 ms to compute one.

        A threshold is at least what windows and references drawn independently pass with the
        chance that the budget allows. Such values have about a chi-squared distribution (its
        quantile by Wilson and Hilferty 1931); what they pass ten times as often, less a tenth, is
        well below.
        """
        share = _SHARE_OF_CHI2.get(self.measure, 0.0)
        used = frozen.bins.reference[frozen.bins.reference > 0]
        if not len(used):
            return np.zeros(len(samples))
        freedom, rows = max(1, len(used) - 1), int(used.sum())
        chance = min(0.2, 10 * chance_of(self.lookback_s, self.step_s))
        spread = 2 / (9 * freedom)
        root = 1 - spread + NormalDist().inv_cdf(1 - chance) * np.sqrt(spread)
        sizes = 1 / np.maximum(samples, 1) + 1 / rows
        least = 0.9 * share * freedom * root**3 * sizes
        least = np.sqrt(least) if self.measure == "HellingerDistance" else least
        return np.where(samples * (int(used.min()) / rows) < _FEW, 0.0, least)


class BinTrack(_FedTrack):
    """Counts of bins under one measure.

    Attributes
    ----------
    recorded : list of pyarrow.Table
        What the rows taken add to `bin_panes`, of the models in `recording`; emptied by its owner.
    """

    def __init__(
        self,
        feed: Feed,
        column: str,
        series: Series,
        windows: tuple[int, int],
        measure: str,
    ) -> None:
        super().__init__(feed, column, series, windows, measure)
        self._measure = chi2_test if measure == "HypothesisTest" else MEASURES[measure]
        self._windows = Windows(0, 0)
        self.recording: set[int] = set()
        self.recorded: list[pa.Table] = []

    def begin(self) -> None:
        """Make the windows wide enough, once all models are known."""
        self._windows = Windows(max(len(each.bins) for each in self.frozen.values()), 0)

    def take(self, rows: Rows) -> None:
        """Take in the rows of the feed."""
        width = max(len(each.bins) for each in self.frozen.values())
        codes = np.full(len(rows.model_no), -1, np.int64)
        column = rows.columns[self.column]
        values = None if pa.types.is_string(column.type) else column.to_numpy()
        for number, mine in rows.by_model.items():
            if number in self.frozen:
                bins = self.frozen[number].bins
                codes[mine] = (
                    bin_texts(bins, column.take(pa.array(mine, pa.int64())))
                    if values is None
                    else bin_numbers(bins, values[mine])
                )
        used = codes >= 0
        size = len(rows.first)
        group, weight = rows.group[used], rows.weight[used]
        flat = np.bincount(
            group * width + codes[used], weights=weight, minlength=size * width
        ).astype(np.int64)
        counts = flat.reshape(size, width)
        there = np.flatnonzero(counts.any(axis=1))
        first = rows.first[there]
        self._record(rows.model_no[first], rows.pane_s[first], counts[there])
        known = self.series.known(rows.model_no[first])
        there, first = there[known], first[known]
        self._windows.grow(len(self.series.keys))
        self._windows.add(
            Deltas(
                self.series.of(rows.model_no[first], None),
                rows.enter_s[first],
                self.leave_s(rows.pane_s[first]),
                counts[there],
                np.zeros((len(there), 0), object),
            )
        )

    def _record(self, model_no: Ints, pane_s: Ints, counts: Ints) -> None:
        mine = np.flatnonzero(np.isin(model_no, sorted(self.recording)))
        if not len(mine):
            return
        row, code = np.nonzero(counts[mine])
        at = mine[row]
        numbers, place = np.unique(model_no[at], return_inverse=True)
        frozen, taken = [self.frozen[n] for n in numbers.tolist()], pa.array(place, pa.int64())
        self.recorded.append(
            pa.table(
                {
                    "binning": pa.array([each.binning for each in frozen], pa.string()).take(taken),
                    "version": pa.array([each.version for each in frozen], pa.int32()).take(taken),
                    "pane_s": pa.array(pane_s[at]),
                    "bin": pa.array(code.astype(np.int32)),
                    "count": pa.array(counts[at, code]),
                }
            )
        )

    def advance(self, until_s: int) -> Reading:
        """Give what changes at boundaries up to `until_s`."""
        self._windows.grow(len(self.series.keys))
        moves = self._windows.advance(until_s)
        value = np.full(len(moves.series), np.nan)
        samples = moves.counts.sum(axis=1)
        turns = np.flatnonzero(moves.series[1:] != moves.series[:-1]) + 1
        edges = [0, *turns.tolist(), len(moves.series)] if len(moves.series) else []
        for start, stop in pairwise(edges):
            bins = self.frozen[self.series.keys[moves.series[start]][0]].bins
            value[start:stop] = self._measure(bins.reference, moves.counts[start:stop, : len(bins)])
        return Reading(moves.series, moves.time_s, value, samples)


class TestTrack(_FedTrack):
    """The two-sample Kolmogorov-Smirnov test of a number."""

    def __init__(self, feed: Feed, column: str, series: Series, windows: tuple[int, int]) -> None:
        super().__init__(feed, column, series, windows, "HypothesisTest")
        self._windows = Multisets()

    def take(self, rows: Rows) -> None:
        """Take in the rows of the feed that have the number."""
        values = rows.columns[self.column].to_numpy(zero_copy_only=False)
        mine = np.isin(rows.model_no, list(self.frozen)) & ~np.isnan(values)
        mine = np.flatnonzero(mine)
        mine = mine[self.series.known(rows.model_no[mine])]
        self._windows.add(
            Entries(
                self.series.of(rows.model_no[mine], None),
                rows.enter_s[mine],
                self.leave_s(rows.pane_s[mine]),
                rows.pane_s[mine],
                values[mine],
                rows.weight[mine],
            )
        )

    def advance(self, until_s: int) -> Reading:
        """Give what changes at boundaries up to `until_s`."""
        moves = self._windows.advance(until_s)
        series = np.array([move.series for move in moves], np.int64)
        samples = np.array([move.content.weights.sum() for move in moves], np.int64)
        value = np.array([self._value(m.series, m.content) for m in moves], np.float64)
        times = np.array([move.time_s for move in moves], np.int64)
        return Reading(series, times, value, samples)

    def _value(self, series: int, content: Multiset) -> float:
        ordered = self.frozen[self.series.keys[series][0]].ordered
        if ordered is None or not len(content.entries):
            return float("nan")
        return ks_test(ordered, content.entries, content.weights)
