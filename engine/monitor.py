"""The monitor: one block after another into panes and facts, on one cursor.

The path of a batch: watermark before each line -> models admitted -> keys asked in the filter ->
touched keys settled (winners, votes, outcomes) -> facts appended -> event side and label side
reduced to pane deltas -> the partition's position. All of it happens in the transaction of the
owner of the cursor, which commits or rolls back; after a rollback a new monitor must be made.
"""

from collections.abc import Callable, Mapping

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.anomaly.definition import jobs_of
from engine.anomaly.jobs import Jobs
from engine.asking import first
from engine.batch import Batch, Folded
from engine.compaction import BLOCKS, LINES, compact
from engine.config import Settings
from engine.counts import Counts
from engine.event_side import EventSide
from engine.fold import asked, fold_events, fold_labels, positives_of
from engine.jobs.decisions import Decisions
from engine.jobs.declared import declare_models
from engine.known import Known
from engine.label_panes import LabelPanes
from engine.lists import make_lists
from engine.others import Others
from engine.pairing import Paired, Pairing, count_winners
from engine.pieces import only_references, pieces
from engine.positions import or_null, write_clock, write_partition
from engine.recount import recount
from engine.retention import drop_old_evaluations, drop_old_events, drop_old_rejects
from engine.rules.alerting import Lines
from engine.rules.rowset import RowColumns
from engine.rules.watch import Watch
from engine.seen import Seen, loaded, save
from engine.shapes import Shapes
from engine.stamping import event_rows, event_times, vote_lines, vote_rows
from engine.storing import store_events
from engine.watermark import NEVER, Mark, Watermarks

__all__ = ["Monitor"]


class Monitor:
    """The engine's state over one data folder.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`, one thread, inside a transaction whenever `take` is called.
    settings : Settings
    pane_s : int
        Seconds a stored pane; divides 60 and every lookback and step.
    canonical : callable
        Canonical JSON of a raw event.
    stopwatch : callable
        Gives milliseconds that pass: how long anomaly buckets take; the default takes none.
    seen : tuple, optional
        What `engine.seen.loaded` gave beforehand.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        settings: Settings,
        pane_s: int,
        canonical: Callable[[str], str],
        stopwatch: Callable[[], float] = float,
        *,
        seen: tuple[Seen, int] | None = None,
    ) -> None:
        self._cursor = cursor
        self._settings = settings
        self._seen, self._unstored = seen or loaded(cursor)
        horizon_us, self._bare = settings.time.label_horizon_us, settings.keep_events == "none"
        self._pairing = Pairing(cursor, self._seen, horizon_us, canonical, bare=self._bare)
        self._shapes = Shapes(cursor)
        self._events = EventSide(cursor, pane_s)
        self._positives = positives_of(settings.models)
        self._labels = LabelPanes(cursor, self._positives, pane_s)
        declared = {model.id: model for model in settings.models}
        self._known = Known(cursor, settings.limits, settings.time, declared)
        columns = RowColumns()
        self._stopwatch = stopwatch
        self._jobs = Jobs(cursor, settings, columns, stopwatch)
        self._others = Others(cursor, settings, canonical, self._seen)
        self._watch = Watch(cursor, settings, columns, self._jobs)
        self._partitions: dict[tuple[str, str], int] = {}
        self._pane_s = pane_s
        self._load()

    # ---- state ------------------------------------------------------------------------------

    def _load(self) -> None:
        cursor = self._cursor
        self._known.load()
        make_lists(cursor, self._settings)
        declare_models(cursor, self._settings)
        self._decisions = Decisions(cursor)
        row = first(
            cursor,
            "SELECT epoch_us(watermark), epoch_us(last_event), next_seq, next_outcome,"
            " small_blocks, compacted_seq FROM clock",
        ) or (None, None, 0, 1, 0, 0)
        self._next_seq, self._pairing.next_outcome, self._blocks, self._compacted_seq = row[2:]
        overall, self.last_event_us = (NEVER if us is None else int(us) for us in row[:2])
        self._watermarks = Watermarks(self._settings.time.allowed_lateness_us, overall)
        for number, source, name, latest in cursor.execute(
            "SELECT partition_id, source, partition, epoch_us(max_event) FROM partitions"
        ).fetchall():
            self._partitions[source, name] = number
            reached = NEVER if latest is None else latest
            self._watermarks.marks[number] = Mark(reached, finished=True)
        self._others.load()

    def resume(self) -> Mapping[tuple[str, str], tuple[int, str | None, int | None]]:
        """Tell per (source, partition) where to go on: position, state, greatest time (µs).

        No time of one that had ended, which is not to be waited for if nothing is new there.
        """
        rows = self._cursor.execute(
            "SELECT source, partition, position, state, CASE WHEN NOT ended THEN"
            " epoch_us(max_event) END FROM partitions"
        ).fetchall()
        return {(source, name): (at, state, latest) for source, name, at, state, latest in rows}

    def recount(self) -> None:
        """Count all stored events anew, because a setting that panes depend on has changed."""
        recount(self._cursor, self._known, self._pane_s, self._settings.time.label_horizon_us)
        self._load()

    @property
    def watermark_us(self) -> int:
        """The overall watermark, µs, or NEVER."""
        return self._watermarks.overall_us

    @property
    def limits_reached(self) -> frozenset[str]:
        """Names of the limits beyond which something was counted as `__other__`."""
        return frozenset(self._known.over)

    # ---- one block --------------------------------------------------------------------------

    def take(self, batch: Batch, state: str | None = None) -> Counts:
        """Take one batch into the tables.

        Parameters
        ----------
        batch : Batch
        state : str, optional
            What the source wants back at a resume beside the position.
        """
        counts = Counts()
        for piece in pieces(batch):
            if self._watch.pending and not only_references(piece):
                self._watch.freeze(self.watermark_us)
                self._others.declare(or_null(self.watermark_us))
            counts.add(self._take(piece, state))
        return counts

    def _take(self, batch: Batch, state: str | None) -> Counts:
        block_seq = self._next_seq
        number = self._partition(batch.block.source, batch.block.partition)
        times = event_times(batch)
        marks = self._watermarks.advance(number, times, batch.block.received_us)
        counts = Counts(
            lines=batch.lines,
            votes=len(batch.votes),
            others=len(batch.others),
            rejects=len(batch.rejects),
        )
        lines = Lines(block_seq, np.append(marks[1:], self._watermarks.overall_us))
        if len(batch.predictions) or len(batch.votes):
            stored = self._count(batch, marks, number, lines)
            counts.events, counts.repeats = stored, len(batch.predictions) - stored
        self._keep_rejects(batch, number)
        counts.alerts = self._others.take(batch, number, block_seq)
        self._watch.note(batch.others, block_seq)
        self._jobs.note(batch, lines)
        self._watch.mark(times, block_seq)
        if len(times):
            self.last_event_us = max(self.last_event_us, int(times.max()))
        self._next_seq += batch.lines
        self._unstored = save(self._seen, self._cursor, self._unstored, self._next_seq)
        counts.alerts += self._watch.advance(self.watermark_us, lines, self._next_seq)
        self._compact()
        self._write_partition(number, batch, state, counts)
        self._write_clock()
        return counts

    def watch(self) -> None:
        """Begin to follow the alert rules; once, when the tables agree with the settings."""
        self._watch.open(self.watermark_us)
        self._others.declare(or_null(self.watermark_us))

    def change(self, settings: Settings) -> None:
        """Go on with other metrics, alert rules and anomaly jobs, as a restart would.

        Between two blocks, inside a transaction. Everything else of the settings must be as it is:
        other models, and other administrators, would change what is counted already.

        Parameters
        ----------
        settings : Settings
            Those of other users and notifications alone reopen nothing; other metrics and rules
            leave the anomaly jobs as they are, unless a job reads such a metric.
        """
        before, self._settings = self._settings, settings
        if _followed(before) == _followed(settings):
            return
        if before.anomaly_jobs == settings.anomaly_jobs and jobs_of(before) == jobs_of(settings):
            self._watch.change(settings)
        else:
            self._jobs.save()
            columns = RowColumns()
            self._jobs = Jobs(self._cursor, settings, columns, self._stopwatch)
            self._watch.change(settings, (columns, self._jobs))
        self.watch()

    def save(self) -> int:
        """Write results and states of anomaly jobs at the end of a transaction; gives bytes."""
        return self._jobs.save()

    def take_alerts(self) -> pa.Table:
        """Give id and model of the alerts written since the last call: `alert_id`, `model_id`."""
        return pa.concat_tables([*self._others.take_alerts(), self._watch.take_alerts()])

    def _count(self, batch: Batch, marks: npt.NDArray[np.int64], number: int, lines: Lines) -> int:
        """Pair, store and reduce the predictions and votes; gives the predictions stored."""
        cursor, block_seq = self._cursor, self._next_seq
        probes, repeated, order = asked(batch)
        paired, hits, touched = self._pairing.classify(batch, probes, repeated)
        rows = self._shapes.kept(event_rows(batch, marks, number, block_seq), batch.shapes)
        rows = rows.append_column("series_id", self._known.admit_models(batch.predictions))
        rows = rows.append_column("fresh", pa.array(paired.fresh))
        votes = vote_rows(batch.votes, block_seq)
        cursor.register("b_votes", votes)
        if paired.touched:
            own = rows.filter(pa.array(~paired.fresh))
            how = {"clash": paired.clash, "told": not self._watch.idle}
            winners = self._pairing.settle(hits, touched, own, votes, **how)
            paired = count_winners(paired, rows, winners)
        told = rows.append_column("counted", pa.array(paired.counted))
        self._pairing.remember(block_seq, told, batch.votes, probes, order)
        store_events(cursor, told, bare=self._bare)
        again = (paired.fresh, votes, paired.clash) if paired.touched else None
        self._watch.take(batch, rows, lines, again)
        self._count_events(batch, rows, paired, block_seq)
        self._count_labels(batch, rows, paired, block_seq)
        decided = batch.folded.decisions if batch.folded else None
        self._decisions.count_fresh(rows, block_seq, decided)
        if paired.touched:
            self._decisions.count_touched(block_seq, self._pairing.effective)
        self._decisions.merge()
        for name in ("b_predictions", "b_votes"):
            cursor.unregister(name)
        return int(paired.counted.sum())

    def _count_events(self, batch: Batch, rows: pa.Table, paired: Paired, block_seq: int) -> None:
        if paired.counted.any():
            found = self._folded(batch, every=bool(paired.counted.all()))
            amounts = (
                fold_events(batch, rows["series_id"], paired.counted, self._pane_s)
                if found is None
                else found.events
            )
            self._events.write_totals(amounts.totals, block_seq)
            self._events.write_values(self._known.admit_properties(amounts.values), block_seq)
        series = self._known.series()
        again = self._events.take_back(block_seq, series) if paired.clash else None
        if again is not None:
            self._events.write_values(self._known.admit_properties(again), block_seq)

    def _folded(self, batch: Batch, *, every: bool) -> Folded | None:
        """Give what was folded beforehand, where it is what counts."""
        return batch.folded if every and not self._known.renames_models else None

    def _count_labels(self, batch: Batch, rows: pa.Table, paired: Paired, block_seq: int) -> None:
        """Write what the touched keys add and take back, and what the fresh labels add."""
        known, labels, found, dirty = self._known, self._labels, [], None
        told = self._pairing.changes
        changes = labels.changes(known.series(), told) if paired.touched else None
        if changes is not None and len(changes):
            dirty = labels.dirty(changes)
            found.append(known.admit_classes(labels.amounts(changes)))
        carried = rows["label"].is_valid().to_numpy()
        folded = self._folded(batch, every=bool((paired.fresh | ~carried).all()))
        fresh = (
            fold_labels(rows, "series_id", paired.fresh, self._positives, self._pane_s)
            if folded is None
            else folded.labels
        )
        if fresh is not None:
            found.append(known.admit_classes(fresh))
        labels.write(found, block_seq, dirty)
        if dirty is not None:
            labels.recount(dirty, block_seq, known.series())

    def _keep_rejects(self, batch: Batch, number: int) -> None:
        if not len(batch.rejects):
            return
        self._cursor.register("b_rejects", batch.rejects)
        self._cursor.execute(
            "INSERT INTO rejects_log SELECT $number, position, make_timestamp($received),"
            " reason, field, raw FROM b_rejects",
            {"received": batch.block.received_us, "number": number},
        )
        self._cursor.unregister("b_rejects")

    def _compact(self) -> None:
        self._blocks += 1
        if self._blocks >= BLOCKS or self._next_seq - self._compacted_seq >= LINES:
            compact(self._cursor, self._compacted_seq)
            self._blocks, self._compacted_seq = 0, self._next_seq

    def retain(self, now_us: int) -> None:
        """Drop what is older than the retention of its relation allows."""
        if self.watermark_us != NEVER:
            self._jobs.retain(self.watermark_us)
        for name, span_us in self._settings.retention_us:
            if name == "rejects":
                drop_old_rejects(self._cursor, now_us - span_us)
            elif self.watermark_us == NEVER:
                continue
            elif name == "evaluations":
                drop_old_evaluations(self._cursor, self.watermark_us - span_us)
            elif name == "events":
                for segment in drop_old_events(self._cursor, self.watermark_us - span_us):
                    self._pairing.drop(segment)

    # ---- partitions and the clock -----------------------------------------------------------

    def _partition(self, source: str, name: str) -> int:
        number = self._partitions.get((source, name))
        if number is None:
            number = self._partitions[source, name] = len(self._partitions)
            self._cursor.execute(
                "INSERT INTO partitions (partition_id, source, partition, position, idle, events,"
                " rejects) VALUES (?, ?, ?, 0, false, 0, 0)",
                [number, source, name],
            )
        mark = self._watermarks.marks.setdefault(number, Mark())
        mark.finished = False
        return number

    def open_partition(self, source: str, name: str, now_us: int, *, live: bool) -> None:
        """Note a partition before its first line: it holds the watermark back.

        Only a live one is given up after the idle time-out: a bounded one waits for its turn.
        """
        mark = self._watermarks.marks[self._partition(source, name)]
        mark.heard_us, mark.live = now_us, live

    def close_partition(self, source: str, name: str, state: str | None = None) -> None:
        """Note that a partition has ended; it holds nobody back any more.

        `state` is what its source wants back at a resume.
        """
        number = self._partition(source, name)
        self._watermarks.finish(number)
        self._cursor.execute(
            "UPDATE partitions SET state = ?, ended = true WHERE partition_id = ?", [state, number]
        )
        self._watch.advance(self.watermark_us, None, self._next_seq)
        self._write_clock()

    def rest(self, now_us: int, since_us: int = NEVER) -> bool:
        """Let partitions that were silent for the idle time-out stop holding the others back.

        `since_us`: silence before then does not count.
        """
        if not self._watermarks.rest(now_us, self._settings.time.idle_timeout_us, since_us):
            return False
        for number, mark in self._watermarks.marks.items():
            if mark.idle:
                self._cursor.execute(
                    "UPDATE partitions SET idle = true WHERE partition_id = ?", [number]
                )
        self._watch.advance(self.watermark_us, None, self._next_seq)
        self._write_clock()
        return True

    def _write_partition(
        self, number: int, batch: Batch, state: str | None, counts: Counts
    ) -> None:
        events = len(batch.predictions) + vote_lines(batch.votes) + len(batch.others)
        told = (self._watermarks.of(number), state, events, counts.rejects)
        write_partition(self._cursor, number, batch, self._watermarks.marks[number], told)

    def _write_clock(self) -> None:
        lines = [self._next_seq, self._pairing.next_outcome, self._blocks, self._compacted_seq]
        write_clock(self._cursor, self._watermarks.overall_us, self.last_event_us, lines)


def _followed(settings: Settings) -> tuple[object, ...]:
    return settings.metrics, settings.alert_rules, settings.anomaly_jobs
