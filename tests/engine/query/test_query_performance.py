"""Plans of performance functions against scikit-learn, river and plain counts over random rows."""

import math
import statistics
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from query_rows import (
    NAMES,
    START,
    class_of,
    close,
    column,
    compiled,
    cursor_of,
    evaluate,
    multiset_of,
    number_of,
    random_rows,
    read,
    row,
    run,
    seconds,
)
from sklearn import metrics as sk

from engine.binned import bin_of
from engine.performance import BINARY

SEEDS = range(3)
ODD = "features.odd 'name\"; DROP"


# ---- regression --------------------------------------------------------------------------------


def _pairs(rows):
    return [
        (each["label_number"], each["prediction_number"])
        for each in rows
        if each["label_number"] is not None and each["prediction_number"] is not None
    ]


def test_oracle_errors_are_those_of_scikit_learn():
    for seed in SEEDS:
        rows = random_rows(seed, 90, regression=True)
        y, guess = map(np.array, zip(*_pairs(rows), strict=True))
        for function, expected in (
            ("rmse", sk.root_mean_squared_error(y, guess)),
            ("mae", sk.mean_absolute_error(y, guess)),
            ("rSquared", sk.r2_score(y, guess)),
        ):
            plan, columns = compiled(function)
            assert plan.truths == ("label",)
            found, n = run(cursor_of(rows), plan, columns)
            assert (found, n) == (pytest.approx(expected, rel=1e-9), len(y))
        for how, scale in (("min", min), ("max", max), ("avg", lambda x: sum(x) / len(x))):
            found, n = evaluate(
                rows, "mae", aggregation=how, normalizationMin=1.0, normalizationMax=5.0
            )
            assert found == pytest.approx((scale(abs(y - guess).tolist()) - 1) / 4, rel=1e-12)
            assert n == len(y)


def test_oracle_errors_of_named_properties():
    rows = random_rows(8, 90)
    pairs = [
        (a, b)
        for each in rows
        if (a := read(each, "labels.amount")) is not None
        and (b := read(each, "predictions.p_a")) is not None
    ]
    names = {
        "ground_truth_property": column("labels.amount"),
        "predicted_property": column("predictions.p_a"),
    }
    plan, columns = compiled("rmse", **names)
    assert plan.truths == ("amount",)
    assert set(plan.properties) == {"labels.amount", "predictions.p_a"}
    found, n = run(cursor_of(rows), plan, columns)
    assert close(found, math.sqrt(sum((a - b) ** 2 for a, b in pairs) / len(pairs)))
    assert n == len(pairs)


def test_oracle_r_squared_far_from_zero_and_of_equal_labels():
    labels = [1e9 + x for x in (1.0, 2.5, 3.0, 7.25)]
    rows = [row(i, START, label=y, prediction=y + 0.5) for i, y in enumerate(labels)]
    expected = 1 - 4 * 0.25 / sum((y - statistics.mean(labels)) ** 2 for y in labels)
    assert evaluate(rows, "rSquared") == (pytest.approx(expected, rel=1e-14), 4)
    equal = [row(i, START, label=0.1, prediction=0.2 * i) for i in range(9)]
    assert evaluate(equal, "rSquared") == (None, 9)


def test_oracle_errors_beyond_a_double():
    rows = [row(0, START, label=-1.7e308, prediction=1.7e308), row(1, START, label=1, prediction=2)]
    assert evaluate(rows, "rmse") == (math.inf, 2)
    assert evaluate(rows, "mae") == (math.inf, 2)
    assert evaluate(rows, "rSquared") == (None, 2)


# ---- binary ------------------------------------------------------------------------------------


def _binary(pairs):
    counts = Counter(pairs)
    return tuple(
        counts[key] for key in ((True, True), (False, True), (False, False), (True, False))
    )


def _expect(rows, pairs, names=NAMES, **parameters):
    counts = _binary(pairs)
    for function, formula in BINARY.items():
        value = float(formula(*map(np.int64, counts)))
        found = evaluate(rows, function, names=names, **parameters)
        assert found == (None if math.isnan(value) else value, sum(counts)), function


@pytest.mark.parametrize("positive", [None, "yes", "no", "absent"])
def test_oracle_binary_by_class(positive):
    for seed in SEEDS:
        rows = random_rows(seed, 60)
        wanted = positive or "yes"
        pairs = [
            (each["label"] == wanted, each["prediction"] == wanted)
            for each in rows
            if each["label"] is not None and each["prediction"] is not None
        ]
        _expect(rows, pairs, replace(NAMES, positive=positive))


def test_oracle_binary_counts_classes_only():
    rows = [
        row(i, START, label=y, prediction=p) for i, (y, p) in enumerate([(1, 1), (1, 0.5), (0, 1)])
    ]
    _expect(rows, [(True, True), (False, True)], replace(NAMES, classes=("0", "1")))
    three = replace(NAMES, classes=("a", "b", "c"))
    assert evaluate(rows, "recall", names=three) == (None, 0)
    given = {"ground_truth_property": column("label"), "predicted_property": column("prediction")}
    assert evaluate(rows, "recall", names=three, **given) == (None, 0)


@pytest.mark.parametrize("threshold", [0.5, 0.4995, 0.57])
def test_oracle_binary_by_positive_property(threshold):
    names = replace(NAMES, positive="yes", positive_property="p", threshold=threshold)
    cut = math.ceil(round(threshold * 1000, 6)) / 1000
    for seed in SEEDS:
        rows = random_rows(seed, 60)
        pairs = [
            (each["label"] == "yes", each["positive_score"] >= cut)
            for each in rows
            if each["label"] is not None and each["positive_score"] is not None
        ]
        _expect(rows, pairs, names)


def test_oracle_binary_of_named_properties():
    names = {
        "ground_truth_property": column("labels.truth"),
        "predicted_property": column("predictions.p_a"),
    }
    for seed in SEEDS:
        rows = random_rows(seed, 60)
        for cut in (None, 0.3):
            pairs = [
                (class_of(y) in ("1", "true"), p >= (0.5 if cut is None else cut))
                for each in rows
                if (y := read(each, "labels.truth")) is not None
                and (p := read(each, "predictions.p_a")) is not None
            ]
            given = names if cut is None else names | {"threshold": cut}
            _expect(rows, pairs, **given)
    assert compiled("f1", **names)[0].truths == ("truth",)


def test_oracle_binary_of_label_and_mixed_prediction():
    rows = random_rows(2, 200)
    given = {"ground_truth_property": column("label"), "predicted_property": column(ODD)}
    pairs = [
        (each["label"] == "yes", p >= 0.5 if number_of(p) is not None else class_of(p) == "yes")
        for each in rows
        if each["label"] is not None and (p := read(each, ODD)) is not None
    ]
    _expect(rows, pairs, **given)


def test_oracle_binary_by_threshold_alone_takes_the_score():
    rows = random_rows(4, 200)
    pairs = [
        (each["label"] == "yes", (s if each["prediction"] == "yes" else 1 - s) >= 0.6)
        for each in rows
        if each["label"] is not None
        and each["prediction"] is not None
        and (s := each["score"]) is not None
    ]
    _expect(rows, pairs, threshold=0.6)


def test_oracle_binary_prediction_as_a_fraction():
    rows = [
        row(i, START, label=y, prediction=p)
        for i, (y, p) in enumerate([("yes", 0.7), ("no", 0.2), ("yes", "no"), ("no", "yes")])
    ]
    pairs = [(True, True), (False, False), (True, False), (False, True)]
    _expect(rows, pairs, predicted_property=column("prediction"))


# ---- several classes, scores -------------------------------------------------------------------


def _class_rows(seed):
    rows = []
    for index, each in enumerate(random_rows(seed, 80)):
        label, guess = (
            None
            if each[name] is None
            else each[name] + ("a", "\x1f0", "\x1e", "\x1f")[(index * k) % 4]
            for name, k in (("label", 1), ("prediction", 3))
        )
        rows.append(each | {"label": label, "prediction": guess})
    return rows


def test_oracle_multiclass_functions_are_those_of_scikit_learn():
    for seed in SEEDS:
        rows = _class_rows(seed)
        pairs = [(e["label"], e["prediction"]) for e in rows if e["label"] and e["prediction"]]
        y, guess = map(list, zip(*pairs, strict=True))
        for function in ("accuracy", "accuracyRateMulticlass"):
            assert evaluate(rows, function) == (pytest.approx(sk.accuracy_score(y, guess)), len(y))
        classes = sorted({*y, *guess})
        tn, fp, fn, tp = sk.multilabel_confusion_matrix(y, guess, labels=classes).reshape(-1, 4).T
        rates = {
            "truePositiveRateMulticlass": (tp, tp + fn),
            "falseNegativeRateMulticlass": (fn, tp + fn),
            "trueNegativeRateMulticlass": (tn, tn + fp),
            "falsePositiveRateMulticlass": (fp, tn + fp),
            "precisionMulticlass": (tp, tp + fp),
            "f1Multiclass": (2 * tp, 2 * tp + fp + fn),
            "macroOvrAccuracy": (tp + tn, tp + tn + fp + fn),
        }
        for function, (above, below) in rates.items():
            known = [a / b for a, b in zip(above.tolist(), below.tolist(), strict=True) if b]
            found = evaluate(rows, function)
            assert found == (pytest.approx(sum(known) / len(known), rel=1e-12), len(y))
            if function == "macroOvrAccuracy":
                continue
            for place, name in enumerate([*classes, "unseen"]):
                if name == "unseen" or not below[place]:
                    expected = None
                else:
                    expected = above[place] / below[place]
                assert close(evaluate(rows, function, **{"class": name})[0], expected)


def test_oracle_losses_and_auc_of_two_classes():
    for seed in SEEDS:
        rows = [each for each in random_rows(seed, 90) if each["label"] and each["prediction"]]
        scored = [each for each in rows if each["score"] is not None]
        truth = np.array([each["label"] == "yes" for each in scored])
        sure = np.array([each["prediction"] == "yes" for each in scored])
        score = np.array([each["score"] for each in scored])
        p = np.where(sure, score, 1 - score)
        kept = np.stack([1 - p, p], axis=1)
        found = evaluate(rows, "logLoss")
        assert found == (pytest.approx(sk.log_loss(truth, kept), rel=1e-9), len(p))
        assert evaluate(rows, "brierScore")[0] == pytest.approx(sk.brier_score_loss(truth, p))
        code = bin_of(score).astype(int)
        bins = np.where(sure, code, 2000 - code)
        assert evaluate(rows, "auc") == (pytest.approx(sk.roc_auc_score(truth, bins)), len(p))
        assert evaluate(rows, "calibrationError") == (
            pytest.approx(_calibration(code, truth == sure)), len(p),
        )  # fmt: skip


def _calibration(code, came_true):
    place, error = np.minimum(code // 200, 9), 0.0
    for interval in set(place.tolist()):
        inside = place == interval
        error += abs(np.mean(came_true[inside]) - np.mean(code[inside] / 2000)) * inside.sum()
    return error / len(code)


def test_oracle_losses_and_auc_of_a_positive_property():
    names = replace(NAMES, positive="no", positive_property="p", classes=("no", "yes", "third"))
    for seed in SEEDS:
        rows = random_rows(seed, 90)
        kept = [each for each in rows if each["label"] and each["positive_score"] is not None]
        truth = np.array([each["label"] == "no" for each in kept])
        p = np.array([each["positive_score"] for each in kept])
        assert evaluate(rows, "logLoss", names=names) == (
            pytest.approx(sk.log_loss(truth, np.stack([1 - p, p], axis=1)), rel=1e-9), len(p),
        )  # fmt: skip
        assert evaluate(rows, "brierScore", names=names)[0] == pytest.approx(
            np.mean((truth - p) ** 2)
        )
        code = bin_of(p).astype(int)
        assert evaluate(rows, "auc", names=names)[0] == pytest.approx(sk.roc_auc_score(truth, code))
        found = evaluate(rows, "calibrationError", names=names)[0]
        assert found == pytest.approx(_calibration(code, truth))


def test_oracle_auc_of_named_properties():
    rows = random_rows(1, 90)
    pairs = [
        (class_of(y) in ("1", "true"), p)
        for each in rows
        if (y := read(each, "labels.truth")) is not None
        and (p := read(each, "predictions.p_b")) is not None
    ]
    truth, p = zip(*pairs, strict=True)
    found = evaluate(
        rows,
        "auc",
        ground_truth_property=column("labels.truth"),
        predicted_property=column("predictions.p_b"),
    )
    assert found == (pytest.approx(sk.roc_auc_score(truth, bin_of(np.array(p)))), len(p))


def test_oracle_score_functions_need_two_classes():
    rows = random_rows(1, 30)
    for function in ("auc", "logLoss", "brierScore"):
        assert evaluate(rows, function, names=replace(NAMES, classes=("a", "b", "c"))) == (None, 0)


# ---- change ------------------------------------------------------------------------------------


def _level_shift():
    rows = []
    for index in range(1200):
        level = 0.0 if index < 600 else 3.0
        time = START.replace(hour=index // 60, minute=index % 60, second=index % 7)
        rows.append(row(index, time, features={"age": level + math.sin(index) / 10}))
        if index % 3 == 0:
            late = time.replace(second=59)
            rows.append(row(2000 + index, late, features={"age": level + 0.25}))
    return rows


def test_oracle_detectors_of_change_are_those_of_river():
    from river.drift import ADWIN, PageHinkley  # noqa: PLC0415 - slow to load

    rows = _level_shift()
    series = {}
    for each in rows:
        series.setdefault(seconds(each["event_time"]) // 60, []).append(read(each, "features.age"))
    means = [math.fsum(series[minute]) / len(series[minute]) for minute in sorted(series)]
    hasty = {"delta": 0.001, "threshold": 5.0, "min_instances": 10}
    for function, detector, given in (
        ("adwin", ADWIN(delta=0.01), {"delta": 0.01}),
        ("pageHinkley", PageHinkley(**hasty), hasty),
    ):
        changes = 0
        for value in means:
            detector.update(value)
            changes += detector.drift_detected
        assert changes >= 1
        found = evaluate(rows, function, property=column("features.age"), **given)
        assert found == (float(changes), len(rows))


def test_law_detectors_do_not_depend_on_the_pane():
    rows = _level_shift()
    plan, columns = compiled("adwin", property=column("features.age"))
    cursor = cursor_of(rows)
    assert run(cursor, plan, columns, pane_s=1) == run(cursor, plan, columns, pane_s=60)
    assert plan.of_multiset(multiset_of({}), 60) == (None, 0)
