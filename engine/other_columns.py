"""Metrics, runs, ingests and model events by column, and a flag for each that is none of them.

What `from_json` answers is believed only for a line that is provably clean (`engine.proof`). The
rules of each type are those of `engine.strict`; where one is broken, or too rare to be worth a
column (an array, an object, a number of 300 digits as step), the flag is off and the line is read
there. Further fields may be any scalars.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.arrays import Array, Flags, Ints, Text, doubles, validity
from engine.fields import identifiers, readings, scalars, steps, strings, timestamps
from engine.lines import Lines, views
from engine.other_answer import OtherAnswer
from engine.proof import Marks, proven
from engine.schema import AMOUNTS, OTHERS, OtherSchema

__all__ = ["CleanOthers", "read_others"]

_METRIC, _RUN, _INGEST, _MODEL = range(len(OTHERS))
_WITH_ID = (_RUN, _INGEST)
_WITH_STATUS = (_RUN, _INGEST, _MODEL)
# Field: the types in which its rule holds, those of them in which it must be given.
_IDENTIFIERS = {
    "model_id": ((_METRIC, _RUN, _INGEST, _MODEL), (_MODEL,)),
    "job_id": ((_METRIC, _RUN, _INGEST, _MODEL), (_METRIC,)),
    "id": (_WITH_ID, _WITH_ID),
    "experiment_id": ((_METRIC,), ()),
    "version": ((_RUN,), ()),
    "strike": ((_INGEST,), (_INGEST,)),
}
_PLAIN = {
    "name": (strings, (_METRIC,), (_METRIC,)),
    "job_type": (strings, (_RUN,), (_RUN,)),
    "status": (strings, _WITH_STATUS, _WITH_STATUS),
    "error_category": (strings, (_RUN,), ()),
    "value": (readings, (_METRIC,), (_METRIC,)),
    "step": (steps, (_METRIC,), ()),
}


@dataclass(frozen=True, slots=True)
class CleanOthers:
    """The lines that were read.

    Attributes
    ----------
    fine : bool, shape (n,)
        Which of the rows asked for were clean, correct events of one of these types.
    strange : bool, shape (n,)
        Which of them are of none of these types, or no events.
    others : pyarrow.Table
        As in `engine.batch.Batch`, without `position`.
    """

    fine: Flags
    strange: Flags
    others: pa.Table


def read_others(
    cursor: duckdb.DuckDBPyConnection,
    lines: Lines,
    marks: Marks,
    rows: Ints,
    *,
    schema: OtherSchema,
    received_us: int,
    latest_us: int | None,
) -> CleanOthers:
    """Read the lines `rows` by column.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        Of an in-memory database.
    lines, marks : Lines, Marks
        The block's lines.
    rows : int64, shape (n,)
        Lines to read: valid UTF-8, not blank, ascending.
    schema : OtherSchema
        The names to look for; it decides how many lines are clean, not what they say.
    received_us : int
        The time of a metric that has none, in microseconds.
    latest_us : int or None
        The latest timestamp allowed.
    """
    answer = OtherAnswer(cursor, views(lines, rows), schema)
    schema.crowd.meet([*answer.doubles, *answer.texts])
    known = answer.code < len(OTHERS)
    fine = known & proven(answer, lines, marks, rows)[0]
    event_us, timed = _instants(answer, received_us, latest_us)
    fine &= timed & _amounts(answer) & _plain(answer) & _further(answer)
    ids, named = _identifiers(answer)
    fine &= named
    ids["id"] = pc.if_else(pa.array(answer.of(*_WITH_ID)), ids["id"], None)
    table = pa.table(
        {
            "ordinal": pa.array(rows, pa.int32()),
            "type": pa.array([*OTHERS, None], pa.string()).take(pa.array(answer.code, pa.int64())),
            "model_id": ids["model_id"],
            "job_id": ids["job_id"],
            "event_id": ids["id"],
            "event_us": pa.array(event_us),
        }
    )
    table = table if fine.all() else table.filter(pa.array(fine))
    raw = views(lines, rows[fine]).cast(pa.string())
    return CleanOthers(fine, ~known, table.append_column("raw", raw))


def _instants(answer: OtherAnswer, received_us: int, latest_us: int | None) -> tuple[Ints, Flags]:
    absent = np.full(answer.length, received_us), answer.of(_METRIC)
    text = answer.texts.get("timestamp")
    if text is None:
        return absent
    us, fine = timestamps(text, latest_us)
    if text.valid.all():
        return us, fine
    return np.where(text.valid, us, received_us), np.where(text.valid, fine, absent[1])


def _identifiers(answer: OtherAnswer) -> tuple[dict[str, Array], Flags]:
    """Return the ids that the table has, and where all ids keep their rules."""
    nothing = pa.nulls(answer.length, pa.string())
    found = dict.fromkeys(("model_id", "job_id", "id"), nothing)
    fine = np.ones(answer.length, np.bool_)
    for name, (ruled, due) in _IDENTIFIERS.items():
        text = answer.texts.get(name)
        if text is None:
            fine &= ~answer.of(*due)
            continue
        found[name], right = identifiers(text)
        fine &= _kept(answer, text, right, ruled, due)
    return found, fine


def _plain(answer: OtherAnswer) -> Flags:
    """Return where names, values, steps and their like keep their rules."""
    fine = np.ones(answer.length, np.bool_)
    for name, (rule, ruled, due) in _PLAIN.items():
        text = answer.texts.get(name)
        fine &= ~answer.of(*due) if text is None else _kept(answer, text, rule(text), ruled, due)
    return fine


def _kept(
    answer: OtherAnswer, text: Text, right: Flags, ruled: tuple[int, ...], due: tuple[int, ...]
) -> Flags:
    """Return where a field keeps its rule, or is a scalar in an event of a type without it."""
    free = ~answer.of(*ruled)
    if (free & text.valid).any():
        right = np.where(free, scalars(text), right)
    return right & (text.valid | ~answer.of(*due))


def _amounts(answer: OtherAnswer) -> Flags:
    """Return where all numbers are finite, and those of the line's own type not negative."""
    fine = np.ones(answer.length, np.bool_)
    for array in answer.doubles.values():
        fine &= np.isfinite(doubles(array)) | ~validity(array)
    for kind, names in AMOUNTS.items():
        for name in names:
            array = answer.doubles.get(name)
            if array is not None:
                negative = validity(array) & (doubles(array) < 0.0)
                fine &= ~(negative & answer.of(OTHERS.index(kind)))
    return fine


def _further(answer: OtherAnswer) -> Flags:
    """Return where the further fields are scalars; numbers among mixed ones must be finite."""
    fine = np.ones(answer.length, np.bool_)
    for name, text in answer.texts.items():
        if name in _IDENTIFIERS or name in _PLAIN or name in ("type", "timestamp"):
            continue
        if answer.kinds[name] == "mixed":
            fine &= scalars(text)
        else:
            fine &= text.string | text.boolean | ~text.valid
    return fine
