"""Custom metrics of a model: made, changed and removed while the run goes on."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from engine.asking import first
from engine.changes import Edit, Writing
from engine.commands.given import known, text_of
from engine.config import ModelSettings
from engine.errors import ConflictError, NotFoundError, QueryError
from engine.metrics import CATALOGUE, METRIC_TYPES, metric_id
from engine.query.check import metric_type
from engine.query.drift_parse import parse_drift
from engine.query.names import PropertyType
from engine.query.parse import parse
from engine.rules.definition import OPEN_TYPES, metric_of, names_of, own_metrics

__all__ = ["TYPE_WORDS", "create_metric", "delete_metric", "metric_named", "update_metric"]

TYPE_WORDS = {**{each: each for each in METRIC_TYPES}, "model_data_bound_metric": METRIC_TYPES[1]}
"""What the types of metrics are called; one has two words."""

_FIELDS = ("name", "query", "endpoint", "type", "parameters")
_OF_MODEL = re.compile(r"(?:\S*/)?models/(.+)/inferences?/\S*")
_PLACEHOLDER = "{model_id}"


def create_metric(
    writing: Writing, model_id: str, body: Mapping[str, Any], properties: Collection[str] = ()
) -> str:
    """Make a metric; gives its id.

    Parameters
    ----------
    body : mapping
        `name`, `query`, `endpoint` and `type` as Arthur has them; `parameters` only if empty.
    properties : collection of str
        Qualified names that the model's events are known to have: they tell a truth from a
        prediction (ARx-3).

    Raises
    ------
    QueryError
        A field breaks a rule, or the query is no metric.
    ConflictError
        The model has a metric of that name.
    """
    given = known(body, _FIELDS, ("name", "query"))
    name = text_of(given, "name")
    made = str(metric_id(model_id, name))
    if (model_id, name) in own_metrics(writing.configured.settings):
        msg = f"`name` must be there once for a model, got {name} again"
        raise ConflictError(msg)
    _put(writing, model_id, made, given, properties)
    return made


def update_metric(
    writing: Writing,
    model_id: str,
    wanted: str,
    body: Mapping[str, Any],
    properties: Collection[str] = (),
) -> None:
    """Put another query in a metric's place; its rules start anew with it.

    Parameters are those of `create_metric`; the name stays, as the id follows from it.

    Raises
    ------
    NotFoundError
        There is no such custom metric.
    ConflictError
        It is a default one.
    QueryError
        As `create_metric`; or the name is another one.
    """
    name = _own_name(writing, model_id, wanted)
    given = known(body, _FIELDS, ("query",))
    if given.setdefault("name", name) != name:
        msg = f"`name` must stay {name}, got {text_of(given, 'name')}"
        raise QueryError(msg)
    _put(writing, model_id, wanted, given, properties)


def delete_metric(writing: Writing, model_id: str, wanted: str) -> None:
    """Take a metric away.

    Raises
    ------
    NotFoundError
        There is no such custom metric.
    ConflictError
        It is a default one, or rules watch it.
    """
    name = _own_name(writing, model_id, wanted)
    rules = [
        rule.name or ""
        for rule in writing.configured.settings.alert_rules
        if rule.model == model_id and rule.metric in {name, wanted}
    ]
    if rules:
        msg = f"the metric must have no alert rules, got {', '.join(sorted(rules))[:1000]}"
        raise ConflictError(msg)
    writing.edit(Edit("metric", wanted, None))


def metric_named(writing: Writing, model_id: str, wanted: str) -> str:
    """Give the name of a metric of a model by its id.

    The ids of default metrics are those of their names: the catalogue is looked through first, then
    what the model has in the store.

    Raises
    ------
    QueryError
        It is no UUID.
    NotFoundError
        There is no such metric.
    """
    identity = _uuid(wanted)
    own = own_metrics(writing.configured.settings).get((model_id, str(identity)))
    if own is not None:
        return own.name
    for function in CATALOGUE:
        if metric_id(model_id, function.name) == identity:
            return function.name
    row = first(
        writing.cursor,
        "SELECT name FROM metrics WHERE model_id = $model AND metric_id = $id::UUID"
        " AND endpoint IN ('query', 'data_drift')",
        {"model": model_id, "id": str(identity)},
    )
    if row is None:
        msg = f"`metric_id` must be the id of a metric of the model, got {wanted[:100]}"
        raise NotFoundError(msg)
    return str(row[0])


def _uuid(wanted: str) -> UUID:
    try:
        return UUID(wanted)
    except ValueError as error:
        msg = f"`metric_id` must be a UUID, got {wanted[:100]}"
        raise QueryError(msg) from error


def _own_name(writing: Writing, model_id: str, wanted: str) -> str:
    own = own_metrics(writing.configured.settings).get((model_id, wanted))
    if own is not None and str(metric_id(model_id, own.name)) == wanted:
        return own.name
    name = metric_named(writing, model_id, wanted)
    msg = f"the metric must be a custom one, got the default metric {name}"
    raise ConflictError(msg)


# ---- the definition --------------------------------------------------------------------------


def _put(
    writing: Writing,
    model_id: str,
    wanted: str,
    given: Mapping[str, Any],
    properties: Collection[str],
) -> None:
    if given.get("parameters"):
        msg = "`parameters` must be absent or empty: values stand in the query itself"
        raise QueryError(msg)
    definition = {"model": model_id, "name": given["name"], "query": _query(given)}
    if "endpoint" in given:
        definition["endpoint"] = _endpoint(given, model_id)
    writing.edit(Edit("metric", wanted, definition))
    settings = writing.configured.settings
    model = next((each for each in settings.models if each.id == model_id), ModelSettings(model_id))
    metric = metric_of(own_metrics(settings), model, str(given["name"]))
    found = _type_now(metric.endpoint, definition["query"], model, properties)
    _check_type(given.get("type"), found)
    if found != metric.type and found in OPEN_TYPES and metric.type in OPEN_TYPES:
        writing.edit(Edit("metric", wanted, {**definition, "type": found}))


def _query(given: Mapping[str, Any]) -> dict[str, Any]:
    query = given["query"]
    if not isinstance(query, dict):
        msg = f"`query` must be an object, got {type(query).__name__}"
        raise QueryError(msg)
    if "properties" in query and query.get("metric") is None:
        return {**query, "metric": "PSI"}  # the stored query says so
    return query


def _endpoint(given: Mapping[str, Any], model_id: str) -> str:
    endpoint = text_of(given, "endpoint")
    found = _OF_MODEL.fullmatch(endpoint)
    if found is not None and found[1] not in {model_id, _PLACEHOLDER}:
        msg = f"`endpoint` must be one of model {model_id}, got {endpoint}"
        raise QueryError(msg)
    return endpoint


def _type_now(
    endpoint: str, query: dict[str, Any], model: ModelSettings, properties: Collection[str]
) -> str:
    """Read the query once more, with the names that are known by now; gives the metric's type."""
    kinds: dict[str, PropertyType] = dict.fromkeys(properties, "mixed")
    names = replace(names_of(model), properties=kinds)
    if endpoint == "data_drift":
        return metric_type(parse_drift(query, names))
    return metric_type(parse(query, names))


def _check_type(told: object, found: str) -> None:
    if told is None:
        return
    if not isinstance(told, str) or told not in TYPE_WORDS:
        msg = f"`type` must be one of {', '.join(METRIC_TYPES)}, got {str(told)[:100]}"
        raise QueryError(msg)
    if TYPE_WORDS[told] != found:
        msg = f"`type` must be {found}, as the query says, or absent, got {told}"
        raise QueryError(msg)
