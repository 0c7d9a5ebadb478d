"""Whether a query may be a metric, and what kind of metric it is."""

from collections.abc import Iterator
from typing import Literal

from engine.metrics import property_type
from engine.query.functions import FUNCTIONS
from engine.query.parse_defaults import default_query
from engine.query.parse_faults import Faults
from engine.query.parse_names import REGULAR, columns_in, has_aggregate, is_truth
from engine.query.tree import Argument, Call, Column, Condition, DriftQuery, Query

__all__ = ["check_metric", "default_query", "metric_type", "truths_of"]

_OUTPUT = "model_output_metric"
_BATCH = ("batch_id",)
_TIMES = tuple(name for name, kind in REGULAR.items() if kind == "time")


def check_metric(tree: Query | DriftQuery, kind: Literal["streaming", "batch"]) -> None:
    """Check that a query aggregates, to one value, of a window that is chosen for it.

    Parameters
    ----------
    kind : str
        Of the model: windows of a streaming model are times, those of a batch model batches.

    Raises
    ------
    QueryError
        With every rule that is broken (AR-32 to AR-34) on a line of its own, and the reason.
    """
    faults = Faults()
    if isinstance(tree, DriftQuery):
        _check_drift(faults, tree)
    else:
        _check_query(faults, tree)
    _check_filters(faults, tree, kind)
    faults.raise_any()


def _root(tree: Query | DriftQuery) -> str:
    """Return what the query is called in messages."""
    if isinstance(tree, DriftQuery):
        return tree.properties[0].place.rpartition(".properties[")[0]
    return tree.select[0].place.rpartition(".select[")[0]


def _check_query(faults: Faults, tree: Query) -> None:
    place = _root(tree)
    if len(tree.select) != 1:
        _one_value(faults, f"{place}.select", f"have one item, got {len(tree.select)}")
    for index, item in enumerate(tree.select):
        where = f"{place}.select[{index}]"
        if not has_aggregate(item):
            faults.say(f"`{where}` must be an aggregate: a metric aggregates the rows of a window")
        elif isinstance(item, Call) and FUNCTIONS[item.function].kind == "several":
            _one_value(faults, where, f"give one value, and {item.function} gives several")
    if tree.group_by:
        _one_value(faults, f"{place}.group_by", "be absent")
    _check_rest(faults, tree, place)


def _check_rest(faults: Faults, tree: Query, place: str) -> None:
    """Refuse what one value over the stream cannot have."""
    if tree.subquery is not None:
        faults.say(
            f"`{place}.subquery` must be absent: a metric adds up row by row,"
            " which a subquery does not"
        )
    elif tree.source != "inference":
        faults.say(
            f"`{place}.from` must be inference, got {tree.source}:"
            " a metric is computed over what arrives"
        )
    for key, given in (
        ("order_by", bool(tree.order_by)),
        ("limit", tree.limit is not None),
        ("offset", tree.offset != 0),
    ):
        if given:
            faults.say(f"`{place}.{key}` must be absent: a metric has one value, with no order")


def _one_value(faults: Faults, place: str, rule: str) -> None:
    faults.say(f"`{place}` must {rule}: a metric has exactly one value")


def _check_drift(faults: Faults, tree: DriftQuery) -> None:
    place = _root(tree)
    if len(tree.properties) != 1:
        rule = f"have one property, got {len(tree.properties)}"
        _one_value(faults, f"{place}.properties", rule)
    if tree.group_by:
        _one_value(faults, f"{place}.group_by", "be absent")
    if tree.rollup is not None:
        _one_value(faults, f"{place}.rollup", "be absent")
    if tree.metric == "Thresholds":
        faults.say(
            f"`{place}.metric` must be a measure of drift, got Thresholds:"
            " a threshold belongs to a rule"
        )
    if tree.base.source != "reference":
        faults.say(
            f"`{place}.base.source` must be reference, got {tree.base.source}:"
            " a window is compared with what does not move"
        )
    if tree.target.source not in {"inference", "ground_truth"}:
        faults.say(
            f"`{place}.target.source` must be inference or ground_truth, got"
            f" {tree.target.source}: a metric is computed over what arrives"
        )


def _check_filters(faults: Faults, tree: Query | DriftQuery, kind: str) -> None:
    """Refuse filters on what chooses the window (AR-34), at any depth; `rate` filters too."""
    forbidden = _TIMES if kind == "streaming" else _BATCH
    what = "time" if kind == "streaming" else "batch"
    for place, operand in _filtered(tree):
        for column in columns_in([operand]):
            if column.name in forbidden:
                faults.say(
                    f"`{place}` must not filter on {column.name}:"
                    f" the {what} of a metric is chosen by its window"
                )


def _filtered(tree: Query | DriftQuery) -> Iterator[tuple[str, Argument]]:
    """Give what conditions are about, with their places."""
    for condition in _conditions_of(tree):
        yield condition.place, condition.operand
    if isinstance(tree, Query):
        for item in tree.select:
            if isinstance(item, Call) and item.function == "rate":
                yield item.place, item
        if tree.subquery is not None:
            yield from _filtered(tree.subquery)


def _conditions_of(tree: Query | DriftQuery) -> tuple[Condition, ...]:
    return tree.filter if isinstance(tree, Query) else (*tree.base.filter, *tree.target.filter)


def _arguments_of(tree: Query | DriftQuery) -> Iterator[Argument]:
    """Give all that is read of the rows: over a subquery it is the subquery that reads them."""
    if isinstance(tree, Query) and tree.subquery is not None:
        yield from _arguments_of(tree.subquery)
        return
    yield from (each.operand for each in _conditions_of(tree))
    yield from tree.group_by
    yield from tree.select if isinstance(tree, Query) else tree.properties


def metric_type(tree: Query | DriftQuery) -> str:
    """Return the type of a metric by AR-45: one of `engine.metrics.METRIC_TYPES`.

    Drift is data drift, a comparison with labels performance, an aggregate of outputs or labels
    output, and any other one input. A filter changes nothing.
    """
    if isinstance(tree, DriftQuery):
        return "model_data_drift_metric"
    if tree.subquery is not None:
        return metric_type(tree.subquery)
    types = {_type_of(each) for each in tree.select}
    for found in ("model_performance_metric", _OUTPUT):
        if found in types:
            return found
    return "model_input_data_metric"


def _type_of(item: Column | Call) -> str:
    if isinstance(item, Call) and (
        FUNCTIONS[item.function].needs_truth or item.function == "count"
    ):
        return FUNCTIONS[item.function].type
    names = [column.name for column in columns_in([item])]
    outputs = [name == "label" or property_type(name) == _OUTPUT for name in names]
    return _OUTPUT if any(outputs) else "model_input_data_metric"


def truths_of(tree: Query | DriftQuery) -> tuple[str, ...]:
    """Return the truths that a query reads: ``label``, and `x` of ``labels.x``, in text order.

    In functions (the model's own label where they name none), filters, groups and subqueries.
    """
    found: set[str] = set()
    for argument in _arguments_of(tree):
        if isinstance(argument, Call) and "ground_truth_property" not in argument.parameters:
            found.update(["label"] if FUNCTIONS[argument.function].needs_truth else [])
        for column in columns_in([argument]):
            if is_truth(column):
                found.add(column.name.removeprefix("labels."))
            elif column.name == "ground_truth_timestamp":  # only a labelled row has it
                found.add("label")
    return tuple(sorted(found))
