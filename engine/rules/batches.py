"""Rules of batch models: each batch is evaluated once, when it is complete.

A batch is the predictions of a model with one `batch_id`, whatever their time; predictions without
one belong to no batch. All of its rows count, with the labels that are known by then.

- It is *declared* complete by an event of the type ``model`` with its `model_id` and `batch_id`
  and a `status` of `engine.rules.batch_store.COMPLETE`: then it is evaluated at the first boundary
  behind that line. A batch that is declared without any row is evaluated, too: it has 0 events.
- It is *known* complete at the first boundary that is at least the model's lookback after the time
  of its latest event, unless a further event of it has come by then.

Boundaries are multiples of 60 s that the watermark passes. Exactly the lines before the one that
passed the boundary count. What comes afterwards changes nothing. There is no lookback, no warm-up
and no waiting: a violation fires at once, and a rule has one evaluation for each batch, of which
`group_value` is the batch, `window_start` the time of its earliest event and `window_end` the
boundary. An alert has the batch in `batch_id`.

Batches that are done are noted in the store and forgotten here. Those that are open are made anew
from the stored events at every start, so that a new rule sees all rows of every batch that
completes after it, and none of the batches before. A model that was not a batch model until now
has none to catch up on: what looks complete then counts as done.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.config import ModelSettings, Settings
from engine.rules.alerting import Lines, last_lines
from engine.rules.batch_alerts import (
    Evaluated,
    judged,
    write_batch_alerts,
    write_batch_evaluations,
)
from engine.rules.batch_parts import BATCH_STEP_S, Part, Told
from engine.rules.batch_plans import coverage_part, drift_part, query_part
from engine.rules.batch_state import OpenBatch, half_seconds
from engine.rules.batch_store import BatchStore, declarations
from engine.rules.definition import names_of
from engine.rules.drifting import Binned
from engine.rules.panel import Versioned
from engine.rules.reader import read_rows
from engine.rules.roster import MODEL_NO
from engine.rules.rowset import RowColumns, Rowset
from engine.rules.states import NONE, SECOND_US
from engine.watermark import NEVER

__all__ = ["Batches"]

Ints = npt.NDArray[np.int64]
Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class _Watching:
    """A rule, the place of its part, and that of the label coverage where it asks for one."""

    rule: Versioned
    part: int
    coverage: int | None


class Batches:
    """Follows the batches of all batch models.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
    settings : Settings
    columns : RowColumns
        Learns what the rows must have.
    done_s : int
        The watermark in seconds; boundaries up to it were passed already; `NONE`: never.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        settings: Settings,
        columns: RowColumns,
        done_s: int,
    ) -> None:
        self._cursor = cursor
        self._settings = settings
        self._columns = columns
        self._store = BatchStore(cursor)
        self._models: dict[int, tuple[str, int]] = {}
        self._numbers: dict[str, int] = {}
        self._rules: dict[int, list[_Watching]] = {}
        self._parts: list[Part] = []
        self._places: dict[object, int] = {}
        self._open: dict[Key, OpenBatch] = {}
        self._ahead: list[tuple[int, int, str]] = []
        self._declared: list[tuple[int, str, str]] = []
        self._done_s = done_s

    @property
    def idle(self) -> bool:
        """Whether there are no batch models."""
        return not self._models

    # ---- what is followed -------------------------------------------------------------------

    def watch(self, model: ModelSettings, model_no: int) -> None:
        """Follow the batches of a model, with rules or without."""
        lookback_s = model.lookback_s or self._settings.time.lookback_s
        self._models[model_no] = model.id, lookback_s
        self._numbers[model.id] = model_no
        for name in ("r.batch_id", "r.event_time"):
            self._columns.note(name)
            self._columns.last(name)

    def follow(
        self, each: Versioned, model: ModelSettings, model_no: int, frozen: Binned | None = None
    ) -> None:
        """Let a rule be followed on a model that is watched.

        Parameters
        ----------
        frozen : Binned, optional
            What a drift rule compares with.
        """
        if frozen is None:
            key, make = query_part(each.rule, names_of(model), self._columns)
        else:
            there = model_no, frozen
            key, make = drift_part(each.rule, names_of(model), self._columns, there)
        place = self._place(key, make)
        self._parts[place].models.add(model_no)
        coverage = None
        if each.rule.settings.min_label_coverage > 0:
            coverage = self._place("coverage", lambda: coverage_part(self._columns))
            self._parts[coverage].models.add(model_no)
        self._rules.setdefault(model_no, []).append(_Watching(each, place, coverage))

    def _place(self, key: object, make: Callable[[], Part]) -> int:
        """Give the place of the part of a key, which is made if there is none yet."""
        if key not in self._places:
            self._places[key] = len(self._parts)
            self._parts.append(make())
        return self._places[key]

    def begin(self, rowset: Rowset, watermark_us: int) -> None:
        """Make the open batches from the store, once every model and rule is followed."""
        last_s = None if self._done_s == NONE else self._done_s // BATCH_STEP_S * BATCH_STEP_S
        self._store.settle(list(self._models.values()), last_s)
        if not self._models:
            return
        for bounds in self._store.open(self._models):
            self.gather(rowset.of_store(MODEL_NO, bounds, watermark_us))
        for key in self._store.declared(self._models):
            self._declare(key, self._behind(watermark_us))

    # ---- one block --------------------------------------------------------------------------

    def gather(self, rows: pa.Table) -> None:
        """Take in rows as `engine.rules.rowset` gives them."""
        if self.idle:
            return
        chosen = pc.is_in(rows["model_no"], value_set=pa.array(list(self._models), pa.int64()))
        rows = rows.filter(pc.and_(chosen, pc.is_valid(rows["batch_id"])))
        if not len(rows):
            return
        rows, batches, number = self._of_open(rows)
        if not len(rows):
            return
        self._times(rows, batches, number)
        wanted = {sql: used for part in self._parts for sql, used in part.wanted.items()}
        self._cursor.register("w_rows", rows)
        read = read_rows(self._cursor, rows, wanted)
        self._cursor.unregister("w_rows")
        for place, part in enumerate(self._parts):
            for model_no, batch_id, enter_s, portion in part.found(read):
                batch = self._open[model_no, batch_id]
                batch.keep(place, part, portion, (enter_s, self._done_s))

    def _of_open(self, rows: pa.Table) -> tuple[pa.Table, list[OpenBatch], Ints]:
        """Leave out the rows of batches that are done; gives the others, and the batch of each."""
        coded = rows["batch_id"].combine_chunks().dictionary_encode()
        names: list[Any] = coded.dictionary.to_pylist()
        codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        pairs, place = np.unique(
            rows["model_no"].to_numpy() * len(names) + codes, return_inverse=True
        )
        keys = [(int(pair // len(names)), names[int(pair % len(names))]) for pair in pairs]
        done = self._store.done([key for key in keys if key not in self._open])
        batches = [self._batch(key) for key in keys if key not in done]
        open_ = np.array([key not in done for key in keys], np.bool_)
        number = (np.cumsum(open_) - 1)[place]
        if not done:
            return rows, batches, number
        kept = open_[place]
        return rows.filter(pa.array(kept)), batches, number[kept]

    def _batch(self, key: Key) -> OpenBatch:
        if key not in self._open:
            self._open[key] = OpenBatch(*key, self._models[key[0]][1])
        return self._open[key]

    def _times(self, rows: pa.Table, batches: list[OpenBatch], number: Ints) -> None:
        """Let the batches know the times of their rows; label changes alone have none."""
        changed = rows["changed"].to_numpy()
        minute = rows["arrival_us"].to_numpy() // (BATCH_STEP_S * SECOND_US)
        times = half_seconds(rows["event_time"].cast(pa.int64()).to_numpy())
        weight = rows["weight"].to_numpy()
        order = np.flatnonzero(changed)
        order = order[np.lexsort((minute[order], number[order]))]
        if not len(order):
            return
        new = (number[order][1:] != number[order][:-1]) | (minute[order][1:] != minute[order][:-1])
        starts = np.flatnonzero(np.append(True, new))
        for start, stop in zip(starts, np.append(starts[1:], len(order)), strict=True):
            mine = order[start:stop]
            enter_s = (int(minute[mine[0]]) + 1) * BATCH_STEP_S
            batch = batches[int(number[mine[0]])]
            batch.wait(enter_s, times[mine], weight[mine])
            self._wake(batch)

    def note(self, others: pa.Table) -> None:
        """Take note of the batches that a block declares complete; before `declare`."""
        if self._models and "model" in others["type"].unique().to_pylist():
            self._declared = declarations(others)

    def declare(self, lines: Lines | None) -> None:
        """Let the batches noted be complete at the boundaries behind their lines of the block."""
        declared, self._declared = self._declared, []
        named = [
            (ordinal, (self._numbers[model_id], batch_id))
            for ordinal, model_id, batch_id in declared
            if model_id in self._numbers
        ]
        if not named or lines is None:
            return
        done = self._store.done([key for _, key in named if key not in self._open])
        for ordinal, key in named:
            if key not in done:
                self._declare(key, self._behind(int(lines.arrival_us[ordinal])))

    def _declare(self, key: Key, time_s: int) -> None:
        batch = self._batch(key)
        if batch.declared_s is None or time_s < batch.declared_s:
            batch.declared_s = time_s
        self._wake(batch)

    def _wake(self, batch: OpenBatch) -> None:
        """Look at a batch again when something of it comes or falls due."""
        time_s = batch.next_s()
        if time_s != batch.wake_s:
            batch.wake_s = time_s
            if time_s is not None:
                heapq.heappush(self._ahead, (time_s, batch.model_no, batch.batch_id))

    @staticmethod
    def _behind(watermark_us: int) -> int:
        """Give the first boundary behind a watermark."""
        return (watermark_us // (BATCH_STEP_S * SECOND_US) + 1) * BATCH_STEP_S

    # ---- boundaries -------------------------------------------------------------------------

    def advance(self, watermark_us: int, lines: Lines | None, next_seq: int) -> pa.Table:
        """Evaluate what is complete by the watermark; gives `alert_id`, `model_id` of the alerts.

        Parameters
        ----------
        lines : Lines or None
            The block that moved it; None: time alone did.
        next_seq : int
            The number of the next line.
        """
        complete = list(
            self._complete(self._start_s(watermark_us, lines), watermark_us // SECOND_US)
        )
        self._done_s = watermark_us // SECOND_US
        times_s = np.array([time_s for _, time_s in complete], np.int64)
        lasts = last_lines(times_s, lines, next_seq).tolist()
        found = [
            each
            for (batch, time_s), last in zip(complete, lasts, strict=True)
            for each in self._evaluated(batch, time_s, last)
        ]
        keys = [(batch.model_no, batch.batch_id) for batch, _ in complete]
        self._store.finish(keys, [time_s for _, time_s in complete])
        write_batch_evaluations(self._cursor, found)
        return write_batch_alerts(self._cursor, found)

    def _start_s(self, watermark_us: int, lines: Lines | None) -> int:
        """Give the first boundary that was not passed; the first line with a time passes none."""
        if self._done_s != NONE:
            return self._behind(self._done_s * SECOND_US)
        known = [] if lines is None else lines.arrival_us[lines.arrival_us != NEVER][:1].tolist()
        return self._behind(known[0] if known else watermark_us)

    def _complete(self, start_s: int, until_s: int) -> Iterable[tuple[OpenBatch, int]]:
        """Go on to a boundary and give the batches that are complete on the way, in order."""
        while self._ahead and max(self._ahead[0][0], start_s) <= until_s:
            time_s, model_no, batch_id = heapq.heappop(self._ahead)
            batch = self._open.get((model_no, batch_id))
            if batch is None or batch.wake_s != time_s:
                continue
            now_s = max(time_s, start_s)
            batch.enter(now_s)
            due_s = batch.due_s()
            if due_s is not None and due_s <= now_s:
                del self._open[batch.model_no, batch.batch_id]
                yield batch, now_s
                continue
            batch.wake_s = None
            self._wake(batch)
            if batch.wake_s is None:  # all of its rows were taken back
                del self._open[batch.model_no, batch.batch_id]

    def _evaluated(self, batch: OpenBatch, time_s: int, last: int) -> Iterable[Evaluated]:
        start_s = batch.start_s
        window = (time_s if start_s is None else start_s), time_s
        from_line: int | None = None
        for watching in self._rules.get(batch.model_no, ()):
            told, share = self._told(batch, watching.part, time_s), float("nan")
            if watching.coverage is not None:
                share = self._told(batch, watching.coverage, time_s).value
            found = judged(watching.rule, batch.batch_id, window, told, share)
            if found.state == "firing":
                if from_line is None:
                    model_id = self._models[batch.model_no][0]
                    from_line = self._store.first_line(model_id, batch.batch_id, last)
                found = replace(found, lines=(from_line, last))
            yield found

    def _told(self, batch: OpenBatch, place: int, time_s: int) -> Told:
        part = self._parts[place]
        return part.told(batch.model_no, batch.kept(place, part, time_s))
