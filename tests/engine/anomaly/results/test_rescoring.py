"""Renormalisation moves current scores alone, says of each change why, and can be undone.

The oracle walks buckets one by one: after every bucket all stored scores must be what the history
as it then is makes of the raw scores in the window, and the journal replayed from the first scores
must lead to the current ones.
"""

import numpy as np
import pytest
from anomaly_store import (
    JOB,
    SPAN_S,
    START_S,
    asked,
    bucket,
    influencers,
    records,
    scratch,
    store,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.anomaly.results.moves import Change
from engine.anomaly.results.rescoring import rescore
from engine.anomaly.results.results import Results
from engine.anomaly.scores.normalizer import ELASTIC, STANDARD, History

RAW = np.array([0.0, 0.3, 1.0, 2.0, 20.0, 80.0])


def change(history, level="bucket", scopes=(0,), **changed):
    told = {
        "job_id": JOB,
        "level": level,
        "scopes": np.array(scopes, np.int64),
        "from_s": START_S,
        "changed_s": START_S + 9 * SPAN_S,
        "cause": "a new maximum",
        "normalizer": ELASTIC,
        "history": history,
    }
    return Change(**(told | changed))


def learned(*raw, scopes=None):
    """Give a history that has seen these raw scores in one bucket."""
    scopes = np.zeros(len(raw), np.int64) if scopes is None else np.array(scopes)
    return ELASTIC.update(History(), START_S - SPAN_S, SPAN_S, np.array(raw, float), scopes)[0]


def journal(connection, columns="result, old_score, new_score, cause"):
    return asked(connection, f"SELECT {columns} FROM anomaly_score_changes ORDER BY ALL")


# ---- what moves ------------------------------------------------------------------------------


def test_contract_ELi_03_a_new_maximum_moves_scores_and_leaves_initial_ones():
    connection, _ = store(bucket(0), bucket(1))
    history = learned(2.0, 40.0)
    ((new,), (ceiling,)) = ELASTIC.score(history, np.array([2.0]), np.zeros(1, np.int64))
    assert ELASTIC.update(learned(2.0), START_S, SPAN_S, np.array([40.0]), np.array([0]))[
        1
    ].tolist() == [0]
    assert rescore(connection, [change(history)]) == 4  # the bucket influencers, and their buckets
    for relation in ("anomaly_buckets", "anomaly_bucket_influencers"):
        found = asked(
            connection, f"SELECT DISTINCT anomaly_score, initial_anomaly_score FROM {relation}"
        )
        assert found == [(new, 50.0)]
    assert asked(connection, "SELECT DISTINCT ceiling FROM bucket_influencer_results") == [
        (ceiling,)
    ]
    assert journal(connection) == [
        ("bucket", 50.0, new, "a new maximum"),
        ("bucket", 50.0, new, "a new maximum"),
        ("bucket_influencer", 50.0, new, "a new maximum"),
        ("bucket_influencer", 50.0, new, "a new maximum"),
    ]


def test_contract_ELi_03_each_change_names_its_row_and_the_bucket_that_is_the_cause():
    connection, _ = store(bucket(0))
    rescore(connection, [change(learned(2.0, 40.0), "influencer:airline", [1])])
    rescore(connection, [change(learned(2.0, 40.0), "record", [0])])
    assert journal(
        connection,
        "result, influencer_field_name, influencer_field_value, detector_index,"
        " function_description, by_field_value, partition_field_value,"
        " (epoch_us(timestamp) // 1000000 - 1700000100) // 300,"
        " (epoch_us(changed_time) // 1000000 - 1700000100) // 300",
    ) == [
        ("influencer", "airline", "A1", None, None, None, None, 0, 9),
        ("record", None, None, 0, "mean", "A0", "Bern", 0, 9),
    ]


def test_contract_ELi_04_only_the_window_is_scored_anew():
    connection, _ = store(*(bucket(place) for place in range(4)))
    rescore(connection, [change(learned(2.0, 40.0), from_s=START_S + 2 * SPAN_S)])
    found = asked(connection, "SELECT anomaly_score <> 50 FROM anomaly_buckets ORDER BY timestamp")
    assert found == [(False,), (False,), (True,), (True,)]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(bucket(0, is_interim=True), id="interim"),
        pytest.param(bucket(0, job_id="other"), id="another_job"),
        pytest.param(
            bucket(0, bucket_influencers=whole(raw_score=np.zeros(1))), id="scheduled_event"
        ),
        pytest.param(bucket(0, bucket_influencers=whole(scope=np.array([5]))), id="scope"),
        pytest.param(bucket(0, bucket_influencers=whole(level=["bucket:x"])), id="level"),
    ],
)
def test_golden_rows_that_are_left_as_they_are(rows):
    connection, _ = store(rows)
    assert rescore(connection, [change(learned(2.0, 40.0))]) == 0
    assert journal(connection) == []


def test_golden_no_scopes_no_change():
    connection, _ = store(bucket(0))
    assert rescore(connection, [change(learned(2.0, 40.0), scopes=())]) == 0


def test_golden_what_moves_by_rounding_alone_stays():
    history = learned(2.0, 40.0)
    score = ELASTIC.score(history, np.array([2.0]), np.zeros(1, np.int64))[0]
    connection, _ = store(bucket(0, score=float(score[0]) + 1e-10))
    assert rescore(connection, [change(history)]) == 0


def test_golden_a_bucket_keeps_the_greatest_of_its_influencers():
    two = whole(
        score=np.array([50.0, 30.0]),
        raw_score=np.array([2.0, 2.0]),
        probability=np.full(2, 1e-6),
        scope=np.zeros(2, np.int64),
        ceiling=np.zeros(2, np.int64),
        level=["bucket", "bucket:airline"],
        field_name=["bucket_time", "airline"],
        field_value=[None, "A0"],
    )
    connection, _ = store(bucket(0, bucket_influencers=two))
    assert rescore(connection, [change(learned(2.0, 40.0))]) == 2
    assert asked(connection, "SELECT anomaly_score FROM anomaly_buckets") == [(30.0,)]


def test_law_many_series_and_rows_are_scored_at_once():
    """100,000 records of 5,000 series, of which every second one has a new maximum."""
    n, buckets = 5000, 20
    rng = np.random.default_rng(0)
    rows = [
        bucket(place, records=records(n, raw_score=rng.uniform(0.0, 20.0, n)))
        for place in range(buckets)
    ]
    connection, _ = store(*rows)
    history = learned(*rng.uniform(20.0, 90.0, n), scopes=np.arange(n))
    even = np.arange(0, n, 2)
    last_s = START_S + (buckets - 1) * SPAN_S
    moved = rescore(connection, [change(history, "record", even, changed_s=last_s)])
    raw = np.concatenate([each.records.raw_score for each in rows])
    scope = np.tile(np.arange(n), buckets)
    scored = ELASTIC.score(history, raw, scope)[0]
    expected = np.where(scope % 2 == 0, scored, 50.0)
    found = connection.execute("SELECT score FROM record_results ORDER BY rowid").fetchnumpy()
    assert np.array_equal(found["score"], expected)
    assert moved == np.count_nonzero(expected != 50.0) == len(journal(connection))


# ---- a walk ----------------------------------------------------------------------------------


def walk(connection, raws, normalizer, cuts=()):
    """Close buckets one by one; gives what writes them, and the history after each.

    What waits is written after the buckets at `cuts`, and at the end.
    """
    results = Results(connection)
    history, histories = History(), []
    for place, raw in enumerate(raws):
        scope = np.arange(len(raw)) % 2
        start_s = START_S + place * SPAN_S
        history, grown = normalizer.update(history, start_s, SPAN_S, raw, scope)
        score, ceiling = normalizer.score(history, raw, scope)
        results.add(
            bucket(
                place,
                influencers=influencers(
                    len(raw), score=score, raw_score=raw, scope=scope, ceiling=ceiling
                ),
                records=records(0),
            )
        )
        results.rescore(
            change(
                history,
                "influencer:airline",
                grown,
                from_s=start_s - 3 * SPAN_S,
                changed_s=start_s,
                normalizer=normalizer,
            )
        )
        histories.append((history, grown))
        if place in cuts:
            results.flush()
    results.flush()
    return results, histories


WALKS = st.lists(st.lists(st.sampled_from(RAW.tolist()), min_size=1, max_size=4), max_size=7)
CUTS = st.sets(st.integers(0, 6))


@settings(max_examples=15, deadline=None)
@given(WALKS, st.sampled_from([STANDARD, ELASTIC]), CUTS)
def test_oracle_each_score_is_that_of_the_last_history_that_reached_it(raws, normalizer, cuts):
    arrays = [np.array(raw) for raw in raws]
    with scratch() as connection:
        _, histories = walk(connection, arrays, normalizer, cuts)
        rows = asked(connection, "SELECT score FROM influencer_results ORDER BY rowid")
        changes = asked(
            connection,
            "SELECT timestamp, influencer_field_value, old_score, new_score FROM score_changes"
            " WHERE result = 'influencer' ORDER BY rowid",
        )
        stored = asked(
            connection,
            "SELECT timestamp, field_value, initial_score, score FROM influencer_results",
        )
    expected = []
    for place, raw in enumerate(arrays):
        scope = np.arange(len(raw)) % 2
        score = normalizer.score(histories[place][0], raw, scope)[0]
        for later, (history, grown) in enumerate(histories):
            if place < later <= place + 3:
                anew = normalizer.score(history, raw, scope)[0]
                score = np.where(np.isin(scope, grown), anew, score)
        expected += score.tolist()
    assert [score for (score,) in rows] == pytest.approx(expected, abs=1e-8)
    replayed = {(at, name): first for at, name, first, _ in stored}
    for at, name, old, new in changes:
        assert replayed[at, name] == old
        replayed[at, name] = new
    assert replayed == {(at, name): score for at, name, _, score in stored}


def contents(connection):
    return [
        asked(connection, f"SELECT * FROM {table} ORDER BY ALL")
        for table in ("bucket_results", "influencer_results", "score_changes")
    ]


def of_levels(connection, raws, cuts):
    """Close buckets with two levels of bucket influencers; gives all that is stored."""
    results = Results(connection)
    levels = {"bucket": History(), "bucket:airline": History()}
    zero = np.zeros(1, np.int64)
    for place, raw in enumerate(raws):
        start_s, found = START_S + place * SPAN_S, []
        for level, each in zip(levels, raw, strict=True):
            levels[level], grown = ELASTIC.update(
                levels[level], start_s, SPAN_S, np.array([each]), zero
            )
            score, ceiling = ELASTIC.score(levels[level], np.array([each]), zero)
            found.append((level, float(score[0]), each, int(ceiling[0]), grown))
        names, score, given_raw, ceiling, changed = (
            list(part) for part in zip(*found, strict=True)
        )
        whole_of_two = whole(
            score=np.array(score),
            raw_score=np.array(given_raw),
            probability=np.full(2, 1e-6),
            scope=np.zeros(2, np.int64),
            ceiling=np.array(ceiling),
            level=names,
            field_name=["bucket_time", "airline"],
            field_value=[None, "A0"],
        )
        results.add(bucket(place, max(score), bucket_influencers=whole_of_two))
        for level, grown in zip(names, changed, strict=True):
            results.rescore(change(levels[level], level, grown, from_s=START_S, changed_s=start_s))
        if place in cuts:
            results.flush()
    results.flush()
    tables = ("bucket_results", "bucket_influencer_results", "score_changes")
    return [asked(connection, f"SELECT * FROM {table} ORDER BY ALL") for table in tables]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(RAW[1:].tolist()), st.sampled_from(RAW.tolist()))), CUTS)
def test_law_many_changes_at_once_are_as_many_one_by_one(raws, cuts):
    with scratch() as connection:
        one_by_one = of_levels(connection, raws, range(len(raws)))
    with scratch() as connection:
        assert of_levels(connection, raws, cuts) == one_by_one
    buckets, parts, _ = one_by_one
    for row in buckets:
        assert row[3] == max(each[6] for each in parts if each[1] == row[1])


@settings(max_examples=12, deadline=None)
@given(WALKS, st.integers(0, 6))
def test_law_forgetting_leaves_the_store_as_it_was_then(raws, cut):
    arrays = [np.array(raw) for raw in raws]
    with scratch() as connection:
        walk(connection, arrays[:cut], ELASTIC)
        before = contents(connection)
    with scratch() as connection:
        results, _ = walk(connection, arrays, ELASTIC)
        results.forget(JOB, START_S + cut * SPAN_S)
        assert contents(connection) == before


def test_golden_forgetting_undoes_changes_of_every_kind():
    rows = [bucket(0), bucket(1)]
    before, _ = store(rows[0])
    connection, results = store(*rows)
    for level in ("bucket", "influencer:airline", "record"):
        for top in (40.0, 2.0):
            history = learned(top, top, scopes=[0, 1])
            anew = change(history, level, [0, 1], changed_s=START_S + SPAN_S)
            assert rescore(connection, [anew]) > 0
    results.forget(JOB, START_S + SPAN_S)
    tables = ("bucket_results", "bucket_influencer_results", "influencer_results", "record_results")
    for table in (*tables, "score_changes"):
        sql = f"SELECT * FROM {table} ORDER BY ALL"
        assert asked(connection, sql) == asked(before, sql), table
