"""The performance functions against scikit-learn, on random matrices and on hostile ones."""

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics as sk

from engine import performance as pf
from engine.metrics import AGGREGATES, CATALOGUE

Counts = npt.NDArray[np.int64]


def _matrices() -> list[Counts]:
    random = np.random.default_rng(20261121)
    hostile = [
        np.zeros((1, 1)),
        np.zeros((3, 3)),
        np.array([[5]]),
        np.array([[0, 4], [0, 0]]),
        np.array([[7, 0, 2], [1, 0, 3], [0, 0, 0]]),  # B never predicted, C never true
        np.array([[10**12, 1], [1, 10**12]]),
        np.diag([3, 2, 1]),
    ]
    return [
        *(m.astype(np.int64) for m in hostile),
        *(
            random.integers(0, 2 + 20 * (k % 3), (k, k)) * (random.random((k, k)) < random.random())
            for k in random.integers(1, 7, 40)
        ),
    ]


def _columns(matrix: Counts) -> tuple[Counts, Counts, Counts]:
    """Give truth, prediction and weight of every cell."""
    truth, prediction = np.indices(matrix.shape)
    return truth.ravel(), prediction.ravel(), matrix.ravel()


@pytest.mark.parametrize("matrix", [m for m in _matrices() if m.sum()])
def test_oracle_rates_by_class(matrix: Counts) -> None:
    truth, prediction, weight = _columns(matrix)
    classes = list(range(len(matrix)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = {"labels": classes, "average": None, "sample_weight": weight}
        expected = {
            "truePositiveRateMulticlass": sk.recall_score(
                truth, prediction, zero_division=np.nan, **kept
            ),
            "precisionMulticlass": sk.precision_score(
                truth, prediction, zero_division=np.nan, **kept
            ),
            "f1Multiclass": sk.f1_score(truth, prediction, zero_division=np.nan, **kept),
        }
        one = sk.multilabel_confusion_matrix(
            truth, prediction, labels=classes, sample_weight=weight
        )
    tn, fp, fn, tp = (one[:, i, j].astype(float) for i in (0, 1) for j in (0, 1))
    with np.errstate(invalid="ignore"):
        expected["trueNegativeRateMulticlass"] = tn / (tn + fp)
        expected["falsePositiveRateMulticlass"] = fp / (tn + fp)
        expected["falseNegativeRateMulticlass"] = fn / (fn + tp)
    assert expected.keys() == pf.MULTICLASS.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(pf.MULTICLASS[name](matrix), values, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("matrix", [m for m in _matrices() if m.sum()])
def test_oracle_accuracy_and_macro_means(matrix: Counts) -> None:
    truth, prediction, weight = _columns(matrix)
    assert pf.accuracy(matrix) == pytest.approx(
        sk.accuracy_score(truth, prediction, sample_weight=weight), rel=1e-12
    )
    seen = matrix.sum(axis=1) > 0
    recall = sk.recall_score(
        truth, prediction, labels=np.flatnonzero(seen), average="macro", sample_weight=weight
    )
    assert pf.macro(pf.recall_by_class(matrix)) == pytest.approx(recall, rel=1e-12)
    rest = [
        sk.accuracy_score(truth == k, prediction == k, sample_weight=weight)
        for k in range(len(matrix))
    ]
    assert pf.macro(pf.accuracy_by_class(matrix)) == pytest.approx(np.mean(rest), rel=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_oracle_binary(seed: int) -> None:
    random = np.random.default_rng(seed)
    tn, fp, fn, tp = (int(n) for n in random.integers(1, 10 ** (1 + seed % 5), 4))
    truth, prediction = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    weight = np.array([tn, fp, fn, tp])
    recall = sk.recall_score(truth, prediction, sample_weight=weight)
    specificity = sk.recall_score(truth, prediction, pos_label=0, sample_weight=weight)
    expected = {
        "accuracyRate": sk.accuracy_score(truth, prediction, sample_weight=weight),
        "balancedAccuracyRate": sk.balanced_accuracy_score(truth, prediction, sample_weight=weight),
        "f1": sk.f1_score(truth, prediction, sample_weight=weight),
        "falseNegativeRate": 1 - recall,
        "falsePositiveRate": 1 - specificity,
        "precision": sk.precision_score(truth, prediction, sample_weight=weight),
        "recall": recall,
        "sensitivity": recall,
        "specificity": specificity,
        "truePositiveRate": recall,
        "trueNegativeRate": specificity,
    }
    assert expected.keys() == pf.BINARY.keys()
    for name, value in expected.items():
        got = pf.BINARY[name](*(np.int64(n) for n in (tp, fp, tn, fn)))
        assert float(got) == pytest.approx(value, rel=1e-12, abs=1e-15), name


@pytest.mark.parametrize("size", [0, 1, 3])
def test_golden_nothing_is_known_of_an_empty_matrix(size: int) -> None:
    matrix = np.zeros((size, size), np.int64)
    assert math.isnan(pf.accuracy(matrix))
    for function in (*pf.MULTICLASS.values(), pf.accuracy_by_class):
        assert np.isnan(function(matrix)).all()
        assert math.isnan(pf.macro(function(matrix)))


# The columns tp, fp, tn, fn; then which functions are undefined for it.
_TPR = {"recall", "sensitivity", "truePositiveRate", "falseNegativeRate"}
_TNR = {"specificity", "trueNegativeRate", "falsePositiveRate"}


@pytest.mark.parametrize(
    ("counts", "undefined"),
    [
        ((0, 0, 0, 0), set(pf.BINARY)),
        ((0, 0, 5, 0), _TPR | {"balancedAccuracyRate", "precision", "f1"}),
        ((5, 0, 0, 0), _TNR | {"balancedAccuracyRate"}),
        ((0, 0, 0, 5), _TNR | {"balancedAccuracyRate", "precision"}),
        ((0, 5, 0, 0), _TPR | {"balancedAccuracyRate"}),
    ],
)
def test_golden_undefined_is_nan_and_never_zero(
    counts: tuple[int, int, int, int], undefined: set[str]
) -> None:
    columns = [np.array([n]) for n in counts]
    assert {name for name, f in pf.BINARY.items() if np.isnan(f(*columns))[0]} == undefined


def test_golden_windows_are_evaluated_side_by_side() -> None:
    tp, fn = np.array([[1, 0], [3, 0]]), np.array([[1, 2], [0, 0]])
    np.testing.assert_array_equal(pf.recall(tp, fn), [[0.5, 0.0], [1.0, np.nan]])


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_oracle_regression(offset: float) -> None:
    random = np.random.default_rng(5)
    truth = offset + random.normal(size=1000)
    prediction = truth + random.normal(scale=0.3, size=1000)
    n, squared = 1000, ((truth - prediction) ** 2).sum()
    mean = truth.mean()
    assert float(pf.root_mean_squared_error(n, squared)) == pytest.approx(
        sk.root_mean_squared_error(truth, prediction), rel=1e-12
    )
    assert float(pf.mean_absolute_error(n, abs(truth - prediction).sum())) == pytest.approx(
        sk.mean_absolute_error(truth, prediction), rel=1e-12
    )
    assert float(pf.r_squared(n, squared, mean, ((truth - mean) ** 2).sum())) == pytest.approx(
        sk.r2_score(truth, prediction), rel=1e-12
    )


def test_golden_regression_of_nothing_and_of_equal_labels() -> None:
    assert math.isnan(pf.root_mean_squared_error(0, 0.0))
    assert math.isnan(pf.mean_absolute_error(0, 0.0))
    assert math.isnan(pf.average(0, 0.0))
    assert math.isnan(pf.r_squared(0, 0.0, 0.0, 0.0))
    labels = np.full(3, 0.1)
    mean = labels.mean()
    assert mean != 0.1
    assert math.isnan(pf.r_squared(3, 1.0, mean, ((labels - mean) ** 2).sum()))


def test_oracle_loss() -> None:
    random = np.random.default_rng(9)
    truth, p = random.integers(0, 2, 500), random.random(500)
    p[:2] = 0.0, 1.0
    of_truth = np.where(truth == 1, p, 1 - p)
    clipped = np.clip(of_truth, np.finfo(float).eps, 1 - np.finfo(float).eps)
    assert float(pf.log_loss(500, -np.log(clipped).sum())) == pytest.approx(
        sk.log_loss(truth, p), rel=1e-12
    )
    assert float(pf.brier_score(500, ((1 - of_truth) ** 2).sum())) == pytest.approx(
        sk.brier_score_loss(truth, p), rel=1e-12
    )
    assert math.isnan(pf.log_loss(0, 0.0))


def test_contract_AR_F01_to_F23_are_in_the_catalogue() -> None:
    listed = {m.source for m in CATALOGUE if m.source.startswith("AR-F")}
    by_property = {"AR-F01", "AR-F03", "AR-F04"}
    assert len(AGGREGATES) == len(by_property)
    assert listed | by_property == {f"AR-F{n:02}" for n in range(1, 24)}
    assert {m.name for m in CATALOGUE if m.family == "binary"} == set(pf.BINARY)
    assert {m.name for m in CATALOGUE if m.per_class} == set(pf.MULTICLASS)


def test_contract_ARx_2_the_misprinted_name_is_an_alias() -> None:
    one = np.int64(1)
    assert pf.binary_function("falsePostiveRate") is pf.BINARY["falsePositiveRate"]
    assert float(pf.binary_function("falsePostiveRate")(one, one, one, one)) == 0.5


def test_contract_ACi_17_two_accuracies_under_two_names() -> None:
    matrix = np.array([[4, 1, 0], [0, 3, 2], [1, 0, 5]])
    assert pf.accuracy(matrix) == 12 / 16
    assert pf.macro(pf.accuracy_by_class(matrix)) == pytest.approx(1 - 2 * 4 / (3 * 16))


def test_error_unknown_function() -> None:
    with pytest.raises(KeyError):
        pf.binary_function("acuracy")
