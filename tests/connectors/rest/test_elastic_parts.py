"""What the routes of Elasticsearch's contract are made of, apart from HTTP.

Patterns and paths come from strangers: they must mean what they say, and never take long. Names of
posted fields go through two translations, which must cancel out.
"""

import json
import time
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.rest.elastic.filter_path import filtered
from connectors.rest.elastic.own_names import given_name, inner_name, renamed
from connectors.rest.elastic.posted import records_in, upload_of
from connectors.rest.elastic.wildcards import jobs_meant, matches
from connectors.rest.faults import Fault
from engine.anomaly.time_formats import time_reader
from engine.config import AnomalyJobSettings, DetectorSettings
from engine.errors import NotFoundError, QueryError

WORDS = st.text("ab*", max_size=8)
NAMES = st.text("ab", max_size=8)


@given(WORDS, NAMES)
def test_oracle_patterns_match_as_those_of_files_do(pattern, name):
    assert matches(pattern, name) == fnmatchcase(name, pattern)


def test_law_patterns_never_take_long():
    began = time.perf_counter()
    assert not matches("a*" * 5_000 + "b", "a" * 20_000)
    path = ".".join(["**"] * 150)
    assert filtered({"a": {"a": {"a": 1}}}, path) == {"a": {"a": {"a": 1}}}
    assert time.perf_counter() - began < 2


def test_golden_which_jobs_an_expression_means():
    known = {"web-1": ["web"], "web-2": ["web", "night"], "mail": []}
    assert jobs_meant("", known, allow_no_match=False) == sorted(known)
    assert jobs_meant("night,mail", known, allow_no_match=False) == ["mail", "web-2"]
    assert jobs_meant("w*b,zzz*", known, allow_no_match=True) == ["web-1", "web-2"]
    for expression, allowed in (("zzz*", False), ("zzz", True), ("web,", True), ("_all", False)):
        with pytest.raises(NotFoundError, match="No known job with id"):
            jobs_meant(expression, known if expression != "_all" else {}, allow_no_match=allowed)


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ("count", {"count": 2}),
        ("jobs.id", {"jobs": [{"id": "a"}, {"id": "b"}]}),
        ("jobs.*.n", {"jobs": [{"of": {"n": 1}}, {"of": {"n": 2}}]}),
        ("**.n", {"jobs": [{"of": {"n": 1}}, {"of": {"n": 2}}]}),
        ("jobs,-jobs.of", {"jobs": [{"id": "a"}, {"id": "b"}]}),
        ("-jobs.of.n,-count", {"jobs": [{"id": "a", "of": {}}, {"id": "b", "of": {}}]}),
        ("absent", {}),
        ("c*t,j*.i*", {"count": 2, "jobs": [{"id": "a"}, {"id": "b"}]}),
    ],
)
def test_golden_parts_of_an_answer(paths, found):
    jobs = [{"id": "a", "of": {"n": 1}}, {"id": "b", "of": {"n": 2}}]
    assert filtered({"count": 2, "jobs": jobs}, paths) == found


def test_error_paths_without_end_are_refused():
    with pytest.raises(QueryError, match="at most 1000 characters"):
        filtered({}, "a" * 1_001)


# ---- names -----------------------------------------------------------------------------------


@given(st.one_of(st.text(), st.sampled_from(["score", "labels.x", "features.a", "correct", "*"])))
def test_law_names_come_back_as_they_were_given(name):
    assert given_name(inner_name(name)) == name


def test_golden_names_that_mean_something_else_here_are_told_apart():
    taken = ["score", "label", "job_id", "precision", "absolute_error", "features.x", "model_id"]
    assert [inner_name(name) for name in taken] == [f"features.{name}" for name in taken]
    for name in ("responsetime", "http.status", "airline", "feature"):
        assert inner_name(name) == name
    detector = {
        "function": "mean",
        "field_name": "score",
        "by_field_name": "host",
        "custom_rules": [{"scope": {"label": {"values": ["x"]}}}],
    }
    told = renamed(detector, inner_name)
    assert told["field_name"] == "features.score"
    assert told["custom_rules"] == [{"scope": {"features.label": {"values": ["x"]}}}]
    assert renamed(told, given_name) == detector


# ---- records ---------------------------------------------------------------------------------


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(0, 9)), max_size=4))
def test_law_records_are_the_same_in_every_form(records):
    texts = [json.dumps(each) for each in records]
    for body in ("\n".join(texts), "".join(texts), json.dumps(records), " ".join(texts)):
        assert records_in(body.encode()) == records


def test_error_records_that_are_none():
    for body in (b"[[{}]]", b"null", b'{"a":1},{"a":2}', b'{"a":"\\ud800"}', b'{"a":1}\x00'):
        with pytest.raises(Fault) as error:
            records_in(body)
        assert error.value.status == 400


def test_law_many_records_go_in_pieces_in_their_order():
    job = AnomalyJobSettings("j", (DetectorSettings("count"),), model="j")
    records = [{"time": place, "text": "x" * 1_000} for place in range(20_000)]
    upload = upload_of(job, records)
    assert len(upload.pieces) == 3
    assert all(sum(map(len, piece)) <= 8 << 20 for piece in upload.pieces)
    lines = [line for piece in upload.pieces for line in piece]
    assert upload.times_us == [place * 1_000_000 for place in range(20_000)]
    assert [int(line.split(b'"timestamp":')[1].split(b",")[0]) for line in lines] == [
        1_000 * place for place in range(20_000)
    ]
    assert len({line.split(b'"id":"')[1].split(b'"')[0] for line in lines}) == 20_000


def test_golden_counts_of_what_was_taken():
    job = AnomalyJobSettings(
        "j",
        (DetectorSettings("mean", "features.score", partition_field_name="host"),),
        model="j",
        influencers=("host",),
        bucket_span_s=60,
    )
    told = [{"time": at, "score": 1, "host": "a"} for at in (0, 10, 59, 60, 61, 300)]
    told += [{"time": 62}, {"time": None, "host": "a"}]
    upload = upload_of(job, told)
    counts = upload.counts(range(7), job, 60)
    assert counts == {
        "processed_record_count": 7,
        "processed_field_count": 12,
        "input_field_count": 20,
        "input_record_count": 8,
        "invalid_date_count": 1,
        "missing_field_count": 2,
        "out_of_order_timestamp_count": 3,
        "bucket_count": 6,
        "empty_bucket_count": 3,
        "sparse_bucket_count": 0,
        "earliest_record_timestamp": 0,
        "latest_record_timestamp": 300_000,
    }
    assert upload.counts([], job, None)["bucket_count"] == 0
    own = upload.counts(range(7), replace(job, clock="records"), None)
    assert own["out_of_order_timestamp_count"] == 1  # 62 behind 300
    patient = replace(job, clock="records", latency_us=300_000_000)
    assert upload.counts(range(7), patient, None)["out_of_order_timestamp_count"] == 0


# ---- times -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["", "yyyy", "HH:mm", "yyyy-MM", "yyyy-MM-dd[ HH]", "yy-MM-dd", "yyyy-MM-dd MM", "x"]
)
def test_error_forms_of_times_that_there_are_not(form):
    with pytest.raises(QueryError, match="`time_format` must be epoch, epoch_ms, or a pattern"):
        time_reader(form)


@given(st.datetimes())
def test_law_a_time_in_a_pattern_is_that_time(moment):
    read = time_reader("dd.MM.yyyy 'at' HH:mm:ss.SSSSSS XXX")
    written = moment.strftime("%d.%m.") + f"{moment.year:04d} at {moment:%H:%M:%S.%f} +01:00"
    since = moment - type(moment)(1970, 1, 1)
    us = (since.days * 86_400 + since.seconds - 3_600) * 1_000_000 + since.microseconds
    assert read(written) == (us if us >= -62_135_596_800 * 1_000_000 else None)
