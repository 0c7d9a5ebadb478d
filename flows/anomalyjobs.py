"""Which anomaly jobs a data folder knows, and how their times are read and written."""

import re
from datetime import datetime, timedelta

from connectors.sqlclient import query
from engine.errors import ConfigurationError
from engine.instants import LAST_US, iso_us, milliseconds_us
from engine.panes import text

__all__ = ["check_job", "check_known", "instant_us", "relations_of", "utc", "utf8"]

_RELATIONS = (
    "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()"
    " WHERE starts_with(table_name, 'anomaly_') GROUP BY ALL"
)
_LISTED = 20
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - written with a Z of its own
_MILLISECONDS = re.compile(r"[-+]?\d{1,18}(\.\d{1,6})?", re.ASCII)


def relations_of(data: str) -> dict[str, list[str]]:
    """Give the anomaly relations in a data folder: their columns by their names."""
    rows = query(data, _RELATIONS).to_pylist()
    return {str(name): list(columns) for name, columns in (row.values() for row in rows)}


def check_job(data: str, job: str) -> dict[str, list[str]]:
    """See that the folder knows the job; give the anomaly relations, as `relations_of` does.

    Raises
    ------
    ConfigurationError
        It does not: the message lists the jobs that there are.
    """
    relations = relations_of(data)
    having = [name for name in ("anomaly_jobs", "anomaly_buckets") if name in relations]
    if not having:
        check_known(job, [], data)
    every = " UNION ".join(f"SELECT job_id FROM {name}" for name in having)  # noqa: S608 - ours
    table = query(
        data,
        f"SELECT job_id, (job_id = {text(utf8('JOB', job))}) AS it FROM ({every})"  # noqa: S608 - escaped
        f" ORDER BY it DESC, job_id LIMIT {_LISTED + 1}",
    )
    check_known(job, [str(each) for each in table.column("job_id").to_pylist()], data)
    return relations


def check_known(job: str, known: list[str], where: str) -> None:
    """See that a job is among those known.

    Raises
    ------
    ConfigurationError
        It is not: the message lists them, at most twenty.
    """
    if job in known:
        return
    listed = ", ".join(known[:_LISTED]) + (", …" if len(known) > _LISTED else "")
    there = f"there are: {listed}" if known else "there is none"
    msg = f"`JOB` must be an anomaly job of {where}, got {job}; {there}"
    raise ConfigurationError(msg)


def utf8(name: str, word: str) -> str:
    """See that a word of the command line is text, and give it.

    Raises
    ------
    ConfigurationError
        It has bytes that are no UTF-8.
    """
    try:
        word.encode()
    except UnicodeEncodeError as error:
        msg = f"`{name}` must be UTF-8, got {word!r}"
        raise ConfigurationError(msg) from error
    return word


def instant_us(name: str, word: str) -> int:
    """Read an instant of the command line: ISO 8601, or milliseconds since the epoch.

    Raises
    ------
    ConfigurationError
        It is neither, or not of the years 1 to 9999.

    >>> instant_us("from", "1970-01-01T00:00:01Z"), instant_us("from", "1000")
    (1000000, 1000000)
    """
    if _MILLISECONDS.fullmatch(word):
        us = milliseconds_us(float(word) if "." in word else int(word))
    else:
        us = iso_us(word)
    if us is None:
        msg = (
            f"`--{name}` must be a time of the years 1 to 9999, ISO 8601 or epoch milliseconds,"
            f" got {word}"
        )
        raise ConfigurationError(msg)
    return us


def utc(time_us: int) -> str:
    """Write an instant for a message, to the second or as fine as it is.

    >>> utc(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    since = timedelta(microseconds=min(time_us, LAST_US))  # a last bucket may end beyond 9999
    return (_EPOCH + since).isoformat() + "Z"
