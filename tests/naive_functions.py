"""The naive twin of the metric functions: the value of a list of rows, in exact fractions.

A metric is a dict: `function`, and where the function needs it `property` (qualified), `truth` and
`predicted` (by default label and prediction), `threshold`, `comparator` and `value` (of `rate`),
`filter` (a list of (property, comparator, value)). A row gives a property by `row.get(name)`.
"""

import math
from fractions import Fraction
from operator import eq, ge, gt, le, lt, ne

import numpy as np
from naive import class_text, is_class, number


def share(above, below):
    return float(Fraction(above) / below) if below else None


def mean(values):
    return share(sum(map(Fraction, values)), len(values))


NUMBERS = {"avg": mean, "sum": lambda x: float(sum(map(Fraction, x))), "min": min, "max": max}
NUMBERS |= {"median": lambda x: float(np.quantile(x, 0.5))}
ERRORS = {"mae": mean, "rmse": lambda errors: math.sqrt(mean([e * e for e in errors]))}
SIDES = {  # of pairs: whether truth, whether prediction is the positive class
    "accuracyRate": lambda pairs: mean([y == p for y, p in pairs]),
    "precision": lambda pairs: mean([y for y, p in pairs if p]),
    "recall": lambda pairs: mean([p for y, p in pairs if y]),
    "truePositiveRate": lambda pairs: mean([p for y, p in pairs if y]),
    "falsePositiveRate": lambda pairs: mean([p for y, p in pairs if not y]),
    "f1": lambda pairs: share(2 * sum(y and p for y, p in pairs), sum(y + p for y, p in pairs)),
}
PERFORMANCE = {*SIDES, *ERRORS, "accuracyRateMulticlass"}
COMPARISONS = {"eq": eq, "ne": ne, "lt": lt, "lte": le, "gt": gt, "gte": ge}


def matches(row, name, comparator, wanted):
    value = row.get(name)
    if value is None or comparator == "NotNull":
        return value is not None
    if comparator == "in":
        return any(matches(row, name, "eq", each) for each in wanted)
    if comparator in ("eq", "ne") or isinstance(wanted, str):
        return COMPARISONS[comparator](class_text(value), class_text(wanted))
    return number(value) is not None and COMPARISONS[comparator](number(value), wanted)


def sides(metric, rows, model):
    """Give for each row that has both whether its truth and its prediction are positive."""
    truth, positive, settings = metric.get("truth", "label"), model.positive(), model.settings
    by_number = "threshold" in metric or settings.positive_property is not None
    usual = settings.positive_property if by_number else "prediction"
    pairs = [(row.get(truth), row.get(metric.get("predicted", usual))) for row in rows]
    if by_number:
        cut = metric.get("threshold", settings.threshold)
        pairs = [(y, number(p)) for y, p in pairs if y is not None and number(p) is not None]
        return [(class_text(y) == positive, p >= cut) for y, p in pairs if positive]
    pairs = [pair for pair in pairs if None not in pair and all(map(is_class, pair))]
    return [(class_text(y) == positive, class_text(p) == positive) for y, p in pairs if positive]


def measured(metric, rows, model):
    """Give (value or None, sample count) of the rows of a window."""
    function, name = metric["function"], metric.get("property")
    truth, predicted = metric.get("truth", "label"), metric.get("predicted", "prediction")
    if function == "count":
        return float(len(rows)), len(rows)
    if function in SIDES:
        found, of = sides(metric, rows, model), SIDES[function]
    elif function in ERRORS:
        pairs = [(number(row.get(truth)), number(row.get(predicted))) for row in rows]
        found, of = [abs(y - p) for y, p in pairs if None not in (y, p)], ERRORS[function]
    elif function == "accuracyRateMulticlass":
        pairs = [(row.get(truth), row.get(predicted)) for row in rows]
        pairs = [pair for pair in pairs if None not in pair and all(map(is_class, pair))]
        found, of = [class_text(y) == class_text(p) for y, p in pairs], mean
    elif function == "rate":
        present = [row for row in rows if row.get(name) is not None]
        found = [matches(row, name, metric["comparator"], metric["value"]) for row in present]
        of = mean
    else:
        found = [x for row in rows if (x := number(row.get(name))) is not None]
        of = NUMBERS[function]
    return of(found) if found else None, len(found)
