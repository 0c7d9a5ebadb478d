"""The dynamic thresholds of drift rules, for rules that no window has come near yet (AR-51).

A rule computes its threshold only once a window comes near it. Until then it is shown as the data
drift endpoint gives it under `"metric": "Thresholds"`, for a window as large as the reference set.
That reads the whole reference set: it is done once for each rule and version of the set.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from starlette.requests import Request

from connectors.calls import Asking
from engine.ad_hoc import ask_drift
from engine.asking import number
from engine.config import ModelSettings, Settings
from engine.errors import QueryError
from engine.listed.pages import Listed

__all__ = ["Thresholds", "thresholds_of"]

_KNOWN_MAX = 10_000
_VERSION = "SELECT max(version) FROM reference_versions WHERE model_id = $model"


class Thresholds:
    """Those that were computed to be shown."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Any, ...], float | None] = OrderedDict()
        self._lock = threading.Lock()  # one at a time: reads run in several threads

    def filled(
        self, asking: Asking, settings: Settings, model: ModelSettings, found: Listed
    ) -> Listed:
        """Give rules with a threshold in `dynamic_threshold`, wherever there can be one."""
        if all(self._has(row) for row in found.rows):
            return found
        version = number(asking.cursor, _VERSION, {"model": model.id})
        rows = tuple(
            row
            if self._has(row)
            else {**row, "dynamic_threshold": self._of(asking, settings, model, row, version)}
            for row in found.rows
        )
        return Listed(rows, found.page, found.total)

    @staticmethod
    def _has(row: Mapping[str, Any]) -> bool:
        return row["threshold"] is not None or row["dynamic_threshold"] is not None

    def _of(
        self,
        asking: Asking,
        settings: Settings,
        model: ModelSettings,
        row: Mapping[str, Any],
        version: int,
    ) -> float | None:
        key = (model.id, row["metric_id"], row["metric_query"], row["lookback_s"], version)
        with self._lock:
            if key not in self._known:
                told = replace(model, drift_lookback_s=row["lookback_s"])
                self._known[key] = _computed(asking, settings, told, row["metric_query"])
                if len(self._known) > _KNOWN_MAX:
                    self._known.popitem(last=False)
            return self._known[key]


def _computed(
    asking: Asking, settings: Settings, model: ModelSettings, written: str
) -> float | None:
    """Ask the data drift endpoint's question; None where the measure has no such thresholds."""
    query = orjson.loads(written)
    if query.get("metric", "PSI") != "PSI":
        return None
    asked = {**query, "metric": "Thresholds", "target": {"source": "reference"}}
    try:
        (found,) = ask_drift(asking.cursor, settings, model, asked)
    except QueryError:
        return None
    value = next(iter(found.values()), None)
    return value if isinstance(value, float) else None


def thresholds_of(request: Request) -> Thresholds:
    """Give those of the server that a request came to."""
    state = request.app.state
    if not hasattr(state, "arthur_thresholds"):
        state.arthur_thresholds = Thresholds()
    found: Thresholds = state.arthur_thresholds
    return found
