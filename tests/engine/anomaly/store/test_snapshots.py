"""Snapshots are kept by event time alone, and put back as they were (ELi-19)."""

from dataclasses import replace

import numpy as np
import pytest
from anomaly_store import JOB, SPAN_S, START_S, asked, bucket, scratch

from engine.anomaly.results.results import Results
from engine.anomaly.store.snapshots import drop_later, keep, listed, retain, revert
from engine.anomaly.store.states import Stored, load, save
from engine.config import AnomalyJobSettings, DetectorSettings
from engine.errors import StoreError

HOUR, DAY = 3600, 86400
MIDNIGHT_S = 1_700_006_400
SETTINGS = AnomalyJobSettings(
    JOB,
    (DetectorSettings("count"),),
    bucket_span_s=SPAN_S,
    snapshot_s=3 * HOUR,
    snapshot_retention_s=10 * DAY,
    daily_snapshot_after_s=DAY,
)
ALWAYS = replace(SETTINGS, snapshot_s=0)


@pytest.fixture
def connection():
    with scratch() as connection:
        yield connection


def state(at_s):
    return Stored(1, at_s, f'{{"at": {at_s}}}', {"a": np.arange(2000.0) + at_s, "b": np.ones(3)})


def lived(connection, from_s, to_s, step_s=HOUR, settings=SETTINGS):
    """Save a state every hour, and keep what is due."""
    for at_s in range(from_s, to_s + 1, step_s):
        save(connection, settings.job_id, state(at_s))
        keep(connection, settings, at_s, "background persist")


def hours(connection):
    return [(each.at_s - MIDNIGHT_S) / HOUR for each in listed(connection, JOB)]


def test_contract_ELi_19_a_snapshot_every_three_hours(connection):
    lived(connection, MIDNIGHT_S, MIDNIGHT_S + 10 * HOUR)
    assert hours(connection) == [0, 3, 6, 9]


def test_contract_ELi_19_after_a_day_one_a_day_and_after_ten_days_none(connection):
    lived(connection, MIDNIGHT_S, MIDNIGHT_S + 12 * DAY, 3 * HOUR)
    days = np.array(hours(connection)) / 24
    assert days.tolist() == [*range(2, 11), *(11 + np.arange(0, 9) / 8)]


def test_contract_ELi_19_what_is_retained_stays(connection):
    lived(connection, MIDNIGHT_S, MIDNIGHT_S + 3 * HOUR)
    retain(connection, JOB, listed(connection, JOB)[1].snapshot_id, retained=True)
    lived(connection, MIDNIGHT_S + 6 * HOUR, MIDNIGHT_S + 12 * DAY, 3 * HOUR)
    assert hours(connection)[:2] == [3, 48]
    retain(connection, JOB, listed(connection, JOB)[0].snapshot_id, retained=False)
    lived(connection, MIDNIGHT_S + 12 * DAY + HOUR, MIDNIGHT_S + 12 * DAY + 3 * HOUR)
    assert hours(connection)[0] == 72


def test_law_snapshots_do_not_depend_on_how_often_they_are_asked_for(connection):
    lived(connection, MIDNIGHT_S, MIDNIGHT_S + DAY, 1800)
    found = hours(connection)
    with_other = AnomalyJobSettings("other", SETTINGS.detectors)
    lived(connection, MIDNIGHT_S, MIDNIGHT_S + DAY, settings=with_other)
    assert found == hours(connection)
    others = {each.snapshot_id for each in listed(connection, "other")}
    assert not others & {each.snapshot_id for each in listed(connection, JOB)}


def test_golden_the_id_follows_from_job_and_time(connection):
    lived(connection, MIDNIGHT_S, MIDNIGHT_S)
    assert [each.snapshot_id for each in listed(connection, JOB)] == ["1700006400-ea276d3a"]


def test_golden_nothing_is_kept_without_a_state(connection):
    assert keep(connection, ALWAYS, MIDNIGHT_S, "none") is None


def test_golden_a_snapshot_of_the_same_time_replaces_the_one_before(connection):
    lived(connection, MIDNIGHT_S, MIDNIGHT_S)
    save(connection, JOB, state(MIDNIGHT_S + HOUR))
    assert keep(connection, SETTINGS, MIDNIGHT_S + HOUR, "before the change") is None
    name = keep(connection, ALWAYS, MIDNIGHT_S + HOUR, "before the change")
    assert [each.snapshot_id for each in listed(connection, JOB)][1] == name
    retain(connection, JOB, name, retained=True)
    again = keep(connection, ALWAYS, MIDNIGHT_S + HOUR, "once more")
    assert again == name
    (_, last) = listed(connection, JOB)
    assert (last.description, last.retain) == ("once more", True)


def test_golden_the_public_relation_and_the_annotation(connection):
    lived(connection, MIDNIGHT_S, MIDNIGHT_S)
    (found,) = listed(connection, JOB)
    assert asked(
        connection,
        "SELECT job_id, snapshot_id, epoch_us(timestamp) // 1000000, description, retain,"
        " model_bytes, epoch_us(next_timestamp) // 1000000 FROM anomaly_snapshots",
    ) == [(JOB, found.snapshot_id, MIDNIGHT_S, "background persist", False, found.size, MIDNIGHT_S)]
    assert found.size == 2000 * 8 + 3 * 8 + len(state(MIDNIGHT_S).told)
    assert asked(
        connection, "SELECT event, epoch_us(timestamp) // 1000000 FROM anomaly_annotations"
    ) == [("model_snapshot_stored", MIDNIGHT_S)]


@pytest.mark.parametrize("delete_results", [False, True])
def test_contract_ELi_19_reverting_brings_the_state_back_bit_for_bit(connection, delete_results):
    results = Results(connection)
    for place in range(4):
        results.add(bucket(place))
    results.flush()
    lived(connection, START_S, START_S + 2 * SPAN_S, SPAN_S)
    lived(connection, START_S + 4 * HOUR, START_S + 4 * HOUR)
    first, later = listed(connection, JOB)
    start_s = revert(connection, JOB, first.snapshot_id, delete_results=delete_results)
    assert start_s == START_S
    found, expected = load(connection, JOB), state(START_S)
    assert (found.next_start_s, found.told) == (expected.next_start_s, expected.told)
    assert found.arrays["a"].tobytes() == expected.arrays["a"].tobytes()
    buckets, snapshots = (0, 1) if delete_results else (4, 2)
    assert asked(connection, "SELECT count(*) FROM anomaly_buckets") == [(buckets,)]
    assert len(listed(connection, JOB)) == snapshots
    told = "SELECT annotation FROM anomaly_annotations WHERE event = 'model_reverted'"
    assert asked(connection, told) == [
        (f"The model was reverted to snapshot {first.snapshot_id}: background persist",)
    ]
    if not delete_results:
        # What the abandoned buckets had brought does not keep new ones away.
        save(connection, JOB, state(START_S + 3 * HOUR))
        assert keep(connection, SETTINGS, START_S + 3 * HOUR, "again") is not None
        assert later in listed(connection, JOB)


def test_golden_later_snapshots_go_unless_they_are_retained(connection):
    lived(connection, MIDNIGHT_S, MIDNIGHT_S + 9 * HOUR)
    retain(connection, JOB, listed(connection, JOB)[2].snapshot_id, retained=True)
    drop_later(connection, JOB, MIDNIGHT_S)
    assert hours(connection) == [0, 6]
    assert asked(connection, "SELECT count(DISTINCT snapshot_id) FROM model_snapshot_arrays") == [
        (2,)
    ]


def test_error_no_such_snapshot(connection):
    with pytest.raises(StoreError, match="must be a snapshot of anomaly job flights, got 17-x"):
        retain(connection, JOB, "17-x", retained=True)
    with pytest.raises(StoreError, match="must be a snapshot of anomaly job flights, got 17-x"):
        revert(connection, JOB, "17-x", delete_results=True)
