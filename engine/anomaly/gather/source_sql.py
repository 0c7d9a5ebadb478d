"""What events of other types add and take back, as SQL: see `engine.anomaly.gather.sources`.

`a_fresh` has the rows of a block with `seq` and `arrival_us`; `a_new` the same with the hash of
their identity, `key`; `a_old` what was stored before of the same identities.
"""

__all__ = [
    "NOTHING",
    "OTHERS_IN_BLOCK",
    "STEPS",
    "VOTES_IN_BLOCK",
    "VOTES_IN_STORE",
    "VOTE_STEPS",
    "WINNERS",
]

OTHERS_IN_BLOCK = """
SELECT seq, arrival_us, type, make_timestamp(event_us) AS event_time, raw, model_id, job_id,
    event_id FROM a_fresh"""

NOTHING = """
SELECT 0::BIGINT AS weight, 0::BIGINT AS seq, 0::BIGINT AS arrival_us,
    NULL::TIMESTAMP AS event_time, NULL::VARCHAR AS raw, NULL::VARCHAR AS model_id,
    NULL::VARCHAR AS job_id, NULL::VARCHAR AS event_id WHERE false"""

WINNERS = """
SELECT seq, event_time, raw, model_id, job_id, event_id FROM ({stored})
WHERE event_time IS NOT NULL QUALIFY who IS NULL
    OR row_number() OVER (PARTITION BY who ORDER BY event_time DESC, raw DESC, seq) = 1"""

# The event that counts before each line, and after it: only a greater one changes anything.
STEPS = """
WITH told AS (
    SELECT seq, arrival_us, who, true AS fresh,
        {'event_time': event_time, 'raw': raw, 'model_id': model_id, 'job_id': job_id,
         'event_id': event_id} AS event FROM a_new
    UNION ALL
    SELECT seq, arrival_us, who, false,
        {'event_time': event_time, 'raw': raw, 'model_id': model_id, 'job_id': job_id,
         'event_id': event_id} FROM a_old
    WHERE event_time IS NOT NULL
), steps AS (
    SELECT *, CASE WHEN who IS NOT NULL THEN max(event) OVER (PARTITION BY who ORDER BY seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) END AS before
    FROM told
), changes AS (
    SELECT 1::BIGINT AS weight, seq, arrival_us, event FROM steps
    WHERE fresh AND (before IS NULL OR event > before)
    UNION ALL
    SELECT -1, seq, arrival_us, before FROM steps
    WHERE fresh AND before IS NOT NULL AND event > before
)
SELECT weight, seq, arrival_us, event.event_time AS event_time, event.raw AS raw,
    event.model_id AS model_id, event.job_id AS job_id, event.event_id AS event_id FROM changes"""

VOTES_IN_BLOCK = """
SELECT seq, key, model_id, event_id, voter, property, label, label_number,
    make_timestamp(vote_us) AS vote_time, arrival_us FROM a_fresh"""

# The votes of the greatest time, as one event.
_EVENT = """
SELECT {keys}, model_id, event_id, voter, vote_time AS event_time,
    '{{"model_id":' || to_json(model_id) || ',"id":' || to_json(event_id)
    || CASE WHEN voter <> '' THEN ',"by":' || to_json(voter) ELSE '' END
    || coalesce(',"label":' || max(value) FILTER (property = ''), '')
    || coalesce(',"labels":{{' || string_agg(to_json(property) || ':' || value, ','
        ORDER BY property) FILTER (property <> '') || '}}', '') || '}}' AS raw
FROM (
    SELECT {keys}, model_id, event_id, voter, property, vote_time,
        arg_max(CASE WHEN label_number IS NOT NULL THEN to_json(label_number)
            ELSE to_json(label) END, {{'label': label, 'number': label_number}}) AS value
    FROM (
        SELECT * FROM ({votes}) QUALIFY vote_time = max(vote_time)
            OVER (PARTITION BY {keys}, model_id, event_id, voter)
    ) GROUP BY ALL
) GROUP BY {keys}, model_id, event_id, voter, vote_time"""

VOTES_IN_STORE = (
    "SELECT *, NULL::VARCHAR AS job_id FROM ("
    + _EVENT.format(
        keys="seq",
        votes="SELECT * REPLACE (max(seq) OVER (PARTITION BY model_id, event_id, voter) AS seq)"
        " FROM votes_log",
    )
    + ")"
)

VOTE_STEPS = (
    """
WITH votes AS (
    SELECT seq, model_id, event_id, voter, property, label, label_number, vote_time FROM a_new
    UNION ALL
    SELECT seq, model_id, event_id, voter, property, label, label_number, vote_time FROM a_old
), moments AS (
    SELECT DISTINCT seq AS place, arrival_us, model_id, event_id, voter FROM a_new
    UNION ALL
    SELECT DISTINCT -1, NULL::BIGINT, model_id, event_id, voter FROM a_old
    SEMI JOIN a_new USING (model_id, event_id, voter)
), states AS ("""
    + _EVENT.format(
        keys="place, arrival_us",
        votes="SELECT m.place, m.arrival_us, v.* FROM moments m"
        " JOIN votes v USING (model_id, event_id, voter)"
        " WHERE v.seq <= m.place OR (m.place = -1 AND v.seq < (SELECT min(seq) FROM a_new))",
    )
    + """
), ordered AS (
    SELECT *, lag(event_time) OVER w AS time_before, lag(raw) OVER w AS raw_before
    FROM states WINDOW w AS (PARTITION BY model_id, event_id, voter ORDER BY place)
), changed AS (
    SELECT * FROM ordered WHERE place >= 0
        AND (raw_before IS NULL OR raw <> raw_before OR event_time <> time_before)
)
SELECT 1::BIGINT AS weight, place AS seq, arrival_us, event_time, raw, model_id,
    NULL::VARCHAR AS job_id, event_id FROM changed
UNION ALL
SELECT -1, place, arrival_us, time_before, raw_before, model_id, NULL, event_id FROM changed
WHERE raw_before IS NOT NULL"""
)
