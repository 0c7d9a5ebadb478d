"""Compares two data folders relation by relation, cell for cell, and tells what differs.

`differences(found, expected)` gives a sentence for each relation that differs, with some of its
rows, and nothing where a run that was killed has ended as one that was left alone. What may differ
is stated here, with the reason: columns that a clock writes (`CLOCK`), the few relations that
follow the moments of commits, and the last digits of sums of floats, which follow the cuts of a
live stream into blocks (`SUMS`, to 1e-9; DESIGN has it as a law).
"""

import functools
import math
from collections import Counter, defaultdict
from pathlib import Path

import duckdb
from commands import CLOCK, PUBLIC

from engine.anomaly_tables import RESULT_TABLES

__all__ = ["CUT", "FIRST_KIND", "NOT_COMPARED", "TABLES", "compared", "differences", "rows_of"]

NOT_COMPARED = {"anomaly_snapshots": "they are taken at the first commit after their time"}
"""Public relations that are left out, with the reason."""

_GIVEN = {
    "progress": "position > 0",  # an input may be there for nothing
    # That one was taken, at the first commit after its time, as in `anomaly_snapshots`.
    "anomaly_annotations": "event <> 'model_snapshot_stored'",
}

# From so many panes on `metric_values`, which is computed of them, has millions of rows.
_PANES_MAX = 20_000

_WHOLE = (
    *("votes_log", "outcomes", "other_events", "rejects_log", "minute_marks"),
    *("events_retired", "outcomes_retired", "processing_retired", "step_log", "runs_log"),
    *("evaluations_log", "alerts_log", "rule_groups", "batches_done", "reference_versions"),
    *("model_properties", "model_classes", "deployments_log", "bin_edges", "score_looks"),
    *("ingests_log", "processing_choices", "anomaly_states", *RESULT_TABLES),
)
_ADDED_UP = {
    "total_panes": "model_id, time_basis, pane_s, sum(events) AS n, sum(labelled) AS labelled",
    "cell_panes": "model_id, time_basis, pane_s, label, prediction, sum(count) AS n",
    "_score_bin_panes": "* EXCLUDE (count, block_seq), sum(count) AS n",
    "value_panes": "model_id, pane_s, property, sum(count) AS n, sum(sum) AS total",
    "error_panes": "model_id, time_basis, pane_s, sum(count) AS n, sum(squared_error) AS squares",
    "probability_panes": "model_id, time_basis, pane_s, sum(count) AS n, sum(brier) AS brier",
    "decision_panes": "* EXCLUDE (count, block_seq), sum(count) AS n",
    "bin_panes": "* EXCLUDE (count, block_seq), sum(count) AS n",
}
# What is at place 0 is JSON, with how long buckets took.
_STATES = """
SELECT job_id, place, name, dtype, part,
    CASE WHEN place > 0 THEN shape END AS shape,
    CASE WHEN place > 0 THEN md5(data)
        ELSE regexp_replace(decode(data), '"ms_[a-z]+": [^,}]+', '', 'g') END AS data
FROM anomaly_state_arrays"""

TABLES = {
    **dict.fromkeys(_WHOLE),
    # A prediction of numbers is kept as text or as a list; `events` shows the same of both.
    "events_stored": "SELECT * EXCLUDE (line, shape_id, numbers, received_time) FROM events_stored",
    # Deltas: every block writes its own, and what they add up to is the same.
    **{
        name: f"SELECT {told} FROM {name} GROUP BY ALL HAVING n <> 0"
        for name, told in _ADDED_UP.items()
    },
    "anomaly_state_arrays": _STATES,
}
"""Tables beneath that are compared, too: what is selected of them, or None for all columns."""

CUT = frozenset(
    (
        *("events_stored", "outcomes", "runs_log", "ingests_log", "model_classes"),
        *("events_retired", "outcomes_retired", "processing_retired"),
    )
)
"""Tables that follow the cuts into blocks: of repeats within one block only the last is stored.

The same holds for `classes` of `models`: what only such a repeat has said is not learned.
"""

SUMS = {
    *("metric_values", "drift_values", "processing_metrics"),
    *("value_panes", "error_panes", "probability_panes"),
}
FIRST_KIND = ("events", "confusion_matrix", "metric_values", "step_metrics", "processing_metrics")
"""What is a function of the distinct events alone: the same if lines come again."""

_MORE_CLOCK = CLOCK | {f"bucket_processing_ms_{name}" for name in ("min", "max", "mean", "ewma")}
_TOLD = 3


def differences(found, expected, names=None, without=(), *, live=False):
    """Tell where a data folder differs from the one that is expected.

    Parameters
    ----------
    found, expected : Path
        Data folders that nobody owns.
    names : iterable of str, optional
        What to compare; all public relations and the tables beneath if left out (of
        `metric_values` the panes alone, where it has millions of rows).
    without : iterable of str
        Columns to leave out beside those of the clock.
    live : bool
        The cuts into blocks are not the same: the tables of `CUT` are left out.

    Returns
    -------
    list of str
        One sentence per relation that differs.
    """
    chosen = tuple(name for name in names or compared(expected) if not (live and name in CUT))
    without = frozenset((*without, "classes") if live else without)
    ours = _digests(str(found), chosen, without, _stamp(found))
    theirs = _digests(str(expected), chosen, without, _stamp(expected))
    differing = [name for name in chosen if ours[name] != theirs[name]]
    told = [_difference(name, found, expected, without) for name in differing]
    return [each for each in told if each]


def compared(data):
    """Give the names of all that is compared of a store."""
    with _opened(data) as connection:
        (panes,) = connection.execute("SELECT count(*) FROM total_panes").fetchone()
    large = {"metric_values"} if panes > _PANES_MAX else set()
    return [*(name for name in PUBLIC if name not in NOT_COMPARED.keys() | large), *TABLES]


def rows_of(data, name, without=()):
    """Give the column names and the rows of a relation that are compared."""
    with _opened(data) as connection:
        asked = connection.execute(_select(connection, name, frozenset(without)))
        return [column[0] for column in asked.description], asked.fetchall()


def _opened(data):
    return duckdb.connect(str(Path(data) / "bellwether.duckdb"), read_only=True)


def _stamp(data):
    """What tells a store from the same one written to since."""
    found = (Path(data) / "bellwether.duckdb").stat()
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=64)
def _digests(data, names, without, _stamp_of_the_file):
    """Give the number of rows and a hash over the text of each row, whatever their order."""
    found = {}
    with _opened(data) as connection:
        for name in names:
            select = _select(connection, name, without)
            found[name] = connection.execute(
                f"SELECT count(*), sum(hash(t::VARCHAR)) FROM ({select}) t"
            ).fetchone()
    return found


def _select(connection, name, without):
    told = TABLES.get(name)
    if told is not None:
        return told
    columns = [row[0] for row in connection.execute(f'DESCRIBE "{name}"').fetchall()]
    kept = (_column(column) for column in columns if column not in _MORE_CLOCK | without)
    given = f" WHERE {_GIVEN[name]}" if name in _GIVEN else ""
    return f'SELECT {", ".join(kept)} FROM "{name}"{given}'


def _column(name):
    # The same files lie in a folder of each store.
    return 'parse_filename("partition") AS "partition"' if name == "partition" else f'"{name}"'


def _difference(name, found, expected, without):
    columns, ours = rows_of(found, name, without)
    _, theirs = rows_of(expected, name, without)
    extra, lost = Counter(map(repr, ours)), Counter(map(repr, theirs))
    extra, lost = extra - lost, lost - extra
    if name in SUMS:
        extra, lost = _apart(ours, theirs, extra, lost)
    if not extra and not lost:
        return None
    shown = [f"  only found:    {row}" for row in sorted(extra)[:_TOLD]]
    shown += [f"  only expected: {row}" for row in sorted(lost)[:_TOLD]]
    head = f"{name}: {len(ours)} rows, not {len(theirs)}" if len(ours) != len(theirs) else name
    head += f"; {extra.total()} rows are not expected, {lost.total()} are missing"
    return "\n".join([f"{head} ({', '.join(columns)})", *shown])


def _apart(ours, theirs, extra, lost):
    """Leave out rows that differ by no more than sums of floats may."""
    waiting = defaultdict(list)
    for row in theirs:
        if lost[repr(row)]:
            waiting[_exact(row)].append(row)
    for row in ours:
        if not extra[repr(row)]:
            continue
        for other in waiting[_exact(row)]:
            if all(map(_close, row, other)):
                waiting[_exact(row)].remove(other)
                extra[repr(row)] -= 1
                lost[repr(other)] -= 1
                break
    return +extra, +lost


def _exact(row):
    return repr([None if isinstance(value, float) else value for value in row])


def _close(one, other):
    if not (isinstance(one, float) and isinstance(other, float)):
        return one == other
    return one == other or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
