"""A metric's query compiled to a plan: which rows count, what each adds, and the value of a sum.

>>> from engine.query.columns import StoredColumns
>>> from engine.query.tree import Column
>>> names = ModelNames("m", {"features.age": "number"})
>>> age = Column("features.age", "age", "query.select[0].parameters.property")
>>> query = Query((Call("avg", {"property": age}, "query.select[0]"),))
>>> [component.kind for component in plan_of(query, names, StoredColumns(names)).components]
['count', 'sum']
"""

from collections.abc import Mapping

from engine.errors import QueryError
from engine.query.expressions import Scope, truths_among
from engine.query.names import ModelNames
from engine.query.plan import Columns, Plan
from engine.query.plans_binary import BINARY
from engine.query.plans_classes import CLASSES
from engine.query.plans_common import Builder, Draft
from engine.query.plans_errors import ERRORS
from engine.query.plans_numbers import NUMBERS
from engine.query.plans_scores import SCORES
from engine.query.plans_values import VALUES
from engine.query.tree import Call, Condition, Query

__all__ = ["AGGREGATES", "draft_of", "filter_of", "has_truths", "plan_of"]

AGGREGATES: Mapping[str, Builder] = {**NUMBERS, **ERRORS, **VALUES, **BINARY, **CLASSES, **SCORES}
"""What drafts the plan of each aggregate, by its canonical name."""


def plan_of(query: Query, names: ModelNames, columns: Columns, prefix: str = "p") -> Plan:
    """Compile a query with one aggregate in its select.

    Parameters
    ----------
    query : Query
        A metric: its group_by, order_by, limit and offset are not looked at.
    names : ModelNames
        What is known of the model; another plan may hold when that changes.
    columns : Columns
        Of the relation that the plan will run over, under ``r``.
    prefix : str
        Begins the names of the parameters, so that several plans fit into one statement.

    Raises
    ------
    QueryError
        If the query has a subquery, or its select is no single aggregate.
    """
    call = query.select[0]
    if query.subquery is not None:
        msg = "`query.subquery` must be absent from a metric"
        raise QueryError(msg)
    if len(query.select) != 1 or not isinstance(call, Call) or call.function not in AGGREGATES:
        told = call.function if isinstance(call, Call) else call.written
        msg = f'`{call.place}` must be one function that aggregates to one value, got "{told}"'
        raise QueryError(msg)
    scope = Scope(names, columns, prefix)
    where = filter_of(query.filter, scope)
    draft = draft_of(call, scope)
    return Plan(
        call.function,
        where,
        scope.parameters,
        draft.components,
        truths_among(scope.properties),
        scope.properties,
        draft.is_count,
        draft.of_amounts,
        draft.of_multiset,
    )


def draft_of(call: Call, scope: Scope) -> Draft:
    """Draft the plan of one aggregate."""
    return AGGREGATES[call.function](call, scope)


def filter_of(conditions: tuple[Condition, ...], scope: Scope) -> str:
    """Give SQL, BOOLEAN: the row passes all conditions; ``true`` without any."""
    return " AND ".join(scope.condition(each) for each in conditions) or "true"


def has_truths(truths: tuple[str, ...], columns: Columns) -> str:
    """Give SQL, BOOLEAN: the row has every one of these truths; ``true`` without any.

    A plan counts the rows where this and its `where` hold.

    >>> from engine.query.columns import StoredColumns
    >>> has_truths(("label",), StoredColumns(ModelNames("m")))
    '(r.label) IS NOT NULL'
    """
    names = [name if name == "label" else f"labels.{name}" for name in truths]
    return " AND ".join(f"({columns.text(name)}) IS NOT NULL" for name in names) or "true"
