"""A good file becomes settings; every fault of a bad one is told, at once, with its place."""

# ruff: noqa: E501 - a case is one line: what the file says, and the fault

import pytest

from engine.config import (
    Limits,
    ModelSettings,
    Settings,
    SourceSettings,
    TimeSettings,
    UserSettings,
)
from engine.errors import ConfigurationError
from flows.settings import Overrides, load, summary

GOOD = """\
data: ./results
sources:
  - name: alerts
    files: "events/*.ndjson.gz"
    follow: true
    mapping: {timestamp: '$."@timestamp"', prediction: "$.arcanna.result_label", model_id: 7, a: true}
  - {name: more, files: [a.ndjson, b.ndjson]}
  - {name: piped, stdin: true}
time: {allowed_lateness: 500ms, idle_timeout: 1.5m, max_future: null, label_horizon: 30d, lookback: 5m, step: 30, drift_lookback: 7d, subsequent_alert_wait_time: 1.5}
models:
  - id: triage
    job: soc
    classes: [Drop, no, 1.0, true, "1.5"]
    positive: Drop
    positive_property: p_escalate
    threshold: 0.25
    lookback: 1h
    step: 60
    drift_lookback: 1h
    drift_alerts: false
    reference: {files: [a.ndjson, "b/*.gz"]}
    kind: batch
  - {id: 007, kind: streaming, reference: {files: one.ndjson}}
users:
  - {username: ana, role: administrator}
  - {username: bo, role: editor}
  - {username: cy}
retention: {events: 90d, rejects: 1h}
limits: {models: 10, series: 20, classes: 30, line_bytes: 4096, anomaly_series: 50}
"""


def written(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def faults(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).split("\n")]


def test_golden_everything_declared(tmp_path):
    assert load(written(tmp_path, GOOD)) == Settings(
        data="./results",
        sources=(
            SourceSettings(
                "alerts",
                files=("events/*.ndjson.gz",),
                follow=True,
                mapping=(
                    ("timestamp", '$."@timestamp"'),
                    ("prediction", "$.arcanna.result_label"),
                    ("model_id", "7"),
                    ("a", "true"),
                ),
            ),
            SourceSettings("more", files=("a.ndjson", "b.ndjson")),
            SourceSettings("piped", stdin=True),
        ),
        time=TimeSettings(
            500_000, 90_000_000, None, 30 * 86_400_000_000, 300, 30, 7 * 86_400, 90_000_000
        ),
        models=(
            ModelSettings(
                "triage",
                "soc",
                ("Drop", "no", "1", "true", "1.5"),
                "Drop",
                "p_escalate",
                0.25,
                3600,
                60,
                3600,
                drift_alerts=False,
                reference=("a.ndjson", "b/*.gz"),
                kind="batch",
            ),
            ModelSettings("007", reference=("one.ndjson",)),
        ),
        administrators=("ana",),
        users=(
            UserSettings("ana", role="administrator"),
            UserSettings("bo", role="editor"),
            UserSettings("cy"),
        ),
        retention_us=(("events", 90 * 86_400_000_000), ("rejects", 3_600_000_000)),
        limits=Limits(10, 20, 30, 4096, 50),
    )


def test_golden_no_file_and_a_file_that_says_little_are_the_defaults(tmp_path):
    assert load() == load(None, Overrides()) == Settings()
    assert load(written(tmp_path, "data: ./data\n")) == Settings()


def test_golden_summary(tmp_path):
    assert summary(load(written(tmp_path, GOOD))) == (
        "alerts: follows events/*.ndjson.gz; more: files a.ndjson, b.ndjson; piped: standard input"
        " -> ./results; models triage, 007, further ones are learned from the events;"
        " windows of 300 s every 30 s"
    )


def test_error_all_faults_are_told_at_once_in_order_of_their_lines(tmp_path):
    content = """\
sources:
  - {name: a, files: x}
models:
  - id: m
    threshold: high
    treshold: 0.5
anomaly_job: []
limits: {models: 0}
"""
    assert faults(tmp_path, content) == [
        '5: models[0].threshold must be a number from 0 to 1, got "high"',
        '6: `models[0].treshold` is not a known key; did you mean "threshold"?',
        '7: `anomaly_job` is not a known key; did you mean "anomaly_jobs"?',
        "8: limits.models must be a whole number from 1 to 10000000, got 0",
    ]


DURATION = 'must be a duration such as "10s", "5m", "1h" or "30d"'
WINDOW = 'must be whole seconds from 1 to 7 d, such as 300 or "5m"'
DRIFT_WINDOW = 'must be whole seconds from 10 to 100 d, such as 3600 or "1d"'
FILES = "must be a path or pattern, or a list of these"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        # the file as YAML
        ("", "1: must be a mapping of keys to values, got nothing"),
        ("# nothing\n", "1: must be a mapping of keys to values, got nothing"),
        ("- a", "1: must be a mapping of keys to values, got a list of 1"),
        ("text", '1: must be a mapping of keys to values, got "text"'),
        ("data: x\ntime:\n\tstep: 1", "3: must be indented with spaces, got a tab"),
        ("data: x\ndata: y", "2: `data` must be there once: it is in line 1 already"),
        ("data: x\n---\ndata: y", "2: must be one document, got a second one"),
        ("data: &a x", "1: must repeat its values, got the alias or anchor `a`"),
        ("[" * 60, "1: must have at most 40 levels, got more"),
        (b"data: x\n# \xff", "2: must be UTF-8, got the byte 0xff"),
        (b"data: x\n\x00", "2: must be printable text, got the character U+0000"),
        ("data: x\n" + "#" * (8 << 20), "1: must be at most 8388608 bytes, got more"),
        ("data: !!python/name:os.system x", None),
        ("data: [1, 2", None),
        ("? [a]\n: 1", None),
        # data and sources
        ('data: ""', '1: data must be text of 1 to 4,096 characters, got ""'),
        ("data: [a]", "1: data must be text of 1 to 4,096 characters, got a list of 1"),
        ("sources: {}", "1: sources must be a list, got a mapping"),
        ("sources: []", "1: sources must name one source or more, or be left out for standard input"),
        ("sources: [{files: a}]", "1: sources[0].name must be given, got nothing"),
        (
            "sources: [{name: a}]",
            "1: sources[0] must have one of `stdin: true`, `files` and `kafka`, got none",
        ),
        (
            "sources: [{name: a, files: b, stdin: true}]",
            "1: sources[0] must have one of `stdin: true`, `files` and `kafka`, got files and stdin",
        ),
        (
            "sources: [{name: a, stdin: false}]",
            "1: sources[0].stdin must be true, or left out in favour of `files`, got false",
        ),
        (
            "sources: [{name: a, stdin: true, follow: true}]",
            "1: sources[0].follow must be left out with `stdin`, which is followed anyway, got true",
        ),
        (
            "sources: [{name: a, files: kafka://b/c}]",
            "1: sources[0].files: `kafka://` is not supported by this version",
        ),
        (
            "sources: [{name: a, files: []}]",
            "1: sources[0].files must be a path or pattern, or a list of these, got a list of 0",
        ),
        (
            "sources: [{name: a, files: b, follow: yes}]",
            '1: sources[0].follow must be true or false, got "yes"',
        ),
        (
            "sources:\n- {name: a, files: b}\n- {name: a, files: c}",
            '3: sources[1].name must be there once, got "a" again',
        ),
        (
            "sources:\n- {name: a, stdin: true}\n- {name: b, stdin: true}",
            "2: sources must have at most one with `stdin: true`",
        ),
        (
            "sources: [{name: a, files: b, mapping: {id: '$.'}}]",
            '1: sources[0].mapping.id must be a JSON path such as $.a."b c"[0], as it begins with $, got "$."',
        ),
        (
            "sources: [{name: a, files: b, mapping: {id: null}}]",
            "1: sources[0].mapping.id must be a JSON path such as $.a.\"b c\"[0], or a constant, got null",
        ),
        # time
        ("time: {allowed_lateness: 10 s}", f'1: time.allowed_lateness {DURATION}, got "10 s"'),
        ("time: {label_horizon: -1}", f"1: time.label_horizon {DURATION}, got -1"),
        ("time: {label_horizon: 1e999999999}", f"1: time.label_horizon {DURATION}, got 1e999999999"),
        ("time: {idle_timeout: 0}", f"1: time.idle_timeout {DURATION}, above 0, got 0"),
        ("time: {max_future: soon}", f'1: time.max_future {DURATION}, or null for no bound, got "soon"'),
        ("time: {lookback: 0}", f"1: time.lookback {WINDOW}, got 0"),
        ("time: {lookback: 1500ms}", f'1: time.lookback {WINDOW}, got "1500ms"'),
        ("time: {step: 8d}", f'1: time.step {WINDOW}, got "8d"'),
        ("time: {drift_lookback: 9s}", f'1: time.drift_lookback {DRIFT_WINDOW}, got "9s"'),
        ("time: {drift_lookback: 101d}", f'1: time.drift_lookback {DRIFT_WINDOW}, got "101d"'),
        ("time: {drift_lookback: 10.5}", f"1: time.drift_lookback {DRIFT_WINDOW}, got 10.5"),
        (
            "time: {subsequent_alert_wait_time: 1d}",
            '1: time.subsequent_alert_wait_time must be minutes, a number from 0, such as 60, got "1d"',
        ),
        ("time:", "1: time must be a mapping of keys to values, got null"),
        ("time: {steps: 1}", '1: `time.steps` is not a known key; did you mean "step"?'),
        # models
        ("models: [{job: a}]", "1: models[0].id must be given, got nothing"),
        ("models: [x]", '1: models[0] must be a mapping of keys to values, got "x"'),
        ("models: [{id: 1.5}]", "1: models[0].id must be text of 1 to 256 characters, got 1.5"),
        ("models: [{id: null}]", "1: models[0].id must be text of 1 to 256 characters, got null"),
        ("models: [{id: a, threshold: 1.5}]", "1: models[0].threshold must be a number from 0 to 1, got 1.5"),
        ("models: [{id: a, classes: [b]}]", "1: models[0].classes must be a list of two classes or more, got a list of 1"),
        ("models: [{id: a, classes: [b, 1, 1.0]}]", '1: models[0].classes[2] must be there once, got "1" again'),
        (
            "models: [{id: a, classes: [b, null]}]",
            "1: models[0].classes[1] must be a class: text, a number or a boolean, got null",
        ),
        (
            "models: [{id: a, classes: [b, c], positive: d}]",
            '1: models[0].positive must be one of the classes b, c, got "d"',
        ),
        ("models: [{id: a, kind: weekly}]", '1: models[0].kind must be one of streaming, batch, got "weekly"'),
        ("models: [{id: a, drift_alerts: 0}]", "1: models[0].drift_alerts must be true or false, got 0"),
        ("models: [{id: a, drift_lookback: 0}]", f"1: models[0].drift_lookback {DRIFT_WINDOW}, got 0"),
        ("models: [{id: a, reference: x}]", '1: models[0].reference must be a mapping of keys to values, got "x"'),
        ("models: [{id: a, reference: {}}]", "1: models[0].reference.files must be given, got nothing"),
        ("models: [{id: a, reference: {files: 1}}]", f"1: models[0].reference.files {FILES}, got 1"),
        ("models:\n- {id: a}\n- {id: a}", '3: models[1].id must be there once, got "a" again'),
        ("models: [{id: a}, {id: b}]\nlimits: {models: 1}", "1: models must be at most limits.models=1, got 2"),
        (
            "limits: {classes: 2}\nmodels:\n- {id: a, classes: [b, c, d]}",
            "3: models[0].classes must be at most limits.classes=2, got 3",
        ),
        # users, retention, limits
        ("users: [{username: a, role: boss}]", '1: users[0].role must be one of viewer, editor, administrator, got "boss"'),
        ("users: [{role: viewer}]", "1: users[0].username must be given, got nothing"),
        ("users: [{username: a}, {username: a}]", '1: users[1].username must be there once, got "a" again'),
        ("retention: {events: 0}", f"1: retention.events {DURATION}, above 0, got 0"),
        ("retention: {alerts: 1d}", "1: `retention.alerts` is not a known key: the keys are events, rejects, evaluations"),
        ("limits: {anomaly_series: 0}", "1: limits.anomaly_series must be a whole number from 1 to 10000000, got 0"),
        ("limits: {line_bytes: 17e6}", "1: limits.line_bytes must be a whole number from 64 to 2097151, got 17e6"),
    ],
)  # fmt: skip
def test_error_each_fault_says_line_key_rule_and_value(tmp_path, content, fault):
    found = faults(tmp_path, content)
    assert len(found) == 1
    if fault is not None:
        assert found == [fault]


def test_error_aliases_cannot_unfold(tmp_path):
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 20)]
    assert all("alias or anchor" in fault for fault in faults(tmp_path, "\n".join(lines)))


def test_error_many_faults_are_cut(tmp_path):
    found = faults(tmp_path, "models:\n" + "- x\n" * 150)
    assert len(found) == 101
    assert found[-1].endswith("and 50 more")


def test_error_unreadable_files(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        load(str(tmp_path / "nothing.yaml"))
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load(str(tmp_path))


ONE = "sources: [{name: a, files: b, mapping: {id: $.x}}]"
TWO = "sources: [{name: a, files: b, mapping: {id: $.x}}, {name: c, files: d}]"


def test_overrides_take_the_place_of_what_the_file_says(tmp_path):
    path = written(tmp_path, ONE)
    told = load(path, Overrides(source="z*.gz", data="elsewhere", follow=True))
    assert told.data == "elsewhere"
    assert told.sources == (
        SourceSettings("files", files=("z*.gz",), follow=True, mapping=(("id", "$.x"),)),
    )
    assert load(path, Overrides(source="-")).sources == (
        SourceSettings("stdin", stdin=True, mapping=(("id", "$.x"),)),
    )
    assert [
        source.follow for source in load(written(tmp_path, TWO), Overrides(follow=True)).sources
    ] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("content", "told", "text"),
    [
        (ONE, Overrides(source="nats://b/c"), "`nats://` is not supported, name files, kafka://"),
        (ONE, Overrides(source=""), "`--source` must be a file"),
        (ONE, Overrides(data=""), "`--data` must be a folder"),
        (TWO, Overrides(source="x"), "different mappings"),
        (ONE, Overrides(source="-", follow=True), "`--follow` must go with files"),
        ("data: x", Overrides(follow=True), "`--follow` must go with files"),
    ],
)
def test_error_overrides(tmp_path, content, told, text):
    with pytest.raises(ConfigurationError, match=text):
        load(written(tmp_path, content), told)
