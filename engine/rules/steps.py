"""What each touched event was after each step of the watermark within a block.

Pairing settles a block at once. Rules ask for more: what was known at every boundary that the block
passes. So the lines of a touched id are grouped by the step of the watermark that they arrived in;
after each group the winner and the outcomes are decided once more, by the same statements, over the
lines so far. Nearly always an id is touched in one step alone, and its state after the block is
what pairing has found.

The tables that are left behind, all temporary:

- `s_states` (`state`, `id_no`, `place`, `arrival_us`, `event_seq`): the states of an id in order;
  place 0 is what held before the block; `event_seq` is NULL where there is no prediction yet;
- `s_truths` (`state`, `property`, `label`, `label_number`, `label_time`): the outcomes in a state;
- `s_pairs` (`weight`, `state`, `event_seq`, `arrival_us`, `changed`): each state taken back when
  the next one comes, and the next one added; `changed`: the prediction is another one.
"""

import duckdb

from engine.asking import number
from engine.consensus import decide

__all__ = ["make_steps"]


def make_steps(
    cursor: duckdb.DuckDBPyConnection, horizon_us: int, step_s: int, *, clash: bool
) -> bool:
    """Make the states of the ids that pairing has just settled.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        With the tables of `engine.pairing`, and `b_arrivals` (`seq`, `arrival_us`, `model_no`): the
        watermark after each line of a watched model, µs.
    horizon_us : int
        Label horizon, µs.
    step_s : int
        Divides the step of every rule.
    clash : bool
        Whether predictions stand against each other.

    Returns
    -------
    bool
        Whether there are any pairs.
    """
    if not number(cursor, _LINES.format(step_us=step_s * 1_000_000)):
        return False
    several = number(cursor, "SELECT max(place) FROM s_steps") > 1
    parts = [_BEFORE, _AFTER]
    if several:
        cursor.execute(_CANDIDATES_OF_STEPS.format(candidates=_candidates(clash=clash)))
        cursor.execute(_WINNERS_OF_STEPS if clash else _ONLY_OF_STEPS)
        cursor.execute(_VOTES_OF_STEPS)
        decide(cursor, horizon_us, "s_votes", "s_winners", "s_outcomes")
        parts.append(_BETWEEN)
    cursor.execute(_STATES.format(states=" UNION ALL ".join(parts)))
    cursor.execute(_TRUTHS + (_TRUTHS_BETWEEN if several else ""))
    return number(cursor, _PAIRS) > 0


def _candidates(*, clash: bool) -> str:
    if clash:
        return (
            "SELECT seq, model_id, event_id, event_time, canonical FROM t_candidates"
            " LEFT JOIN t_canonical USING (seq)"
        )
    return (
        "SELECT seq, model_id, event_id, event_time, NULL AS canonical"
        " FROM (FROM t_old UNION ALL FROM t_new)"
    )


# One row per id and step of the watermark that brought a line of it, in order.
_LINES = """
CREATE OR REPLACE TEMP TABLE s_steps AS
WITH lines AS (
    SELECT seq, model_id, event_id FROM t_new
    UNION ALL SELECT seq, model_id, event_id FROM t_votes_new
), steps AS (
    SELECT model_id, event_id, floor(arrival_us / {step_us}) AS step, max(seq) AS seq,
        max(arrival_us) AS arrival_us
    FROM lines JOIN b_arrivals USING (seq) GROUP BY ALL
)
SELECT dense_rank() OVER (ORDER BY model_id, event_id) AS id_no, model_id, event_id, seq,
    arrival_us,
    row_number() OVER (PARTITION BY model_id, event_id ORDER BY step) AS place,
    count(*) OVER (PARTITION BY model_id, event_id) AS places
FROM steps"""

_BEFORE = """
SELECT s.id_no, 0 AS place, NULL::BIGINT AS arrival_us, o.seq AS event_seq
FROM (SELECT DISTINCT id_no, model_id, event_id FROM s_steps) s
JOIN t_old o USING (model_id, event_id)"""

# What pairing found is the state after an id's last step.
_AFTER = """
SELECT s.id_no, s.place, s.arrival_us, w.seq AS event_seq
FROM s_steps s LEFT JOIN t_winners w USING (model_id, event_id) WHERE s.place = s.places"""

_CANDIDATES_OF_STEPS = """
CREATE OR REPLACE TEMP TABLE s_candidates AS
SELECT s.id_no, s.place, s.arrival_us, c.seq, c.event_time, c.canonical,
    s.id_no || ':' || s.place AS version
FROM s_steps s JOIN ({candidates}) c
    ON c.model_id = s.model_id AND c.event_id = s.event_id AND c.seq <= s.seq
WHERE s.place < s.places"""

_WINNERS_OF_STEPS = """
CREATE OR REPLACE TEMP TABLE s_winners AS
SELECT row_number() OVER () AS seq, '' AS model_id, version AS event_id, event_time, id_no, place,
    arrival_us, event_seq
FROM (
    SELECT *, seq AS event_seq FROM s_candidates
    QUALIFY row_number() OVER (PARTITION BY id_no, place
        ORDER BY event_time DESC, canonical DESC NULLS LAST, seq) = 1
)"""

_ONLY_OF_STEPS = """
CREATE OR REPLACE TEMP TABLE s_winners AS
SELECT row_number() OVER () AS seq, '' AS model_id, version AS event_id, event_time, id_no, place,
    arrival_us, seq AS event_seq
FROM s_candidates"""

_VOTES_OF_STEPS = """
CREATE OR REPLACE TEMP TABLE s_votes AS
SELECT v.seq, v.key, '' AS model_id, s.id_no || ':' || s.place AS event_id, v.voter, v.property,
    v.label, v.label_number, v.vote_time
FROM s_steps s JOIN t_votes v
    ON v.model_id = s.model_id AND v.event_id = s.event_id AND v.seq <= s.seq
WHERE s.place < s.places"""

_BETWEEN = """
SELECT s.id_no, s.place, s.arrival_us, w.event_seq
FROM s_steps s LEFT JOIN s_winners w ON w.id_no = s.id_no AND w.place = s.place
WHERE s.place < s.places"""

_STATES = """
CREATE OR REPLACE TEMP TABLE s_states AS
SELECT row_number() OVER (ORDER BY id_no, place) AS state, *
FROM ({states})"""

_TRUTHS = """
CREATE OR REPLACE TEMP TABLE s_truths AS
SELECT s.state, o.property, o.label, o.label_number, o.label_time
FROM s_states s JOIN t_outcomes_old o ON o.event_seq = s.event_seq WHERE s.place = 0
UNION ALL
SELECT s.state, o.property, o.label, o.label_number, o.label_time
FROM s_states s JOIN t_outcomes o ON o.event_seq = s.event_seq
JOIN s_steps p ON p.id_no = s.id_no AND p.place = s.place AND p.place = p.places"""

_TRUTHS_BETWEEN = """
UNION ALL
SELECT s.state, o.property, o.label, o.label_number, o.label_time
FROM s_states s JOIN s_winners w ON w.id_no = s.id_no AND w.place = s.place
JOIN s_outcomes o ON o.event_seq = w.seq"""

_PAIRS = """
CREATE OR REPLACE TEMP TABLE s_pairs AS
WITH ordered AS (
    SELECT *, lead(state) OVER w AS next_state, lead(event_seq) OVER w AS next_seq,
        lag(event_seq) OVER w AS last_seq, lead(arrival_us) OVER w AS next_us
    FROM s_states WINDOW w AS (PARTITION BY id_no ORDER BY place)
)
SELECT -1 AS weight, state, event_seq, next_us AS arrival_us,
    event_seq IS DISTINCT FROM next_seq AS changed
FROM ordered WHERE next_state IS NOT NULL AND event_seq IS NOT NULL
UNION ALL
SELECT 1, state, event_seq, arrival_us, event_seq IS DISTINCT FROM last_seq
FROM ordered WHERE place > 0 AND event_seq IS NOT NULL"""
