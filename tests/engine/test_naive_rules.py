"""The reference interpreter of alert rules: it must be trusted itself.

What the engine gives is compared with `naive_rules`, so its answers are computed by hand here, and
its windows are counted once more from whole beginnings of a trace.
"""

import pytest
from naive import events_relation
from naive_functions import measured
from naive_rules import Alert, Evaluation, Model, Row, interpret
from rule_traces import ADMINISTRATORS, trace

from engine.config import ModelSettings, RuleSettings

ZERO_S = 1_700_000_040  # on a minute
COUNT = {"function": "count"}
ACCURACY = {"function": "accuracyRateMulticlass"}


def us(second):
    return (ZERO_S + second) * 10**6


def predicted(second, key, **fields):
    return {"model_id": "m", "id": key, "timestamp": (ZERO_S + second) * 1000} | fields


def labelled(second, key, label, **fields):
    return predicted(second, key, type="label", label=label) | fields


def tick(second):
    """Give a line that moves the watermark and nothing else."""
    return {"type": "metric", "job_id": "j", "name": "n", "value": 1.0, "step": 0} | {
        "timestamp": (ZERO_S + second) * 1000
    }


def rule(threshold=0.0, bound="upper", lookback_s=60, **more):
    return RuleSettings("m", "metric", bound, threshold, "warning", "r", lookback_s, **more)


def ran(lines, settings, metric=None, lateness_s=0, **more):
    """Give alerts and evaluations with their times as seconds after ZERO_S, without the rule."""
    alerts, evaluations = interpret(
        lines, [(settings, metric or COUNT)], lateness_us=lateness_s * 10**6, **more
    )

    def second(time_us):
        return None if time_us is None else time_us // 10**6 - ZERO_S

    return (
        [
            (a.group, second(a.window_end_us), *a[4:6], second(a.suppressed_since_us))
            for a in alerts
        ],
        [(e.group, second(e.window_end_us), *e[3:]) for e in evaluations],
    )


def states(evaluations):
    return [each[1:] for each in evaluations]


def minutes(*counts):
    """Give so many predictions at the start of each minute, and a last line that closes all."""
    lines = [
        predicted(60 * minute, f"{minute}.{number}")
        for minute, size in enumerate(counts)
        for number in range(size)
    ]
    return [*lines, tick(60 * len(counts))]


def test_golden_a_boundary_sees_the_lines_before_the_one_that_passes_it():
    lines = [predicted(s, f"e{s}") for s in (0, 10, 59, 60, 119, 120)]
    assert interpret(lines, [(rule(2), COUNT)], lateness_us=0) == (
        [Alert("r", None, us(0), us(60), 3.0, 3, None)],
        [
            Evaluation("r", None, us(60), 3.0, 3, "firing"),
            Evaluation("r", None, us(120), 2.0, 2, "ok"),
        ],
    )


def test_golden_the_lateness_holds_the_watermark_back():
    # 69 leaves the watermark at 59, so that 50 is in time; 55 comes after 60 was passed.
    lines = [predicted(s, f"e{s}") for s in (0, 69, 50, 70, 55, 130)]
    _, evaluations = ran(lines, rule(9, lookback_s=60), lateness_s=10)
    # The first line leaves it at -10: 0 is a boundary that is passed. At 120: 69 and 70.
    assert states(evaluations) == [(0, 0.0, 0, "warm_up"), (60, 2.0, 2, "ok")]
    _, evaluations = ran(lines, rule(9, lookback_s=120), lateness_s=10)
    assert states(evaluations)[1:] == [(60, 2.0, 2, "warm_up"), (120, 5.0, 5, "ok")]


def test_golden_a_jump_passes_every_boundary_in_order():
    lines = [predicted(0, "a"), predicted(7, "b"), tick(25)]
    _, evaluations = ran(lines, rule(9, lookback_s=6))
    assert states(evaluations) == [(6, 1.0, 1, "ok"), (18, 0.0, 0, "ok")]
    _, evaluations = ran(lines, rule(9, lookback_s=9))  # steps of 3 s; ZERO_S is a multiple of 3
    assert states(evaluations) == [
        (3, 1.0, 1, "warm_up"),
        (9, 2.0, 2, "ok"),
        (12, 1.0, 1, "ok"),
        (18, 0.0, 0, "ok"),
    ]


@pytest.mark.parametrize(("declared_s", "lookback_s"), [(None, 300), (120, 120)])
def test_golden_a_rule_without_a_lookback_takes_the_model_s(declared_s, lookback_s):
    model = ModelSettings("m", lookback_s=declared_s)
    lines = [predicted(0, "a"), tick(900)]
    _, evaluations = ran(lines, rule(9, lookback_s=None), models=(model,))
    warm = [(60, 1.0, 1, "warm_up"), (lookback_s, 1.0, 1, "ok")]
    assert states(evaluations) == [*warm, (lookback_s + 60, 0.0, 0, "ok")]


def test_golden_the_first_line_and_other_models_pass_nothing():
    assert ran([predicted(600, "a")], rule()) == ([], [])
    other = [tick(0), predicted(100, "x") | {"model_id": "other"}, tick(600)]
    assert ran(other, rule(1, bound="lower")) == ([], [])
    assert ran([labelled(0, "x", 1), tick(600)], rule(1, bound="lower")) == ([], [])
    assert ran(minutes(1, 1), rule(enabled=False)) == ([], [])


def test_golden_a_reference_row_moves_no_watermark_and_is_no_row():
    lines = [predicted(0, "a"), predicted(900, "r", type="reference"), tick(60)]
    assert ran(lines, rule())[1] == [(None, 60, 1.0, 1, "firing")]


def test_golden_warm_up_until_the_window_begins_with_the_first_event():
    lines = [predicted(1, "a"), predicted(0, "b"), tick(180)]
    _, evaluations = ran(lines, rule())  # the first line decides, not the least time
    assert states(evaluations) == [(60, 2.0, 2, "warm_up"), (120, 0.0, 0, "ok")]


@pytest.mark.parametrize(("bound", "fires"), [("upper", 3.0), ("lower", 1.0)])
def test_golden_bounds_are_strict(bound, fires):
    alerts, _ = ran(minutes(1, 2, 3), rule(2, bound=bound))
    assert [alert[2] for alert in alerts] == [fires]


def test_golden_hold_wait_and_what_was_suppressed():
    settings = rule(2, hold_us=60 * 10**6, wait_us=120 * 10**6)
    alerts, evaluations = ran(minutes(3, 3, 3, 3, 0, 3, 3, 3), settings)
    assert alerts == [(None, 120, 3.0, 3, 60), (None, 240, 3.0, 3, 180), (None, 420, 3.0, 3, 360)]
    assert [(time, state) for _, time, _, _, state in evaluations] == [
        (60, "suppressed"),
        (120, "firing"),
        (180, "suppressed"),
        (240, "firing"),
        (300, "ok"),
        (360, "suppressed"),
        (420, "firing"),
        (480, "suppressed"),
    ]


def test_golden_the_wait_survives_a_recovery():
    alerts, _ = ran(minutes(3, 0, 3, 3, 3), rule(2, wait_us=180 * 10**6))
    assert alerts == [(None, 60, 3.0, 3, None), (None, 240, 3.0, 3, 180)]


def test_golden_without_a_wait_every_evaluation_alerts_and_is_told_once():
    alerts, evaluations = ran(minutes(3, 3, 3), rule(2))
    assert [alert[1] for alert in alerts] == [60, 120, 180]
    assert states(evaluations) == [(60, 3.0, 3, "firing")]


def test_golden_a_raised_violation_goes_on_to_the_resolve_threshold():
    alerts, _ = ran(minutes(3, 2, 1, 2, 3), rule(2, resolve_threshold=1.0))
    assert [alert[1] for alert in alerts] == [60, 120, 300]
    # One that has not held is not raised: 2 ends it, and the next 3 begins anew.
    held = rule(2, resolve_threshold=1.0, hold_us=60 * 10**6)
    alerts, _ = ran(minutes(3, 2, 3, 3, 2, 1), held)
    assert [alert[1:] for alert in alerts] == [(240, 3.0, 3, 60), (300, 2.0, 2, None)]


def test_golden_no_data():
    age = {"function": "avg", "property": "features.age"}
    lines = [predicted(0, "a", features={"age": 4}), predicted(60, "b", features={"age": "old"})]
    lines.append(tick(180))
    alerts, evaluations = ran(lines, rule(5, bound="lower"), age)
    assert [alert[1] for alert in alerts] == [60]
    assert states(evaluations) == [(60, 4.0, 1, "firing"), (120, None, 0, "no_data")]
    alerts, _ = ran(lines, rule(1, bound="lower", on_no_data="alert"), age)
    assert alerts == [(None, 120, None, 0, None), (None, 180, None, 0, None)]
    assert [alert[1] for alert in ran(lines, rule(1, bound="lower"))[0]] == [180]  # a count is 0


def test_golden_too_few_samples_are_no_data():
    lines = minutes(3, 1)
    _, evaluations = ran(lines, rule(0, min_sample_count=2))
    assert states(evaluations) == [(60, 3.0, 3, "firing"), (120, 1.0, 1, "no_data")]
    alerts, _ = ran(lines, rule(5, min_sample_count=2, on_no_data="alert"))
    assert alerts == [(None, 120, None, 1, None)]


def test_golden_too_few_labels_are_no_data():
    lines = [predicted(0, "a", label=1), predicted(1, "b"), predicted(60, "c", label=1)]
    lines += [predicted(61, "d"), predicted(62, "e"), tick(240)]
    _, evaluations = ran(lines, rule(9, min_label_coverage=0.5))
    # Of no events no share is too small.
    assert states(evaluations) == [
        (60, 2.0, 2, "ok"),
        (120, 3.0, 3, "no_data"),
        (180, 0.0, 0, "ok"),
    ]


LATE = [
    predicted(0, "a", prediction=1),
    predicted(10, "b", prediction=1, label=0),
    labelled(70, "a", 1),
    labelled(80, "b", "1"),
    labelled(130, "a", 2),
    tick(240),
]


def test_golden_labels_count_when_they_come_or_with_their_event():
    _, evaluations = ran(LATE, rule(9), ACCURACY)
    assert states(evaluations) == [
        (60, 0.0, 1, "ok"),
        (120, 1.0, 2, "ok"),
        (180, 0.0, 1, "ok"),
        (240, None, 0, "no_data"),
    ]
    _, evaluations = ran(LATE, rule(9, time_basis="event", lookback_s=180), ACCURACY)
    # At 180 both are labelled: a wrongly since its correction, b rightly.
    assert states(evaluations) == [
        (60, 0.0, 1, "warm_up"),
        (120, 1.0, 2, "warm_up"),
        (180, 0.5, 2, "ok"),
        (240, None, 0, "no_data"),
    ]


def test_golden_a_tie_is_unlabelled_and_an_administrator_overrides():
    lines = [predicted(0, "a", prediction=1), labelled(70, "a", 1, by="x")]
    lines += [labelled(80, "a", 2, by="y"), labelled(190, "a", 1, by="root"), tick(240)]
    settings = rule(9, lookback_s=120)
    _, evaluations = ran(lines, settings, ACCURACY, administrators=("root",))
    assert states(evaluations) == [
        (60, None, 0, "warm_up"),
        (120, None, 0, "no_data"),
        (240, 1.0, 1, "ok"),
    ]
    _, evaluations = ran(lines, settings, ACCURACY)
    assert states(evaluations)[-1] == (240, 1.0, 1, "ok")  # two of three


def test_golden_votes_before_the_prediction_and_beyond_the_horizon():
    lines = [predicted(0, "z"), labelled(5, "a", 1), predicted(70, "a", prediction=1), tick(120)]
    _, evaluations = ran(lines, rule(9), ACCURACY)
    assert states(evaluations) == [(60, None, 0, "no_data"), (120, 1.0, 1, "ok")]
    _, evaluations = ran(lines, rule(9), ACCURACY, horizon_us=64 * 10**6)
    assert states(evaluations) == [(60, None, 0, "no_data")]


def test_golden_named_truths():
    metric = {"function": "mae", "truth": "labels.x", "predicted": "predictions.x"}
    lines = [predicted(0, "a", labels={"x": 1}, predictions={"x": 3}, label=5)]
    lines += [tick(70), labelled(75, "a", 9) | {"labels": {"x": 2.5}}, tick(120)]
    _, evaluations = ran(lines, rule(9), metric)
    assert states(evaluations) == [(60, 2.0, 1, "ok"), (120, 0.5, 1, "ok")]


def test_golden_the_greatest_time_wins_an_id_then_the_text():
    ages = {"function": "sum", "property": "features.age"}
    lines = [predicted(s, "a", features={"age": age}) for s, age in ((60, 2), (0, 1), (60, 3))]
    lines += [predicted(60, "a", features={"age": 2}), tick(120)]
    _, evaluations = ran([predicted(0, "z"), *lines], rule(99), ages)
    assert states(evaluations) == [(60, None, 0, "no_data"), (120, 3.0, 1, "ok")]


def test_golden_groups():
    cities = [(0, "A"), (1, None), (61, "B"), (62, 7), (63, "A"), (121, "A")]
    lines = [predicted(s, f"e{s}", features={"city": city}) for s, city in cities]
    settings = rule(1, group_by="features.city", group_limit=2)
    alerts, evaluations = ran([*lines, tick(180)], settings)
    assert alerts == [("__other__", 120, 2.0, 2, None)]
    assert evaluations == [
        ("A", 60, 1.0, 1, "ok"),
        ("__missing__", 60, 1.0, 1, "ok"),
        ("__missing__", 120, 0.0, 0, "ok"),
        ("__other__", 120, 2.0, 2, "firing"),
        ("__other__", 180, 0.0, 0, "ok"),
    ]
    by_text = rule(0, group_by="features.city")
    assert {alert[0] for alert in ran([*lines, tick(180)], by_text)[0]} == {
        *("A", "B", "7", "__missing__")
    }


def rows(*pairs):
    """Give rows of (label or None, prediction)."""
    return [
        Row({"timestamp": 0, "prediction": p}, {} if y is None else {"label": (y, 0)})
        for y, p in pairs
    ]


MATRIX = [("y", "y")] * 3 + [("n", "y")] * 1 + [("y", "n")] * 2 + [("n", "n")] * 4
ODD = [("y", None), (None, "y"), (0.5, "y")]


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("accuracyRateMulticlass", 0.7),
        ("accuracyRate", 0.7),
        ("precision", 0.75),
        ("recall", 0.6),
        ("truePositiveRate", 0.6),
        ("falsePositiveRate", 0.2),
        ("f1", 6 / 9),
    ],
)
def test_golden_functions_of_classes(function, value):
    model = Model(ModelSettings("m", positive="y"), (), 0)
    assert measured({"function": function}, rows(*MATRIX, *ODD), model) == (value, 10)
    assert measured({"function": function}, rows(*ODD), model) == (None, 0)


def test_golden_a_threshold_decides_for_the_positive_class():
    model = Model(ModelSettings("m", positive="y", positive_property="prediction"), (), 0)
    found = rows(("y", 0.5), ("y", 0.4), ("n", 0.9), ("n", 0.1), (None, 0.9), ("y", "no number"))
    assert measured({"function": "recall"}, found, model) == (0.5, 4)
    metric = {"function": "precision", "threshold": 0.3, "predicted": "prediction"}
    assert measured(metric, found, model) == (2 / 3, 4)


@pytest.mark.parametrize(
    ("function", "pairs", "expected"),
    [
        ("rmse", [(0, 3), (5, 1.0), (None, 1), (1, "x")], (12.5**0.5, 2)),
        ("mae", [(0, 3), (5, 1.0)], (3.5, 2)),
        ("avg", [(None, 0.1), (None, 0.2), (None, 0.3), (None, True)], (0.2, 3)),
        ("sum", [(None, 1e300), (None, 1.5), (None, -1e300)], (1.5, 3)),
        ("min", [(None, 2), (None, -3)], (-3, 2)),
        ("max", [(None, 2), (None, -3)], (2, 2)),
        ("median", [(None, 10), (None, 1), (None, 2), (None, 4)], (3.0, 4)),
        ("median", [(None, "x")], (None, 0)),
        ("count", [(None, None)], (1.0, 1)),
        ("count", [], (0.0, 0)),
    ],
)
def test_golden_functions_of_numbers(function, pairs, expected):
    model = Model(ModelSettings("m"), (), 0)
    assert (
        measured({"function": function, "property": "prediction"}, rows(*pairs), model) == expected
    )


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        (("prediction", "eq", 7.0), 3),
        (("prediction", "eq", "7"), 3),
        (("prediction", "ne", "7"), 2),
        (("prediction", "ne", 7), 2),
        (("prediction", "gte", 7), 3),
        (("prediction", "lt", 8.5), 2),
        (("prediction", "in", ("7", "x")), 4),
        (("prediction", "NotNull", None), 5),
        (("label", "NotNull", None), 1),
    ],
)
def test_golden_filters(condition, count):
    values = [(None, 7), ("y", 7.0), (None, "7"), (None, "x"), (None, 8.5), (None, None)]
    lines = [predicted(0, f"e{at}", prediction=p) | ({} if y is None else {"label": y})
             for at, (y, p) in enumerate(values)]  # fmt: skip
    _, evaluations = ran([*lines, tick(60)], rule(99), COUNT | {"filter": [condition]})
    assert states(evaluations) == [(60, float(count), count, "ok")]


@pytest.mark.parametrize("basis", ["event", "label"])
def test_oracle_windows_are_those_of_each_beginning_of_a_trace(basis):
    """Every boundary is counted anew from all lines before it, by the naive twin of pairing."""
    lines = trace(3, 700, models=1)
    settings = RuleSettings("m0", "c", "lower", -1.0, "warning", "r", 60, time_basis=basis)
    _, evaluations = interpret(lines, [(settings, COUNT)], administrators=ADMINISTRATORS)
    expected, before, last = [], None, None
    for at, line in enumerate(lines):
        times = [each["timestamp"] for each in lines[: at + 1] if each.get("type") != "reference"]
        after = (max(times, default=line["timestamp"]) - 10_000) // 60_000
        for minute in range(after if before is None else before, after):
            end = (minute + 1) * 60_000
            known = events_relation(lines[:at], ADMINISTRATORS)
            held = [row[2] if basis == "event" else max(row[2], row[5]) for row in known
                    if basis == "event" or row[5] is not None]  # fmt: skip
            count = sum(end - 60_000 <= time < end for time in held)
            last, told = (count, end - 60_000 < lines[0]["timestamp"]), last
            if last != told:
                expected.append((end * 1000, count))
        before = after
    assert [(each.window_end_us, each.sample_count) for each in evaluations] == expected
    assert len(expected) > 5
