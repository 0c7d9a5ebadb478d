"""The outcome of an event: what its standing votes agree on, and since when.

Rules (all functions of the data, never of arrival):

- A vote is admissible when it lies within the label horizon of the winning prediction's time.
- Of each voter the last admissible vote stands: greatest time, then label.
- The outcome is the label of the last administrator's vote, if one stands, in order of (time,
  voter); otherwise the label with more than half of the standing votes; otherwise undecided.
- `label_time` is the time of the vote that last brought this outcome about, going through the
  standing votes in order of (time, voter).

`decide` writes temporary tables; `outcomes_query` is the same as one query, for whoever only reads.
"""

import duckdb

from engine.asking import number

__all__ = ["decide", "outcomes_query"]

_STANDING = """
WITH admissible AS (
    SELECT w.seq AS event_seq, v.property, v.voter, v.label, v.label_number, v.vote_time
    FROM {votes} v JOIN {winners} w USING (model_id, event_id)
    WHERE abs(epoch_us(v.vote_time) - epoch_us(w.event_time)) <= $horizon_us
), last AS (
    SELECT * FROM admissible QUALIFY row_number() OVER (
        PARTITION BY event_seq, property, voter
        ORDER BY vote_time DESC, label DESC, label_number DESC NULLS LAST) = 1
)
SELECT *, voter IN (SELECT voter FROM administrators) AS by_administrator,
    row_number() OVER (PARTITION BY event_seq, property ORDER BY vote_time, voter) AS nth,
    count(*) OVER (PARTITION BY event_seq, property) AS votes
FROM last"""

_DECISION = """
WITH overriding AS (
    SELECT event_seq, property, arg_max(label, nth) AS label
    FROM t_standing WHERE by_administrator GROUP BY ALL
), agreed AS (
    SELECT event_seq, property, label FROM t_standing
    GROUP BY event_seq, property, label HAVING 2 * count(*) > any_value(votes)
), asked AS (
    SELECT DISTINCT event_seq, property FROM t_standing
)
SELECT event_seq, property, coalesce(o.label, a.label) AS label,
    CASE WHEN o.label IS NOT NULL THEN 'administrator'
         WHEN a.label IS NOT NULL THEN 'votes' ELSE 'undecided' END AS label_source
FROM asked
LEFT JOIN overriding o USING (event_seq, property)
LEFT JOIN agreed a USING (event_seq, property)"""

# `holds` tells after each standing vote whether the final outcome was already the outcome then;
# it was last reached at the vote behind the last one after which it did not hold.
_OUTCOMES = """
WITH history AS (
    SELECT s.*, d.label AS outcome, d.label_source,
        count(*) FILTER (s.label = d.label) OVER so_far AS agreeing,
        last_value(CASE WHEN by_administrator THEN s.label END IGNORE NULLS) OVER so_far
            AS overriding
    FROM t_standing s JOIN t_decision d USING (event_seq, property)
    WINDOW so_far AS (PARTITION BY event_seq, property ORDER BY nth
                      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
), held AS (
    SELECT *, CASE WHEN overriding IS NOT NULL THEN overriding = outcome
                   ELSE 2 * agreeing > nth END AS holds
    FROM history
), broken AS (
    SELECT event_seq, property, coalesce(max(nth) FILTER (NOT holds), 0) AS nth
    FROM held GROUP BY ALL
)
SELECT h.event_seq, h.property, any_value(h.outcome) AS label,
    max(h.label_number) FILTER (h.label = h.outcome) AS label_number,
    CASE WHEN any_value(h.outcome) IS NOT NULL
         THEN min(h.vote_time) FILTER (h.nth > b.nth) END AS label_time,
    any_value(h.label_source) AS label_source
FROM held h JOIN broken b USING (event_seq, property)
GROUP BY h.event_seq, h.property"""

# One vote on each: it decides, if it is admissible. The usual case, and one statement.
_SINGLE = """
CREATE OR REPLACE TEMP TABLE {outcomes} AS
SELECT w.seq AS event_seq, v.property, v.label, v.label_number, v.vote_time AS label_time,
    CASE WHEN v.voter IN (SELECT voter FROM administrators) THEN 'administrator' ELSE 'votes' END
        AS label_source
FROM {votes} v JOIN {winners} w USING (model_id, event_id)
WHERE abs(epoch_us(v.vote_time) - epoch_us(w.event_time)) <= $horizon_us"""

_SEVERAL = """
SELECT count(*) - count(DISTINCT (model_id, event_id, property)) FROM {votes}"""


def decide(
    cursor: duckdb.DuckDBPyConnection,
    horizon_us: int,
    votes: str = "t_votes",
    winners: str = "t_winners",
    outcomes: str = "t_outcomes",
) -> None:
    """Make `outcomes` from `votes` and `winners` (predictions), all names of temporary tables.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        With the tables `votes` (columns of `votes_log`), `winners` (`seq`, `model_id`, `event_id`,
        `event_time`) and `administrators` (`voter`).
    horizon_us : int
        The label horizon, µs.
    """
    names = {"votes": votes, "winners": winners, "outcomes": outcomes}
    if not number(cursor, _SEVERAL.format(**names)):
        cursor.execute(_SINGLE.format(**names), {"horizon_us": horizon_us})
        return
    standing = _STANDING.format(**names)
    make = "CREATE OR REPLACE TEMP TABLE"
    cursor.execute(f"{make} t_standing AS {standing}", {"horizon_us": horizon_us})
    cursor.execute(f"{make} t_decision AS {_DECISION}")
    cursor.execute(f"{make} {outcomes} AS {_OUTCOMES}")


def outcomes_query(votes: str, winners: str) -> str:
    """Give a SELECT of the outcomes that `decide` makes, with names of relations it can see.

    Parameters
    ----------
    votes, winners : str
        As for `decide`; `administrators` (`voter`) must be there, too. The parameter
        ``$horizon_us`` is the label horizon, µs.
    """
    standing = _STANDING.format(votes=votes, winners=winners)
    return (
        f"WITH t_standing AS MATERIALIZED ({standing}),"
        f" t_decision AS MATERIALIZED ({_DECISION}) SELECT * FROM ({_OUTCOMES})"
    )
