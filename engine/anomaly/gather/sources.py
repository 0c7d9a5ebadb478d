"""Rows of jobs over events of other types, weighted like those of predictions.

A repeated id replaces, for every type: of several events with one identity the one with the
greatest (event_time, raw) counts, so that a line that comes twice changes nothing and a correction
takes back what it corrects. The identity is the id; of a metric with a step it is (job_id,
experiment_id, name, step); what has neither stands for itself. Of labels it is (model_id, id, by),
and the votes of the greatest time count, all of them together where there are several.

What a label event said beside its votes is not stored: its JSON here has `model_id`, `id`, `by`,
`label` and `labels`.
"""

from collections.abc import Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.anomaly.gather.source_sql import (
    NOTHING,
    OTHERS_IN_BLOCK,
    STEPS,
    VOTE_STEPS,
    VOTES_IN_BLOCK,
    VOTES_IN_STORE,
    WINNERS,
)
from engine.batch import Batch
from engine.column_names import column_name
from engine.panes import quoted, text
from engine.query.columns import JsonColumns
from engine.query.names import ModelNames
from engine.rules.alerting import Lines
from engine.rules.rowset import RowColumns
from engine.seen import SEGMENT_BITS, Seen

__all__ = ["TypeRows"]


class TypeRows:
    """Makes the rows on one cursor.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.

    Attributes
    ----------
    columns : RowColumns
        What the rows must have; may grow between two calls.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self.columns = RowColumns()
        self._raw = JsonColumns(ModelNames(""))
        self._seen: dict[str, Seen] = {}

    def of_block(self, kind: str, batch: Batch, lines: Lines) -> pa.Table:
        """Give what the events of one type in a block add and take back.

        Parameters
        ----------
        kind : str
            ``label``, ``metric``, ``run``, ``ingest`` or ``model``.
        batch : Batch
            Every block once, in order; it may be stored already.
        lines : Lines

        Returns
        -------
        pyarrow.Table
            `weight`, `seq`, `arrival_us`, `changed`, `model_no` (0), `model_id`, `event_time`, and
            the columns of `columns`, in order of lines.
        """
        fresh = batch.votes
        if kind != "label":
            fresh = batch.others.filter(pc.equal(batch.others["type"], pa.scalar(kind)))
            fresh = fresh.filter(fresh["event_us"].is_valid())
        if not len(fresh):
            return self._shaped(NOTHING)
        ordinals = fresh["ordinal"].to_numpy()
        fresh = fresh.append_column("seq", pa.array(ordinals.astype(np.int64) + lines.first_seq))
        fresh = fresh.append_column("arrival_us", pa.array(lines.arrival_us[ordinals]))
        self._cursor.register("a_fresh", fresh)
        source = VOTES_IN_BLOCK if kind == "label" else self._identified(OTHERS_IN_BLOCK)
        self._cursor.execute(f"CREATE OR REPLACE TEMP TABLE a_new AS {source}")
        self._cursor.unregister("a_fresh")
        self._fetch(kind, lines.first_seq)
        found = self._shaped(VOTE_STEPS if kind == "label" else STEPS)
        self._cursor.execute("DROP TABLE a_new; DROP TABLE a_old")
        return found

    def of_store(self, kind: str, low_us: int | None, high_us: int | None) -> pa.Table:
        """Give the stored events of one type that count, as if all of them came in time.

        Parameters
        ----------
        kind : str
            As above.
        low_us, high_us : int or None
            Only those with ``low_us <= event time < high_us``.
        """
        bounds = ["event_time IS NOT NULL"]
        bounds += [] if low_us is None else [f"event_time >= make_timestamp({low_us})"]
        bounds += [] if high_us is None else [f"event_time < make_timestamp({high_us})"]
        others = WINNERS.format(stored=self._stored(kind))
        source = VOTES_IN_STORE if kind == "label" else others
        return self._shaped(
            f"SELECT 1::BIGINT AS weight, seq, {_LONG_AGO}::BIGINT AS arrival_us, event_time, raw,"
            f" model_id, job_id, event_id FROM ({source}) WHERE {' AND '.join(bounds)}"
        )

    # ---- what is stored of the same identities ----------------------------------------------

    def _fetch(self, kind: str, first_seq: int) -> None:
        """Make `a_old`: what was stored before the block of the identities that are in it."""
        seen = self._seen.get(kind)
        if seen is None:
            seen = self._seen[kind] = self._load(kind, first_seq)
        table = self._cursor.sql(
            "SELECT key, seq FROM a_new WHERE key IS NOT NULL ORDER BY seq"
        ).to_arrow_table()
        keys = table["key"].to_numpy()
        hits = seen.ask(keys)
        _remember(seen, keys, table["seq"].to_numpy())
        where = f"seq < {first_seq} AND {hits.where}"
        stored = "votes_log"
        if kind != "label":
            stored = f"({self._stored(kind, where)})"
        self._cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE a_old AS SELECT * FROM {stored}"
            f" SEMI JOIN a_new USING (key) WHERE {where}"
        )

    def _load(self, kind: str, first_seq: int) -> Seen:
        """Fill the filter with the keys stored before a line."""
        where, seen = f"seq < {first_seq}", Seen()
        stored = "votes_log"
        if kind != "label":
            stored = f"({self._stored(kind, where)})"
        reader = self._cursor.sql(
            f"SELECT key, seq FROM {stored} WHERE key IS NOT NULL AND {where}"
        ).to_arrow_reader(1 << 20)
        for batch in reader:
            _remember(seen, batch["key"].to_numpy(), batch["seq"].to_numpy())
        return seen

    def _stored(self, kind: str, where: str = "true") -> str:
        """Select stored events of a type with their identities."""
        return self._identified(
            "SELECT seq, NULL::BIGINT AS arrival_us, type, event_time, raw, model_id, job_id,"
            f" event_id FROM other_events WHERE type = {text(kind)} AND {where}"
        )

    def _identified(self, events: str) -> str:
        """Add to events the text of their identity and its hash; NULL without one."""
        experiment, name, step = (
            self._raw.json(each)[1] for each in ("experiment_id", "name", "step")
        )
        return (
            "SELECT *, CASE WHEN who IS NOT NULL THEN hash(who) END AS key FROM (SELECT *,"
            f" CASE WHEN type = 'metric' AND ({step}) IS NOT NULL"
            f" THEN json_array('step', job_id, {experiment}, {name}, {step})::VARCHAR"
            " WHEN event_id IS NOT NULL THEN json_array('id', event_id)::VARCHAR END AS who"
            f" FROM ({events}) r)"
        )

    # ---- columns ----------------------------------------------------------------------------

    def _shaped(self, source: str) -> pa.Table:
        """Give the columns that were asked for, of rows with the columns of an event."""
        columns = self.columns
        wanted = ["weight", "seq", "arrival_us", "true AS changed", "0::BIGINT AS model_no"]
        regular = sorted({*columns.regular, "model_id", "event_time"})
        wanted += [f"{self._regular(name)} AS {name}" for name in regular]
        wanted += [
            f"{self._raw.number(name)} AS {quoted(column_name('n', name))}"
            for name in columns.numbers
        ]
        wanted += [
            f"{self._raw.text(name)} AS {quoted(column_name('t', name))}" for name in columns.texts
        ]
        found: pa.Table = self._cursor.sql(
            f"SELECT {', '.join(wanted)} FROM ({source}) r ORDER BY seq, weight"
        ).to_arrow_table()
        return found

    def _regular(self, name: str) -> str:
        """Give SQL for a column that every prediction has, as far as other events have it."""
        if name in _CARRIED:
            return f"r.{name}"
        if name in ("prediction", "label", "batch_id", "bucket_id"):
            return self._raw.json(name)[1]
        if name in ("prediction_number", "label_number", "score"):
            return self._raw.json(name.removesuffix("_number"))[0]
        return "NULL::DOUBLE" if name == "positive_score" else "NULL::TIMESTAMP"


_CARRIED = ("model_id", "job_id", "event_id", "event_time", "raw")
_LONG_AGO = -(1 << 62)


def _remember(
    seen: Seen, keys: npt.NDArray[np.uint64], seq: npt.NDArray[np.int64] | Sequence[int]
) -> None:
    segments = np.asarray(seq) >> SEGMENT_BITS
    for number in np.unique(segments).tolist():
        seen.add(number, keys[segments == number])
