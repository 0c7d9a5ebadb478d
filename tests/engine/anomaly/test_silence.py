"""Empty buckets in a row that are closed at once: the same results, and the same state, to the bit.

The twin closes them one by one, as buckets with rows are closed.
"""

import dataclasses
import random

import decoding
import numpy as np
import pytest
from anomaly_runs import detected, lines_of, settings_with, visits

from engine.anomaly.definition import jobs_of
from engine.anomaly.gather.gather import Gathering
from engine.anomaly.results.results import Results
from engine.anomaly.scoring.scorer import Scorer
from engine.anomaly.skipping import Skips
from engine.anomaly.store.job_store import JobStore
from engine.config import (
    AnomalyJobSettings,
    CalendarEvent,
    CalendarSettings,
    CustomRule,
    DetectorSettings,
    ModelSettings,
    RuleCondition,
    Settings,
    TimeSettings,
)
from engine.rules.rowset import RowColumns

START_S, BUCKETS, GAP = 1_700_000_000, 110, 150
SPAN_S = 600
LOW = CustomRule(("skip_result",), (), (RuleCondition("actual", "lt", 1.0),))
FORGET = CustomRule(("skip_model_update",), (), (RuleCondition("typical", "gt", 3.0),))
DETECTORS = [
    DetectorSettings("count"),
    DetectorSettings("low_count"),
    DetectorSettings("high_count"),
    DetectorSettings("sum", "price"),
    DetectorSettings("distinct_count", "city"),
    DetectorSettings("count", custom_rules=(LOW,)),
    DetectorSettings("low_count", custom_rules=(FORGET,)),
    DetectorSettings("low_non_zero_count"),
    DetectorSettings("metric", "price"),
    DetectorSettings("mean", "price", partition_field_name="city", use_null=True),
    DetectorSettings("count", by_field_name="city", use_null=True),
    DetectorSettings("count", by_field_name="city", exclude_frequent="by"),
    DetectorSettings("median", "price", by_field_name="prediction"),
    DetectorSettings("rare", by_field_name="city", partition_field_name="prediction"),
    DetectorSettings("rare", by_field_name="city", over_field_name="prediction"),
    DetectorSettings("freq_rare", by_field_name="city", over_field_name="prediction"),
    DetectorSettings("high_count", over_field_name="city"),
    DetectorSettings("mean", "price", over_field_name="city"),
    DetectorSettings("time_of_day", by_field_name="prediction"),
]


@pytest.fixture(scope="module")
def decoder():
    return decoding.decoder(max_future_us=None)


def settings_of(chance):
    """Give a job of three detectors with a fair in its gap, some more at random."""
    start_us = (START_S + (BUCKETS + chance.randrange(GAP)) * SPAN_S) * 1_000_000
    fair = CalendarEvent("fair", start_us, start_us + chance.randrange(1, 40) * 60_000_000)
    job = AnomalyJobSettings(
        "shop",
        (DETECTORS[chance.randrange(6)], *chance.sample(DETECTORS, 2)),
        model="shop",
        bucket_span_s=SPAN_S,
        influencers=tuple(chance.sample(("city", "prediction"), chance.randrange(3))),
        frequency_s=SPAN_S // 2,
        normalizer=chance.choice(("standard", "elastic")),
    )
    calendars = (CalendarSettings("year", (fair,)),) if chance.random() < 0.7 else ()
    return settings_with(job, calendars=calendars, time=TimeSettings(allowed_lateness_us=0))


def loaded(store, settings: Settings):
    """Give what a stored job is scored with."""
    job = jobs_of(settings)[0]
    gathering = Gathering(job, RowColumns(), ModelSettings("shop"), limit=1_000)
    state, known = JobStore(store).load(job, gathering, Results(store))
    assert known
    return job, gathering, state, Scorer(job, state, Skips.of(job.settings, settings.calendars))


def flat(rows):
    """Give all that a bucket's rows hold as lists."""
    if dataclasses.is_dataclass(rows):
        return {f.name: flat(getattr(rows, f.name)) for f in dataclasses.fields(rows)}
    if isinstance(rows, np.ndarray):
        return [repr(each) for each in rows.tolist()]
    return list(rows) if isinstance(rows, (list, tuple)) else rows


def one_by_one(gathering, scorer, starts):
    for start_s in starts:
        look = scorer.look(gathering.peek(start_s, (start_s + SPAN_S // 2) * 1_000_000), 0.5)
        rows, grown = scorer.close(gathering.close(start_s))
        yield flat(look), flat(rows), {level: scopes.tolist() for level, scopes in grown.items()}


def at_once(gathering, scorer, starts):
    """Close as many as can be at once; tells how often more than one could."""
    pending, pieces = list(starts), 0
    found = []
    while pending:
        look = scorer.look_at_gap(gathering.keys, pending[0], 0.5)
        closed = scorer.close_gap(gathering.keys, pending[0], len(pending))
        pieces += len(closed) > 1
        if closed:
            gathering.pass_over(pending[len(closed) - 1] + SPAN_S)
            found += [
                (None if n else look and flat(look), flat(r), {}) for n, r in enumerate(closed)
            ]
        else:
            rows, grown = scorer.close(gathering.close(pending[0]))
            told = {level: scopes.tolist() for level, scopes in grown.items()}
            found.append((look and flat(look), flat(rows), told))
        pending = pending[len(closed) or 1 :]
    return found, pieces


def same_state(one, other):
    told, arrays = one.to_stored("", "")
    other_told, other_arrays = other.to_stored("", "")
    assert told == other_told
    assert sorted(arrays) == sorted(other_arrays)
    for name, array in arrays.items():
        assert array.dtype == other_arrays[name].dtype, name
        assert array.tobytes() == other_arrays[name].tobytes(), name


@pytest.mark.parametrize("seed", range(6))
def test_oracle_a_gap_at_once_is_its_buckets_one_by_one(decoder, seed):
    chance = random.Random(seed)
    settings = settings_of(chance)
    events = visits(seed, BUCKETS, span_s=SPAN_S, start_s=START_S)
    for event in chance.sample(events, len(events) // 10):
        del event["features"]["city"]
    store = detected(decoder, lines_of(events), settings)
    _, gathering, state, scorer = loaded(store, settings)
    _, other_gathering, other_state, other_scorer = loaded(store, settings)
    starts = range(state.next_s, state.next_s + GAP * SPAN_S, SPAN_S)
    wanted = list(one_by_one(gathering, scorer, starts))
    found, pieces = at_once(other_gathering, other_scorer, starts)
    assert pieces
    for start_s, (look, *told), (other_look, *others) in zip(starts, wanted, found, strict=True):
        assert told == others, start_s
        assert other_look is None or other_look == look, start_s
    same_state(state, other_state)
    # What comes after it is taken alike, too.
    after = starts[-1] + SPAN_S
    rows = [
        s.close(g.close(after))[0]
        for s, g in ((scorer, gathering), (other_scorer, other_gathering))
    ]
    assert flat(rows[0]) == flat(rows[1])
