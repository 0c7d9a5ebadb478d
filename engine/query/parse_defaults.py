"""The queries of the default metrics, by the names that these have."""

import re
from typing import Any

from engine.errors import QueryError
from engine.metrics import AGGREGATES, CATALOGUE
from engine.query.functions import DRIFT_MEASURES
from engine.query.parse_faults import Faults, told

__all__ = ["default_query"]

_NAME = re.compile(r"(\w+)(?:\((.+)\))?", re.DOTALL)
_MODEL = {each.name: each.per_class for each in CATALOGUE}


def default_query(name: str) -> tuple[dict[str, Any], str]:
    """Return the query of a default metric, and its endpoint: ``query`` or ``data_drift``.

    Raises
    ------
    QueryError
        If no default metric is called that; whether the property exists is not looked at.

    Examples
    --------
    >>> default_query("avg(features.age)")[0]
    {'select': [{'function': 'avg', 'parameters': {'property': 'features.age'}}]}
    >>> default_query("truePositiveRateMulticlass(UP)")[0]["select"][0]["parameters"]
    {'class': 'UP'}
    """
    match = _NAME.fullmatch(name)
    function, inner = match.groups() if match else ("", None)
    if function in DRIFT_MEASURES and inner is not None:
        return _drift(function, inner), "data_drift"
    if function in AGGREGATES and inner is not None:
        return _select(function, {"property": inner}), "query"
    if function in _MODEL and inner is None:
        return _select(function), "query"
    if _MODEL.get(function) and inner is not None:
        return _select(function, {"class": inner}), "query"
    raise QueryError(_unknown(name, function, inner))


def _select(function: str, parameters: dict[str, str] | None = None) -> dict[str, Any]:
    item: dict[str, Any] = {"function": function}
    if parameters:
        item["parameters"] = parameters
    return {"select": [item]}


def _drift(measure: str, name: str) -> dict[str, Any]:
    return {
        "properties": [name],
        "num_bins": 10,
        "metric": measure,
        "base": {"source": "reference"},
        "target": {"source": "inference"},
    }


def _unknown(name: str, function: str, inner: str | None) -> str:
    """Tell why a name is that of no default metric."""
    start = f"metric must be the name of a default metric, got {told(name)}"
    if function in {*AGGREGATES, *DRIFT_MEASURES}:
        return f"{start}; {function} needs a property: {function}(features.x)"
    if function in _MODEL:
        return f"{start}; {function} has no {inner} in brackets"
    return start + Faults().near(function or name, [*_MODEL, *AGGREGATES, *DRIFT_MEASURES])
