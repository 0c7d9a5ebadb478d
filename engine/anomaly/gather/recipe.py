"""What a detector adds up of its rows, so that every value it measures can be told from it.

Most measures are told from whole counts and exact sums; medians, extremes and distinct counts, and
metrics like them, need the entries themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.anomaly.definition import Detector
from engine.anomaly.gather.fields import Fields
from engine.query.compile import has_truths, plan_of
from engine.query.plan import Plan
from engine.query.plans_numbers import finite_square, left_over
from engine.query.tree import Query

__all__ = ["Recipe", "recipe_of"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is read of the rows of a detector.

    Attributes
    ----------
    condition : str
        SQL, BOOLEAN: the detector's filter.
    needs : tuple of str
        SQL, BOOLEAN: what must hold besides.
    flags : tuple of str
        SQL, BOOLEAN, or ``true``: counted.
    sums : tuple of str
        SQL, DOUBLE: added up exactly where finite.
    entry : str or None
        SQL of single entries; NULL is none.
    kind : str
        Of entries: ``values`` or ``texts``.
    period_s : int
        Of the time of day or week that is added up as an angle; 0: none.
    plan : Plan or None
        Of a metric of the model.
    keys : tuple of str or None
        SQL, VARCHAR, of by, over and partition.
    """

    condition: str
    needs: tuple[str, ...]
    flags: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    entry: str | None = None
    kind: Literal["values", "texts"] = "values"
    period_s: int = 0
    plan: Plan | None = None
    keys: tuple[str | None, str | None, str | None] = (None, None, None)

    @property
    def additive(self) -> bool:
        """Whether anything is added up beside single entries."""
        return self.entry is None or bool(self.sums or self.flags)


_PERIODS = {"time_of_day": 86_400, "time_of_week": 604_800}
_ENTRIES = {"median", "min", "max", "distinct_count"}


def recipe_of(detector: Detector, fields: Fields, place: str) -> Recipe:
    """Say what a detector reads.

    Raises
    ------
    QueryError
        A field or a filter is off.
    """
    told = detector.settings
    condition = fields.condition(told.filter, f"{place}.filter")
    by, over, partition = (
        None if name is None else fields.read(fields.text(name, f"{place}.{which}_field_name"))
        for name, which in zip(detector.key_fields, ("by", "over", "partition"), strict=True)
    )
    keys = (by, over, partition)
    if detector.query is not None:
        return _of_metric(detector.query, fields, condition, keys)
    if told.field_name is None:
        period_s = _PERIODS.get(detector.bases[0], 0)
        return Recipe(condition, (), period_s=period_s, keys=keys)
    where = f"{place}.field_name"
    if detector.bases == ("distinct_count",):
        texts = fields.read(fields.text(told.field_name, where))
        needs = (fields.read(f"({texts}) IS NOT NULL"),)
        return Recipe(condition, needs, entry=texts, kind="texts", keys=keys)
    number = fields.number(told.field_name, where)
    needs = (fields.read(f"{number} IS NOT NULL"),)
    flags: list[str] = []
    sums: list[str] = []
    if {"mean", "sum", "varp"} & set(detector.bases):
        sums.append(fields.read(number))
    if "varp" in detector.bases:
        flags.append(fields.read(f"NOT {finite_square(number)}"))
        sums += [fields.read(f"{number} * {number}"), fields.read(left_over(number))]
    entry = fields.read(number) if _ENTRIES & set(detector.bases) else None
    return Recipe(condition, needs, tuple(flags), tuple(sums), entry, keys=keys)


def _of_metric(
    query: Query,
    fields: Fields,
    condition: str,
    keys: tuple[str | None, str | None, str | None],
) -> Recipe:
    """Say what a metric of the model reads, through its plan."""
    plan = plan_of(query, fields.names, fields.columns)
    conditions = [has_truths(plan.truths, fields.columns), f"({plan.where})"]
    needs = [each for each in conditions if each not in ("true", "(true)")]
    read = tuple(fields.read(each, plan.parameters) for each in needs)
    found: dict[str, list[str]] = {"count": [], "sum": [], "values": [], "texts": []}
    for each in plan.components:
        plain = each.sql == "true"
        found[each.kind].append("true" if plain else fields.read(each.sql, plan.parameters))
    entry: Sequence[str] = found["values"] or found["texts"]
    return Recipe(
        condition,
        read,
        tuple(found["count"]),
        tuple(found["sum"]),
        entry[0] if entry else None,
        "texts" if found["texts"] else "values",
        plan=plan,
        keys=keys,
    )
