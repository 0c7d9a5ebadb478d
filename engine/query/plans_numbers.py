"""Counts, sums, means and variances of a property, and the share of rows that pass a comparison.

All sums are exact, so that a variance cannot cancel: a square is added as the rounded product and
what the rounding left over (Dekker 1971, Veltkamp's splitting), both doubles. Numbers beyond 1e150
have squares beyond a double: then a variance is undefined.
"""

from collections.abc import Mapping

import numpy as np

from engine.query.exact import exact_means, exact_quotient
from engine.query.expressions import Scope
from engine.query.plan import SCALE_BITS, Amounts
from engine.query.plans_common import Builder, Counts, Draft, Values, count, total
from engine.query.tree import Call, Column

__all__ = ["NUMBERS", "finite_square", "left_over", "spread_of"]


def _upper(x: str) -> str:
    """Give SQL for the upper 26 bits of a double."""
    return f"(134217729 * {x} - (134217729 * {x} - {x}))"


def left_over(x: str) -> str:
    """Give SQL for what the double `x * x` lacks of the true square: exact, itself a double."""
    upper = _upper(x)
    lower = f"({x} - {upper})"
    return f"((({upper} * {upper} - {x} * {x}) + 2 * {upper} * {lower}) + {lower} * {lower})"


def finite_square(x: str) -> str:
    """Give SQL, BOOLEAN: the square of `x` is within a double."""
    return f"isfinite({x} * {x})"


def spread_of(count: int, total: int, squares: int) -> int:
    """Give n Σ(x - mean)², as a whole number of 2^-2148: exact where Σx and Σx² are."""
    return ((squares * count) << SCALE_BITS) - total * total


def _count(_call: Call, _scope: Scope) -> Draft:
    def of(amounts: Amounts) -> tuple[Values, Counts]:
        return amounts.counts["n"].astype(np.float64), amounts.counts["n"]

    return Draft((count("n", "true"),), of, is_count=True)


def _sum(call: Call, scope: Scope) -> Draft:
    x = scope.number(call.parameters["property"])

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        counts = amounts.counts["n"]
        pairs = zip(amounts.sums["x"].tolist(), counts.tolist(), strict=True)
        values = [exact_quotient(int(x), int(n > 0)) for x, n in pairs]
        return np.array(values, np.float64), counts

    return Draft((count("n", f"{x} IS NOT NULL"), total("x", x)), of)


def _mean(call: Call, scope: Scope) -> Draft:
    x = scope.number(call.parameters["property"])
    x = f"abs({x})" if call.function == "avgAbs" else x

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        return exact_means(amounts.sums["x"], amounts.counts["n"]), amounts.counts["n"]

    return Draft((count("n", f"{x} IS NOT NULL"), total("x", x)), of)


def _variance(call: Call, scope: Scope) -> Draft:
    x, root = scope.number(call.parameters["property"]), call.function == "stddev"

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        counts, sums = amounts.counts["n"], amounts.sums
        values = [
            _variance_of(int(n), int(x), int(square) + int(rest), beyond=bool(beyond))
            for n, beyond, x, square, rest in zip(
                counts, amounts.counts["beyond"], sums["x"], sums["square"], sums["rest"],
                strict=True,
            )
        ]  # fmt: skip
        found = np.array(values, np.float64)
        return np.sqrt(found) if root else found, counts

    return Draft(
        (
            count("n", f"{x} IS NOT NULL"),
            count("beyond", f"NOT {finite_square(x)}"),
            total("x", x),
            total("square", f"{x} * {x}"),
            total("rest", left_over(x)),
        ),
        of,
    )


def _variance_of(count: int, total: int, squares: int, *, beyond: bool) -> float:
    """Give the variance of a sample, as SQL's ``variance``; NaN of less than two values."""
    if count < 2 or beyond:
        return float("nan")
    spread = max(spread_of(count, total, squares), 0)  # below 0 by underflow alone
    return exact_quotient(spread, count * (count - 1), 2 * SCALE_BITS)


def _rate(call: Call, scope: Scope) -> Draft:
    operand = call.parameters["property"]
    value = call.parameters.get("value")
    if isinstance(value, Column | Call):
        value = None
    hit = scope.compared(operand, str(call.parameters["comparator"]), value)

    def of(amounts: Amounts) -> tuple[Values, Counts]:
        hits, n = amounts.counts["hits"], amounts.counts["n"]
        return np.divide(hits, n, out=np.full(len(n), np.nan), where=n != 0), n

    return Draft((count("n", scope.present(operand)), count("hits", hit)), of)


NUMBERS: Mapping[str, Builder] = {
    "count": _count,
    "sum": _sum,
    "avg": _mean,
    "avgAbs": _mean,
    "variance": _variance,
    "stddev": _variance,
    "rate": _rate,
}
"""Builders by function."""
