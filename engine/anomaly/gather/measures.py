"""Values of cells: from whole counts and exact sums to what a detector function measures.

>>> key, weights = np.zeros(2, np.int64), np.ones(2, np.int64)
>>> cells = Cells.of_rows([key], [], [np.array([1.0, 2.0])], weights)
>>> measured("mean", Recipe("true", ()), cells).tolist()
[1.5]
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.anomaly.gather.angles import mean_second
from engine.anomaly.gather.cells import Cells
from engine.anomaly.gather.limbs import quotients
from engine.anomaly.gather.recipe import Recipe
from engine.query.plan import SCALE_BITS, Amounts

__all__ = ["measured"]

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


def measured(base: str, recipe: Recipe, cells: Cells) -> Numbers:
    """Give what is measured of each cell, shape (n,); NaN where it is undefined.

    Parameters
    ----------
    base : str
        One that is told from counts and sums; of a metric of the model it is of no account.
    recipe : Recipe
    cells : Cells
        With the amounts that the recipe names.
    """
    if recipe.plan is not None:
        return _metric(recipe, cells)
    return _BASES[base](recipe, cells)


def _count(_recipe: Recipe, cells: Cells) -> Numbers:
    return cells.whole[0].astype(np.float64)


def _mean(_recipe: Recipe, cells: Cells) -> Numbers:
    totals, bits = cells.sums[0].totals()
    return quotients(totals, cells.whole[0], bits)


def _sum(_recipe: Recipe, cells: Cells) -> Numbers:
    totals, bits = cells.sums[0].totals()
    return quotients(totals, np.ones(len(cells), np.int64), bits)


def _varp(_recipe: Recipe, cells: Cells) -> Numbers:
    """Give (n Σx² - (Σx)²) / n²: exact but for the last rounding."""
    n = cells.whole[0].astype(object)
    (x, x_bits), (square, square_bits), (rest, rest_bits) = (each.totals() for each in cells.sums)
    bits = max(2 * x_bits, square_bits, rest_bits)
    squares = (square << (bits - square_bits)) + (rest << (bits - rest_bits))
    # Below 0 by underflow alone: then not all of a square is a double.
    spread = np.maximum(squares * n - ((x * x) << (bits - 2 * x_bits)), 0)
    found = quotients(spread, n * n, bits)
    beyond = cells.whole[1] > 0
    return np.where(beyond, np.nan, found)


def _time(recipe: Recipe, cells: Cells) -> Numbers:
    count, cosine, sine = cells.whole
    return mean_second(cosine, sine, count, recipe.period_s)


def _metric(recipe: Recipe, cells: Cells) -> Numbers:
    plan = recipe.plan
    if plan is None or plan.of_amounts is None:
        return np.full(len(cells), np.nan)
    counted = [each.name for each in plan.components if each.kind == "count"]
    summed = [each.name for each in plan.components if each.kind == "sum"]
    sums: Mapping[str, npt.NDArray[Any]] = {
        name: each.totals_of(SCALE_BITS) for name, each in zip(summed, cells.sums, strict=True)
    }
    values, _ = plan.of_amounts(Amounts(dict(zip(counted, cells.whole[1:], strict=True)), sums))
    return values


_BASES: Mapping[str, Callable[[Recipe, Cells], Numbers]] = {
    "count": _count,
    "rare": _count,
    "freq_rare": _count,
    "mean": _mean,
    "sum": _sum,
    "varp": _varp,
    "time_of_day": _time,
    "time_of_week": _time,
}
