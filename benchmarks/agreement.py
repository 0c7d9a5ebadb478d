"""Compare the tables of Bellwether with those of the DuckDB script, row by row.

Counts, labels and times must be equal, sums of floats agree to 1e-9 relative. Panes are summed
over their deltas. Ends with 0 if all is equal, else with 1 and a line for each relation that
differs.
"""

import argparse
import sys
from pathlib import Path

import duckdb

__all__ = ["differences"]

_BASED = "model_id, time_basis, pane_s"

# relation: (its rows in Bellwether, its rows in the script); the same columns in the same order
_EXACT: dict[str, tuple[str, str]] = {
    "events": (
        """SELECT model_id, event_id, event_time, prediction, label, label_time, score, correct,
            job_id FROM bellwether.events""",
        """SELECT model_id, event_id, event_time, prediction, label, label_time, score, correct,
            job_id FROM script.events""",
    ),
    "votes": (
        "SELECT model_id, event_id, label, vote_time FROM bellwether.votes WHERE standing",
        "SELECT model_id, event_id, label, make_timestamp_ms(vote_ms) FROM script.votes",
    ),
    "confusion_matrix": (
        """SELECT model_id, time_basis, pane_start, label, prediction, count
            FROM bellwether.confusion_matrix""",
        """SELECT model_id, time_basis, make_timestamp(pane_s * 1000000), label, prediction, count
            FROM script.cell_panes""",
    ),
    "total_panes": (
        f"""SELECT {_BASED}, sum(events)::BIGINT, sum(labelled)::BIGINT
            FROM bellwether.total_panes GROUP BY ALL""",
        f"SELECT {_BASED}, events, labelled FROM script.total_panes",
    ),
    "score_bin_panes": (
        f"""SELECT {_BASED}, label, prediction, bin, sum(count)::BIGINT AS count
            FROM bellwether._score_bin_panes WHERE kind = 'score' GROUP BY ALL HAVING count <> 0""",
        f"SELECT {_BASED}, label, prediction, bin, count FROM script.score_bin_panes",
    ),
    "value_panes (count, min, max)": (
        """SELECT model_id, pane_s, property, sum(count)::BIGINT, min(min), max(max)
            FROM bellwether.value_panes GROUP BY ALL""",
        "SELECT model_id, pane_s, property, count, min, max FROM script.value_panes",
    ),
}

# relation: (key columns, sums of floats)
_SUMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "value_panes": ("model_id, pane_s, property", ("sum",)),
    "probability_panes": (_BASED, ("log_loss", "brier")),
}


def differences(bellwether: Path, script: Path) -> dict[str, int]:
    """Count the rows that differ, by relation; an empty dict says that all is equal."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, path in (("bellwether", bellwether), ("script", script)):
            quoted = str(path).replace("'", "''")
            connection.execute(f"ATTACH '{quoted}' AS {name} (READ_ONLY)")
        queries = {name: _unequal(*pair) for name, pair in _EXACT.items()}
        queries |= {f"{name} (sums)": _apart(name, *spec) for name, spec in _SUMS.items()}
        found = {name: connection.execute(query).fetchall() for name, query in queries.items()}
    return {name: rows[0][0] for name, rows in found.items() if rows[0][0]}


def _unequal(left: str, right: str) -> str:
    """Compose the count of rows that stand on one side only."""
    return f"""
        WITH ours AS MATERIALIZED ({left}), theirs AS MATERIALIZED ({right})
        SELECT (SELECT count(*) FROM (FROM ours EXCEPT ALL FROM theirs))
             + (SELECT count(*) FROM (FROM theirs EXCEPT ALL FROM ours))"""


def _apart(table: str, keys: str, sums: tuple[str, ...]) -> str:
    """Compose the count of panes whose sums are more than 1e-9 apart, or missing on one side."""
    totals = ", ".join(f"sum({name}) AS {name}" for name in sums)
    near = " AND ".join(f"abs(o.{n} - t.{n}) <= 1e-9 * greatest(1, abs(t.{n}))" for n in sums)
    return f"""
        SELECT count(*)
        FROM (SELECT {keys}, {totals} FROM bellwether.{table} GROUP BY ALL) AS o
        FULL JOIN (SELECT {keys}, {totals} FROM script.{table} GROUP BY ALL) AS t USING ({keys})
        WHERE NOT coalesce({near}, false)"""


def _main() -> None:
    parser = argparse.ArgumentParser(description="Compare Bellwether's tables with the script's.")
    parser.add_argument("bellwether", type=Path)
    parser.add_argument("script", type=Path)
    given = parser.parse_args()
    found = differences(given.bellwether, given.script)
    for name, count in found.items():
        print(f"{name}: {count:,} rows differ", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    _main()
