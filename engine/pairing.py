"""Pairing of predictions and labels, in either order, with repeats and corrections.

The stored predictions and votes are the join state. A key (hash of model and id) that the filter
says was never seen, that comes once in its block and has no vote there, is *fresh*: it needs no
look at the store. All others are *touched*: their stored rows are fetched, the winner and the
outcome are decided anew, and what differs from before becomes weighted rows: -1 for what was
counted, +1 for what holds now.

Of several predictions with one id the winner is the greatest (event time, canonical JSON).

The work tables that the pairing leaves for the reductions, all temporary:

- `t_effective`: touched events with the label that holds, as they were counted (`weight` -1) and
  as they are now (1): the columns of `events_log` that are counted, `label`, `label_number`,
  `label_time` and `label_source`;
- `t_changes`: the labelled rows of it that differ between before and now, for the metrics;
- `t_replaced`: rows of `events_log` that lost to a new winner;
- `t_old`, `t_new`, `t_winners`, `t_outcomes_old`, `t_outcomes`, `t_votes`, `t_votes_new` and, after
  a clash, `t_candidates` and `t_canonical`: what was decided, and from what (`engine.rules.steps`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.alone import Alone
from engine.arrays import Array, Ints, whole
from engine.asking import number
from engine.batch import Batch
from engine.consensus import decide
from engine.earlier import LISTED, Earlier
from engine.kept import bare_sql, raw_sql
from engine.seen import SEGMENT_BITS, Hits, Keys, Probes, Seen, among, drop, keys_of

__all__ = ["Paired", "Pairing", "count_winners"]


@dataclass(frozen=True, slots=True)
class Paired:
    """What the pairing found in one block.

    Attributes
    ----------
    fresh, counted : bool, shape (predictions,)
        `fresh`: never seen before, no vote; `counted`: to be stored and counted (fresh, or touched
        and the winner now).
    touched : bool
        Whether `t_changes` holds anything of this block.
    clash : bool
        Whether a prediction may stand against another one of its id: then `t_replaced` is made.
    """

    fresh: npt.NDArray[np.bool_]
    counted: npt.NDArray[np.bool_]
    touched: bool
    clash: bool


def count_winners(paired: Paired, rows: pa.Table, winners: pa.Table) -> Paired:
    """Count also the block's own rows that won against what was stored or repeated."""
    counted = paired.fresh.copy()
    counted[np.searchsorted(rows["seq"].to_numpy(), winners["seq"].to_numpy())] = True
    return replace(paired, counted=counted)


class Pairing:
    """Pairs block after block on one cursor, inside the transaction of its owner.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`; relations `b_predictions` (columns `KEPT_COLUMNS`,
        with `counted`) and `b_votes` are registered by the monitor.
    seen : Seen
        The filter over all stored keys.
    horizon_us : int
        Label horizon, µs.
    canonical : callable
        Canonical JSON of a raw event: breaks ties of time.
    bare : bool
        Whether events are stored without properties: then these break no ties.

    Attributes
    ----------
    next_outcome : int
        The first free number of an outcome.
    effective, changes : str
        SQL for the rows of `t_effective` and `t_changes`, with those of late labels that stand
        alone (`engine.alone`): these are in no work table, unless they are asked for there.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        seen: Seen,
        horizon_us: int,
        canonical: Callable[[str], str],
        *,
        bare: bool = False,
    ) -> None:
        self._cursor = cursor
        self._seen, self._earlier = seen, Earlier(cursor, seen)
        self._horizon_us = horizon_us
        self._canonical = canonical
        self._said = bare_sql if bare else raw_sql
        self.next_outcome = 1
        self.effective = self.changes = ""

    def classify(
        self, batch: Batch, probes: Probes, repeated: Keys
    ) -> tuple[Paired, Hits, pa.Table]:
        """Tell fresh rows from touched ones; gives also where to look, and the touched keys.

        `probes` are those of the predictions, then the votes; `repeated` are the keys that several
        predictions have.
        """
        keys = keys_of(batch.predictions)
        vote_keys = keys_of(batch.votes)
        everything = np.concatenate((keys, vote_keys)) if len(vote_keys) else keys
        hits = self._seen.ask_probed(probes)
        touched = np.unique(np.concatenate((vote_keys, repeated, everything[hits.flags])))
        fresh = ~among(keys, touched) if len(touched) else np.ones(len(keys), np.bool_)
        clash = bool(len(repeated)) or bool(hits.flags[: len(keys)].any())
        paired = Paired(fresh, fresh.copy(), bool(len(touched)), clash)
        return paired, hits, pa.table({"key": touched})

    def remember(
        self, first_seq: int, rows: pa.Table, votes: pa.Table, probes: Probes, order: Ints | None
    ) -> None:
        """Add a block's keys to the filter, each under the segment of its line.

        `rows` are its predictions, with `counted`; `order` sorts them by key, where it is known.
        """
        ordinals = [table["ordinal"].to_numpy() for table in (rows, votes)]
        self._earlier.add(rows, order)
        segments = (first_seq + np.concatenate(ordinals).astype(np.int64)) >> SEGMENT_BITS
        low, high = (int(segments.min()), int(segments.max())) if len(segments) else (0, -1)
        for segment in range(low, high + 1):
            some = probes if low == high else probes.of(segments == segment)
            self._seen.add_probed(segment, some)

    def drop(self, segment: int) -> None:
        """Forget a segment whose lines were dropped by retention."""
        drop(self._seen, self._cursor, segment)
        self._earlier.drop(segment)

    def settle(
        self,
        hits: Hits,
        touched: pa.Table,
        rows: pa.Table,
        votes: pa.Table,
        *,
        clash: bool,
        told: bool,
    ) -> pa.Table:
        """Decide winners and outcomes of the touched keys and write what changed.

        Parameters
        ----------
        hits : Hits
            Where stored rows of the touched keys may lie.
        touched : pyarrow.Table
            Column `key`, uint64, distinct.
        rows : pyarrow.Table
            The block's own predictions that are not fresh, columns `KEPT_COLUMNS`.
        votes : pyarrow.Table
            The block's votes.
        clash : bool
            Whether predictions may stand against each other.
        told : bool
            Whether what was decided, and from what, is to be in the work tables, of all keys.

        Returns
        -------
        pyarrow.Table
            `seq` of the block's own rows that are winners now.
        """
        self.effective, self.changes = "t_effective", "t_changes"
        won = []
        if not told and len(votes):
            taken = self._earlier.alone(rows, votes)
            won.append(taken.won)
            votes = votes.filter(pa.array(~taken.chosen))
            keys = keys_of(taken.events)
            touched, rows = (_without(table, keys) for table in (touched, rows))
            if len(taken):
                self._settle_alone(taken, only=not len(touched))
        if len(touched):
            self._settle_others(hits, touched, rows, votes, clash=clash)
            found = self._cursor.sql("SELECT seq FROM t_winners WHERE is_new")
            won.append(found.to_arrow_table())
        return pa.concat_tables(won)

    @cached_property
    def _voters(self) -> Array:
        """The administrators: these are as they were at the start as long as a run lasts."""
        found = self._cursor.sql("SELECT voter FROM administrators").to_arrow_table()
        return whole(found["voter"])

    def _settle_others(
        self, hits: Hits, touched: pa.Table, rows: pa.Table, votes: pa.Table, *, clash: bool
    ) -> None:
        self._cursor.register("b_votes", votes)
        self._cursor.register("touched", touched)
        self._cursor.register("b_touched", rows)
        self._fetch(hits, touched, rows, votes)
        if clash:
            self._choose()
            self._replace()
        else:
            self._cursor.execute(f"CREATE OR REPLACE TEMP TABLE t_winners AS {_CANDIDATES}")
        self._vote()
        decide(self._cursor, self._horizon_us)
        self._compare(_WINNING if clash else _CANDIDATE_ROWS)
        self._cursor.unregister("touched")
        self._cursor.unregister("b_touched")

    def _settle_alone(self, taken: Alone, *, only: bool) -> None:
        """Write what the votes that stand alone decide, but for outcomes if there are others.

        Those are numbered together: which votes stand alone depends on what is in memory.
        """
        own, others = ("b_effective", "b_changes"), (self.effective, self.changes)
        both = (
            f"(FROM {one} UNION ALL BY NAME FROM {other})"
            for one, other in zip(own, others, strict=True)
        )
        self.effective, self.changes = own if only else both
        cursor = self._cursor
        outcomes, *made = taken.decided(self._horizon_us, self._voters)
        cursor.register("b_alone", taken.stored())
        cursor.execute("INSERT INTO votes_log SELECT * FROM b_alone")
        cursor.unregister("b_alone")
        cursor.register("b_outcomes", outcomes)
        if only:
            self._number("FROM b_outcomes")
        for name, rows in zip(own, made, strict=True):
            cursor.register(name, rows)

    def _fetch(self, hits: Hits, touched: pa.Table, rows: pa.Table, votes: pa.Table) -> None:
        self._cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE t_new AS SELECT {LISTED} FROM b_touched"
        )
        self._earlier.fetch(touched, rows, votes)
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_votes AS SELECT * FROM votes_log"
            f" SEMI JOIN touched USING (key) WHERE {hits.where}"
        )

    def _choose(self) -> None:
        cursor = self._cursor
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE t_candidates AS {_CANDIDATES}")
        cursor.register("b_canonical", self._break_ties())
        cursor.execute("CREATE OR REPLACE TEMP TABLE t_canonical AS FROM b_canonical")
        cursor.unregister("b_canonical")
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_winners AS"
            " SELECT seq, model_id, event_id, event_time, is_new"
            " FROM t_candidates LEFT JOIN t_canonical USING (seq)"
            " QUALIFY row_number() OVER (PARTITION BY model_id, event_id"
            " ORDER BY event_time DESC, canonical DESC NULLS LAST, seq) = 1"
        )

    def _replace(self) -> None:
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_replaced AS SELECT * FROM t_old"
            " ANTI JOIN t_winners USING (seq)"
        )
        self._cursor.execute("INSERT INTO events_retired SELECT seq FROM t_replaced ORDER BY seq")
        self._earlier.replace()

    def _break_ties(self) -> pa.Table:
        """Give the canonical JSON of candidates with the same id and time, where they differ."""
        cursor = self._cursor
        tied = number(
            cursor,
            "CREATE OR REPLACE TEMP TABLE t_ties AS SELECT seq, model_id, event_id, event_time"
            " FROM t_candidates"
            " QUALIFY count(*) OVER (PARTITION BY model_id, event_id, event_time) > 1",
        )
        rows: list[tuple[int, str]] = []
        if tied:
            rows = cursor.execute(
                "SELECT seq, raw FROM (SELECT t.*, r.raw FROM t_ties t JOIN ("
                f" SELECT seq, {self._said('b')} AS raw FROM b_touched b"
                f" UNION ALL SELECT seq, {self._said('e')} AS raw FROM events_stored e"
                " WHERE seq >= (SELECT min(seq) FROM t_ties)"
                " AND seq <= (SELECT max(seq) FROM t_ties)) r USING (seq))"
                " QUALIFY count(DISTINCT raw)"
                " OVER (PARTITION BY model_id, event_id, event_time) > 1"
            ).fetchall()
        return pa.table(
            {
                "seq": pa.array([seq for seq, _ in rows], pa.int64()),
                "canonical": pa.array([self._canonical(raw) for _, raw in rows], pa.string()),
            }
        )

    def _vote(self) -> None:
        # A vote that is stored already, to the last field, is a repeat and is dropped.
        self._cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_votes_new AS SELECT min(v.seq) AS seq, v.key,"
            " v.model_id, v.event_id, v.voter, v.property, v.label, v.label_number, v.vote_time"
            " FROM b_votes v WHERE NOT EXISTS (SELECT 1 FROM t_votes o WHERE o.key = v.key"
            " AND o.model_id = v.model_id AND o.event_id = v.event_id AND o.voter = v.voter"
            " AND o.property = v.property AND o.label = v.label AND o.vote_time = v.vote_time"
            " AND o.label_number IS NOT DISTINCT FROM v.label_number) GROUP BY ALL"
        )
        self._cursor.execute("INSERT INTO t_votes SELECT * FROM t_votes_new")
        self._cursor.execute("INSERT INTO votes_log SELECT * FROM t_votes_new ORDER BY seq")

    def _number(self, outcomes: str) -> None:
        """Write outcomes under the next numbers."""
        self.next_outcome += number(
            self._cursor,
            "INSERT INTO outcomes SELECT $first - 1 + row_number() OVER"
            f" (ORDER BY event_seq, property), * FROM ({outcomes}) ORDER BY event_seq, property",
            {"first": self.next_outcome},
        )

    def _compare(self, winning: str) -> None:
        """Make `t_effective` and `t_changes`, and write outcomes that are new or hold no more."""
        cursor = self._cursor
        known = number(
            cursor,
            "CREATE OR REPLACE TEMP TABLE t_outcomes_old AS SELECT o.* FROM outcomes o"
            " JOIN (SELECT seq AS event_seq FROM t_old) USING (event_seq)"
            " ANTI JOIN outcomes_retired r ON r.seq = o.seq",
        )
        # For a handful of rows nearly all the time is planning: both sides are planned once, here.
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE t_effective AS"
            f" {_effective(-1, 't_old', 't_outcomes_old')}"
            f" UNION ALL {_effective(1, winning, 't_outcomes')}"
        )
        cursor.execute(_CHANGES)
        unlike = f" WHERE NOT EXISTS (SELECT 1 FROM t_outcomes_old b WHERE {_SAME})"
        self._number(
            "SELECT a.event_seq, a.property, a.label, a.label_number, a.label_time, a.label_source"
            f" FROM t_outcomes a{unlike if known else ''}"
            f"{'' if self.effective == 't_effective' else ' UNION ALL FROM b_outcomes'}"
        )
        if known:
            cursor.execute(
                "INSERT INTO outcomes_retired SELECT a.seq FROM t_outcomes_old a"
                f" WHERE NOT EXISTS (SELECT 1 FROM t_outcomes b WHERE {_SAME}) ORDER BY a.seq"
            )


def _without(rows: pa.Table, keys: Keys) -> pa.Table:
    return rows.filter(pa.array(~among(keys_of(rows), keys))) if len(keys) else rows


_CANDIDATES = (
    "SELECT seq, model_id, event_id, event_time, false AS is_new FROM t_old"
    " UNION ALL SELECT seq, model_id, event_id, event_time, true FROM t_new"
)

_CANDIDATE_ROWS = "(FROM t_old UNION ALL FROM t_new)"
_WINNING = f"(SELECT * FROM {_CANDIDATE_ROWS} SEMI JOIN t_winners USING (seq))"

_CHANGES = (
    "CREATE OR REPLACE TEMP TABLE t_changes AS SELECT a.* EXCLUDE (job_id, label_source)"
    " FROM t_effective a WHERE a.label IS NOT NULL AND NOT EXISTS"
    " (SELECT 1 FROM t_effective b WHERE b.seq = a.seq AND b.weight = -a.weight"
    " AND b.label = a.label AND b.label_time = a.label_time"
    " AND b.label_number IS NOT DISTINCT FROM a.label_number)"
)

_SAME = (
    "a.event_seq = b.event_seq AND a.property = b.property"
    " AND a.label IS NOT DISTINCT FROM b.label"
    " AND a.label_number IS NOT DISTINCT FROM b.label_number"
    " AND a.label_time IS NOT DISTINCT FROM b.label_time"
    " AND a.label_source = b.label_source"
)


def _effective(weight: int, rows: str, outcomes: str) -> str:
    """Select events with the label that holds: the outcome's, else their own."""
    return (
        f"SELECT {weight} AS weight, e.seq, e.model_id, e.job_id, e.event_time,"
        " e.prediction, e.prediction_number, e.score, e.positive_score,"
        " CASE WHEN o.event_seq IS NULL THEN e.label ELSE o.label END AS label,"
        " CASE WHEN o.event_seq IS NULL THEN e.label_number ELSE o.label_number END"
        " AS label_number,"
        " CASE WHEN o.event_seq IS NULL THEN e.event_time ELSE o.label_time END AS label_time,"
        " CASE WHEN o.event_seq IS NOT NULL THEN o.label_source"
        " WHEN e.label IS NOT NULL THEN 'prediction' END AS label_source"
        f" FROM {rows} e LEFT JOIN {outcomes} o ON o.event_seq = e.seq AND o.property = ''"
    )
