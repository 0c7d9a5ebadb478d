"""What is kept of each batch for a metric: sums, single entries, counts of bins, or values.

A part reads the rows of a block once for all batches in it and gives a portion for each batch and
boundary; portions are joined, and at the end give the value. A row counts from the first boundary
behind its arrival on, whatever its own time.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.drift import MEASURES
from engine.drift_bins import bin_numbers, bin_texts
from engine.drift_tests import chi2_test, ks_test
from engine.query.plan import Amounts, Multiset
from engine.rules.drifting import Binned
from engine.rules.extract import Extraction
from engine.rules.reader import Frame, Framed, Read, Wanted

__all__ = [
    "BATCH_STEP_S",
    "AmountPart",
    "BinPart",
    "EntryPart",
    "Found",
    "Part",
    "Told",
    "ValuePart",
    "batch_frame",
    "of_batches",
]

BATCH_STEP_S = 60
"""Batches are evaluated at multiples of it since the epoch."""

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Portion = tuple[npt.NDArray[Any], ...]
Found = tuple[int, str, int, Portion]
"""Model, batch, the boundary from which it counts, and what."""

# The year 1: before any arrival, so that the boundary of a row is the one behind its arrival.
_LONG_AGO = "(-62135596800000000)::BIGINT"
_EVENT_US = "epoch_us(r.event_time)"


@dataclass(frozen=True, slots=True)
class Told:
    """A value (NaN: undefined), its samples, and the threshold if it is a dynamic one."""

    value: float
    samples: int
    threshold: float | None = None


class Part(ABC):
    """What is kept for one metric.

    Attributes
    ----------
    models : set of int
        Numbers of the models whose batches it is kept for.
    """

    models: set[int]

    @property
    @abstractmethod
    def wanted(self) -> Wanted:
        """Give what it reads, SQL over ``r``."""

    @abstractmethod
    def found(self, read: Read) -> Iterator[Found]:
        """Give the portions of the rows."""

    @abstractmethod
    def joined(self, portions: Sequence[Portion]) -> Portion:
        """Join portions of one batch, of which there is at least one."""

    @abstractmethod
    def told(self, model_no: int, portion: Portion | None) -> Told:
        """Give the value of a batch; None: nothing of it counts."""

    def watched(self, read: Read) -> Flags:
        """Tell of each number of a model whether its batches are kept."""
        flags = np.zeros(max(int(read.model_no.max()), *self.models) + 1, np.bool_)
        flags[list(self.models)] = True
        return flags


def batch_frame(condition: str | None) -> Frame:
    """Give the frame in which rows are told apart by batch and arrival alone."""
    return Frame(_LONG_AGO, condition, "r.batch_id", BATCH_STEP_S)


def of_batches(extraction: Extraction) -> Extraction:
    """Let an extraction count rows by batch, whatever their time."""
    frame = batch_frame(extraction.frame.condition)
    wanted = dict(extraction.wanted)
    if extraction.frame.moment not in extraction.columns.values():
        wanted.pop(extraction.frame.moment)
    wanted |= {_LONG_AGO: {}, "r.batch_id": {}, _EVENT_US: {}}
    return replace(extraction, frame=frame, wanted=wanted)


@dataclass(slots=True)
class AmountPart(Part):
    """Counts and exact sums."""

    extraction: Extraction
    models: set[int] = field(default_factory=set)

    @property
    def wanted(self) -> Wanted:
        """Give what it reads."""
        return self.extraction.wanted

    def found(self, read: Read) -> Iterator[Found]:
        """Give counts and sums by batch and boundary."""
        amount = self.extraction.amounts(read, self.watched(read))
        if amount.group is None or not len(amount.model_no):
            return
        names: list[Any] = amount.group.to_pylist()
        for i, (model_no, name, enter_s) in enumerate(
            zip(amount.model_no.tolist(), names, amount.enter_s.tolist(), strict=True)
        ):
            yield model_no, name, enter_s, (amount.counts[i], amount.sums[i])

    def joined(self, portions: Sequence[Portion]) -> Portion:
        """Add up."""
        return tuple(np.sum(np.stack(column), axis=0) for column in zip(*portions, strict=True))

    def told(self, model_no: int, portion: Portion | None) -> Told:
        """Give the value of the sums."""
        del model_no  # the same function for all of them
        counts, sums = portion or (
            np.zeros(len(self.extraction.counts), np.int64),
            np.zeros(len(self.extraction.sums), object),
        )
        amounts = Amounts(
            {name: counts[i : i + 1] for i, name in enumerate(self.extraction.counts)},
            {name: sums[i : i + 1] for i, name in enumerate(self.extraction.sums)},
        )
        of_amounts = self.extraction.plan.of_amounts
        if of_amounts is None:
            msg = "a plan of amounts must give their value"
            raise TypeError(msg)
        value, samples = of_amounts(amounts)
        return Told(float(value[0]), int(samples[0]))


@dataclass(slots=True)
class EntryPart(Part):
    """Single values or texts, each with the minute of its event."""

    extraction: Extraction
    models: set[int] = field(default_factory=set)

    @property
    def wanted(self) -> Wanted:
        """Give what it reads."""
        return self.extraction.wanted

    def found(self, read: Read) -> Iterator[Found]:
        """Give entries, weights and panes by batch and boundary."""
        plan = self.extraction.plan
        component = next(c for c in plan.components if c.kind in {"values", "texts"})
        framed = read.framed(self.extraction.frame)
        column = read.column(self.extraction.columns[component.name])
        there = column.is_valid().to_numpy()[framed.rows]
        chosen = np.flatnonzero(there & self.watched(read)[read.model_no[framed.rows]])
        rows = framed.rows[chosen]
        picked = column.take(_indices(rows))
        entry = (
            picked.to_numpy()
            if component.kind == "values"
            else np.array([*picked.to_pylist(), None], object)[:-1]
        )
        step_us = BATCH_STEP_S * 1_000_000
        pane = read.column(_EVENT_US).to_numpy()[rows] // step_us * BATCH_STEP_S
        yield from _split(read, framed, chosen, (entry, read.weight[rows], pane))

    def joined(self, portions: Sequence[Portion]) -> Portion:
        """Put together."""
        return tuple(np.concatenate(column) for column in zip(*portions, strict=True))

    def told(self, model_no: int, portion: Portion | None) -> Told:
        """Give the value of the entries."""
        del model_no  # the same function for all of them
        none = np.zeros(0, np.int64)
        entry, weight, pane = portion or (np.zeros(0), none, none)
        of_multiset = self.extraction.plan.of_multiset
        if of_multiset is None:
            msg = "a plan with single entries must give their value"
            raise TypeError(msg)
        value, samples = of_multiset(_settled(entry, weight, pane), BATCH_STEP_S)
        return Told(float("nan") if value is None else value, samples)


class _DriftPart(Part):
    """What both kinds of drift share: a column, which rows count, what is frozen by model."""

    def __init__(self, column: str, condition: str | None, wanted: Wanted) -> None:
        self.models = set()
        self.frozen: dict[int, Binned] = {}
        self._column = column
        self._frame = batch_frame(condition)
        self._wanted = {**wanted, column: {}, _LONG_AGO: {}, "r.batch_id": {}}

    @property
    def wanted(self) -> Wanted:
        """Give what it reads."""
        return self._wanted

    def _threshold(self, model_no: int, samples: int) -> float | None:
        threshold = self.frozen[model_no].threshold
        return None if threshold is None else threshold(samples)


class BinPart(_DriftPart):
    """Counts of bins, compared with those of the reference set."""

    def __init__(self, column: str, condition: str | None, wanted: Wanted, measure: str) -> None:
        super().__init__(column, condition, wanted)
        self._measure = chi2_test if measure == "HypothesisTest" else MEASURES[measure]

    def found(self, read: Read) -> Iterator[Found]:
        """Give counts by batch and boundary."""
        framed = read.framed(self._frame)
        column, model_no = read.column(self._column), read.model_no[framed.rows]
        for number, frozen in self.frozen.items():
            chosen = np.flatnonzero(model_no == number)
            if not len(chosen):
                continue
            picked = column.take(_indices(framed.rows[chosen]))
            bins = frozen.bins
            codes = (
                bin_numbers(bins, picked.to_numpy())
                if bins.kind == "number"
                else bin_texts(bins, picked)
            )
            weight = read.weight[framed.rows[chosen]]
            for name, enter_s, mine in _portions(read, framed, chosen):
                used = mine[np.asarray(codes)[mine] >= 0]
                counts = np.bincount(codes[used], weight[used], len(bins)).astype(np.int64)
                yield number, name, enter_s, (counts,)

    def joined(self, portions: Sequence[Portion]) -> Portion:
        """Add up."""
        return (np.sum(np.stack([counts for (counts,) in portions]), axis=0),)

    def told(self, model_no: int, portion: Portion | None) -> Told:
        """Give the measure of the counts."""
        bins = self.frozen[model_no].bins
        (counts,) = portion or (np.zeros(len(bins), np.int64),)
        value, samples = self._measure(bins.reference, counts[None]), int(counts.sum())
        return Told(float(value[0]), samples, self._threshold(model_no, samples))


class ValuePart(_DriftPart):
    """Numbers for the two-sample Kolmogorov-Smirnov test."""

    def found(self, read: Read) -> Iterator[Found]:
        """Give values and weights by batch and boundary."""
        framed = read.framed(self._frame)
        values = read.numbers(self._column)[framed.rows]
        known = np.isin(read.model_no[framed.rows], list(self.frozen)) & ~np.isnan(values)
        chosen = np.flatnonzero(known)
        weight = read.weight[framed.rows[chosen]]
        yield from _split(read, framed, chosen, (values[chosen], weight))

    def joined(self, portions: Sequence[Portion]) -> Portion:
        """Put together."""
        return tuple(np.concatenate(column) for column in zip(*portions, strict=True))

    def told(self, model_no: int, portion: Portion | None) -> Told:
        """Give the test of the values."""
        none = np.zeros(0, np.int64)
        values, weight = portion or (np.zeros(0), none)
        samples, ordered = int(weight.sum()), self.frozen[model_no].ordered
        value = float("nan")
        if ordered is not None and samples:
            value = ks_test(ordered, values, weight)
        return Told(value, samples, self._threshold(model_no, samples))


def _portions(read: Read, framed: Framed, chosen: Ints) -> Iterator[tuple[str, int, Ints]]:
    """Give batch, boundary and the places within `chosen`, for the rows `chosen` of the framed."""
    if not len(chosen):
        return
    order = np.argsort(framed.number[chosen], kind="stable")
    number = framed.number[chosen[order]]
    starts = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    firsts = _indices(framed.rows[chosen[order[starts]]])
    names: list[Any] = read.column("r.batch_id").take(firsts).to_pylist()
    stops = np.append(starts[1:], len(order))
    for name, start, stop in zip(names, starts, stops, strict=True):
        mine = order[start:stop]
        yield name, int(framed.enter_s[chosen[mine[0]]]), mine


def _split(read: Read, framed: Framed, chosen: Ints, columns: Portion) -> Iterator[Found]:
    for name, enter_s, mine in _portions(read, framed, chosen):
        model_no = int(read.model_no[framed.rows[chosen[mine[0]]]])
        yield model_no, name, enter_s, tuple(column[mine] for column in columns)


def _indices(rows: Ints) -> "pa.Array[pa.Int64Scalar]":
    return pa.array(rows, pa.int64())


def _settled(entry: npt.NDArray[Any], weight: Ints, pane: Ints) -> Multiset:
    """Give what is left once what was taken back is gone."""
    if not (weight < 0).any():
        return Multiset(entry, weight, pane)
    codes = np.unique(entry.astype(str), return_inverse=True)[1] if entry.dtype == object else entry
    order = np.lexsort((codes, pane))
    codes, entry, weight, pane = codes[order], entry[order], weight[order], pane[order]
    starts = np.flatnonzero(np.append(True, (codes[1:] != codes[:-1]) | (pane[1:] != pane[:-1])))
    total = np.add.reduceat(weight, starts)
    there = total > 0
    return Multiset(entry[starts][there], total[there], pane[starts][there])
