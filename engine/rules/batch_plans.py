"""Which part keeps what a rule needs of batches: rules with the same plan share one.

Each function gives a key, the same for rules that can share a part, and what makes the part.
"""

from collections.abc import Callable

from engine.query.compile import filter_of, plan_of
from engine.query.expressions import Scope, truths_among
from engine.query.names import ModelNames
from engine.query.tree import DriftQuery
from engine.rules.batch_parts import (
    BATCH_STEP_S,
    AmountPart,
    BinPart,
    EntryPart,
    Part,
    ValuePart,
    of_batches,
)
from engine.rules.definition import Rule, truths_needed
from engine.rules.drifting import Binned
from engine.rules.extract import extraction_of
from engine.rules.panels import coverage_of
from engine.rules.reader import by_value
from engine.rules.rowset import RowColumns

__all__ = ["coverage_part", "drift_part", "query_part"]

Made = tuple[object, Callable[[], Part]]


def query_part(rule: Rule, names: ModelNames, columns: RowColumns) -> Made:
    """Give the part of a rule on a query; `names` are those of its model."""
    tree = rule.metric.tree
    if isinstance(tree, DriftQuery):
        msg = "a drift rule needs a reference set"
        raise TypeError(msg)
    plan = plan_of(tree, names, columns)
    key = (
        *(plan.where, tuple(sorted(plan.parameters.items(), key=str)), plan.components),
        *(plan.truths, plan.function, rule.time_basis, names.positive, names.classes),
        None if rule.metric.is_default else rule.metric.query,
    )

    def make() -> Part:
        told = extraction_of(plan, columns, rule.time_basis, BATCH_STEP_S, None)
        kind = AmountPart if plan.of_amounts is not None else EntryPart
        return kind(of_batches(told))

    return key, make


def drift_part(
    rule: Rule, names: ModelNames, columns: RowColumns, there: tuple[int, Binned]
) -> Made:
    """Give the part of a drift rule: one for each metric.

    Parameters
    ----------
    there : tuple of int and Binned
        The number of its model, and what it compares with.
    """
    tree = rule.metric.tree
    if not isinstance(tree, DriftQuery):
        msg = "only a drift query has bins"
        raise TypeError(msg)
    model_no, frozen = there
    scope = Scope(names, columns)
    where = filter_of(tree.target.filter, scope)
    truths = tuple(sorted({*truths_needed(tree), *truths_among(scope.properties)}))
    needed = truths or (("label",) if rule.time_basis == "label" else ())
    conditions = [columns.present(needed), f"({where})", *([] if needed else ["r.changed"])]
    condition, used = by_value(" AND ".join(conditions), scope.parameters)
    name, measure = tree.properties[0].name, tree.metric
    sql = columns.number(name) if frozen.bins.kind == "number" else columns.text(name)
    for read in (sql, condition):
        columns.note(read)
        if needed:
            columns.last(read)

    def make() -> Part:
        wanted = {condition: used}
        part: BinPart | ValuePart
        if frozen.ordered is not None:
            part = ValuePart(sql, condition, wanted)
        else:
            part = BinPart(sql, condition, wanted, measure)
        part.frozen[model_no] = frozen
        return part

    dynamic = rule.settings.threshold is None
    return (rule.metric.metric_id, rule.time_basis, rule.lookback_s, dynamic), make


def coverage_part(columns: RowColumns) -> Part:
    """Give the part of the share of a batch's events that are labelled."""
    told = coverage_of(columns, BATCH_STEP_S, BATCH_STEP_S).extraction
    return AmountPart(of_batches(told))
