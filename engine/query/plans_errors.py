"""Errors of regression: rmse, mae and rSquared (AR-F05 to AR-F07, ARi-12).

Rows count where truth and prediction are numbers. An error beyond a double makes rmse and mae
infinite, and rSquared undefined.
"""

from collections.abc import Mapping

import numpy as np

from engine.query.exact import exact_means, exact_quotient
from engine.query.expressions import Scope
from engine.query.plan import SCALE_BITS, Amounts, Component
from engine.query.plans_common import Builder, Counts, Draft, Values, count, total
from engine.query.plans_numbers import finite_square, left_over, spread_of
from engine.query.plans_values import extreme
from engine.query.tree import Argument, Call, Column

__all__ = ["ERRORS"]


def _pair(call: Call, scope: Scope) -> tuple[str, str]:
    """Give SQL for the truth and the error."""
    place = f"{call.place}.parameters"
    truth = scope.number(
        call.parameters.get("ground_truth_property", Column("label", "label", place))
    )
    guess = scope.number(
        call.parameters.get("predicted_property", Column("prediction", "prediction", place))
    )
    return truth, f"({truth} - {guess})"


def _rmse(call: Call, scope: Scope) -> Draft:
    _, error = _pair(call, scope)

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        n = amounts.counts["n"]
        means = exact_means(amounts.sums["square"], n)
        means[(amounts.counts["beyond"] > 0)] = np.inf
        return np.sqrt(means), n

    return Draft(
        (
            count("n", f"{error} IS NOT NULL"),
            count("beyond", f"NOT {finite_square(error)}"),
            total("square", f"{error} * {error}"),
        ),
        of,
    )


def _mae(call: Call, scope: Scope) -> Draft:
    error = f"abs({_pair(call, scope)[1]})"
    low, high = (call.parameters.get(f"normalization{end}") for end in ("Min", "Max"))
    scale = (_plain(low), _plain(high)) if low is not None and high is not None else (0.0, 1.0)
    how = call.parameters.get("aggregation", "avg")
    if how in ("min", "max"):
        return Draft((Component("x", "values", error),), of_multiset=extreme(str(how), *scale))

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        n = amounts.counts["n"]
        means = exact_means(amounts.sums["size"], n)
        means[(amounts.counts["beyond"] > 0)] = np.inf
        return (means - scale[0]) / (scale[1] - scale[0]), n

    return Draft(
        (
            count("n", f"{error} IS NOT NULL"),
            count("beyond", f"NOT isfinite({error})"),
            total("size", error),
        ),
        of,
    )


def _plain(argument: Argument) -> float:
    return float(argument) if isinstance(argument, int | float) else float("nan")


def _r_squared(call: Call, scope: Scope) -> Draft:
    truth, error = _pair(call, scope)
    y = f"(CASE WHEN {error} IS NOT NULL THEN {truth} END)"

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        n, sums = amounts.counts["n"], amounts.sums
        squares = sums["square"] + sums["rest"]
        columns = (n, sums["y"], squares, sums["lost"], amounts.counts["beyond"] > 0)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        values = [
            float("nan") if beyond else _r_squared_of(count, y, square, lost)
            for count, y, square, lost, beyond in rows
        ]
        return np.array(values, np.float64), n

    return Draft(
        (
            count("n", f"{error} IS NOT NULL"),
            count("beyond", f"NOT ({finite_square(y)} AND {finite_square(error)})"),
            total("y", y),
            total("square", f"{y} * {y}"),
            total("rest", left_over(y)),
            total("lost", f"{error} * {error}"),
        ),
        of,
    )


def _r_squared_of(count: int, total: int, squares: int, lost: int) -> float:
    """Give 1 - Σe² / Σ(y - mean)²; NaN of nothing or where all y are equal."""
    spread = spread_of(count, total, squares)
    if not count or spread <= 0:
        return float("nan")
    # (spread - Σe²) / spread in whole numbers: rounded once.
    left = spread - ((lost * count) << SCALE_BITS)
    return exact_quotient(left, spread, 0)


ERRORS: Mapping[str, Builder] = {"rmse": _rmse, "mae": _mae, "rSquared": _r_squared}
"""Builders by function."""
