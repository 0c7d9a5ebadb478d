"""The engine's own series as catalogues, so that everything is plotted through one door.

Values are those of the public relations, by the UTC hour of their time: the start of a pane or a
bucket, the end of a window, the time of an alert or a step. Windows and buckets that are not final
yet are left out. Averages are weighted: over windows by the samples behind each value.

Source: DESIGN §9.
"""

from typing import Final

from engine.panes import pane_of
from engine.processing.catalogue import Catalogue, Column, Filter, Group
from engine.processing.catalogue_offer import Offer
from engine.processing.hours import HOUR_S
from engine.processing.series_source import IN_RANGE, Recipe, Source, choice_id_sql

__all__ = ["SERIES"]

_VALUES = Group("values", "Values", "The values themselves.")
_COUNTS = Group("counts", "Counts", "How many there are.")
_KINDS = {"avg": "Mean", "min": "Least", "max": "Greatest"}


def _hour(time: str) -> str:
    return f"{pane_of(time, HOUR_S)} AS hour_s"


def _values(stem: str, title: str, what: str, units: str) -> list[Column]:
    return [
        Column(
            f"{stem}_{kind}", f"{title} ({kind.title()})", f"{word} {what}.", units, "values", kind
        )
        for kind, word in _KINDS.items()
    ]


def _count(name: str, title: str, description: str) -> Column:
    return Column(name, title, description, "count", "counts", "sum")


def _offer(
    catalogue: Catalogue,
    relation: str,
    fields: tuple[str, ...],
    *,
    choices: str = "",
    identity: tuple[str, ...] = (),
    titled: tuple[str, ...] = (),
) -> Offer:
    """Put a catalogue together.

    Parameters
    ----------
    relation : str
        SELECT of `fields`, `hour_s`, `present` and the amounts; its columns that are counts have
        the names of the catalogue's columns.
    choices : str
        SELECT of `fields`; by default those that the relation has.
    identity : tuple of str
        The fields that make the id; by default all.
    """
    one = choice_id_sql(catalogue.name, [f"{name}::VARCHAR" for name in identity or fields])
    listed = choices or f"SELECT DISTINCT {', '.join(fields)} FROM ({relation}) WHERE present <> 0"
    recipes = {column.name: _recipe(column) for column in catalogue.columns}
    source = Source(
        f"SELECT {one} AS choice_id, * FROM ({relation})",
        "present",
        recipes,
        f"SELECT {one} AS choice_id, * FROM ({listed})",
        fields,
        {name: name for name in identity or fields},
    )
    return Offer(catalogue, source, titled=titled)


def _recipe(column: Column) -> Recipe:
    stem, _, kind = column.name.rpartition("_")
    return Recipe(kind, stem) if kind in _KINDS else Recipe("count", column.name)


def _catalogue(
    name: str, title: str, description: str, params: tuple[str, ...], columns: list[Column]
) -> Catalogue:
    groups = tuple(
        group for group in (_VALUES, _COUNTS) if group.name in {c.group for c in columns}
    )
    filters = tuple(Filter(param) for param in params)
    return Catalogue(name, title, description, filters, groups, tuple(columns))


_CELL = ("model_id", "label", "prediction")
_CONFUSION = _offer(
    _catalogue(
        "confusion",
        "Confusion",
        "Labelled events by model, label and prediction.",
        _CELL,
        [
            _count("event_time_count", "Count by Event Time", "Events of the hour."),
            _count("label_time_count", "Count by Label Time", "Events labelled in the hour."),
        ],
    ),
    f"""
    SELECT model_id, label, prediction, {_hour("pane_start")}, sum(count) AS present,
        coalesce(sum(count) FILTER (time_basis = 'event'), 0) AS event_time_count,
        coalesce(sum(count) FILTER (time_basis = 'label'), 0) AS label_time_count
    FROM confusion_matrix WHERE {IN_RANGE.format(time="pane_start")} GROUP BY ALL""",
    _CELL,
)


def _windows(relation: str, fields: tuple[str, ...]) -> str:
    """Give SQL for the values of windows, each with the weight of its samples."""
    valued = "FILTER (value IS NOT NULL)"
    return f"""
    SELECT {", ".join(fields)}, {_hour("window_end")}, count(*) AS present,
        coalesce(sum(sample_count) {valued}, 0) AS value_n,
        coalesce(sum(value * sample_count), 0) AS value_sum,
        min(value) AS value_min, max(value) AS value_max,
        coalesce(sum(sample_count), 0) AS sample_count
    FROM {relation} WHERE NOT is_interim AND {IN_RANGE.format(time="window_end")} GROUP BY ALL"""


_WINDOW_COLUMNS = [
    *_values("value", "Value", "value of the windows that end in the hour", "value"),
    _count("sample_count", "Sample Count", "Samples behind the values, window by window."),
]
_METRIC = ("model_id", "metric_name", "class_or_group", "time_basis")
_METRIC_VALUES = _offer(
    _catalogue(
        "metric-values",
        "Metric Values",
        "Metrics of models over rolling windows, where they changed.",
        _METRIC,
        _WINDOW_COLUMNS,
    ),
    _windows("metric_values", _METRIC),
    _METRIC,
)
_DRIFTING = ("model_id", "property", "measure")
_DRIFT = _offer(
    _catalogue(
        "drift",
        "Drift",
        "Drift of properties from the reference set over rolling windows, where it changed.",
        _DRIFTING,
        _WINDOW_COLUMNS,
    ),
    _windows("drift_values", _DRIFTING),
    _DRIFTING,
)

# A rule keeps its id when it is renamed: the name of its latest version counts.
_RULE = ("name", "model_id", "rule_id")
_RULES = """
    SELECT arg_max(name, rule_version) AS name, arg_max(model_id, rule_version) AS model_id, rule_id
    FROM (
        SELECT rule_id, rule_version, model_id, name FROM alert_rules
        UNION ALL
        SELECT DISTINCT rule_id, rule_version, model_id, rule_name FROM alerts
    ) GROUP BY rule_id"""
_ALERTS = _offer(
    _catalogue(
        "alerts",
        "Alerts",
        "Alerts by rule.",
        _RULE,
        [
            _count("total_count", "Total Count", "All alerts of the hour."),
            _count("critical_count", "Critical Count", "Alerts of severity critical."),
            _count("warning_count", "Warning Count", "Alerts of severity warning."),
        ],
    ),
    f"""
    SELECT rule_id, {_hour("triggered_time")}, count(*) AS present, count(*) AS total_count,
        count(*) FILTER (severity = 'critical') AS critical_count,
        count(*) FILTER (severity = 'warning') AS warning_count
    FROM alerts WHERE {IN_RANGE.format(time="triggered_time")} GROUP BY ALL""",
    _RULE,
    choices=_RULES,
    identity=("rule_id",),
    titled=("name", "model_id"),
)

_ANOMALY_SCORES = _offer(
    _catalogue(
        "anomaly-scores",
        "Anomaly Scores",
        "Scores of anomaly jobs by closed bucket.",
        ("job_id",),
        [
            *_values("anomaly_score", "Anomaly Score", "score of the hour's buckets", "score")[::2],
            _count("event_count", "Event Count", "Events in the buckets."),
            _count("bucket_count", "Bucket Count", "Buckets that begin in the hour."),
            _count("record_count", "Record Count", "Unusual values in the buckets."),
        ],
    ),
    f"""
    SELECT job_id, hour_s, sum(present) AS present, sum(n) AS anomaly_score_n,
        sum(total) AS anomaly_score_sum, max(greatest_score) AS anomaly_score_max,
        sum(events) AS event_count, sum(n) AS bucket_count, sum(records) AS record_count
    FROM (
        SELECT job_id, {_hour("timestamp")}, count(*) AS present, count(*) AS n,
            sum(anomaly_score) AS total, max(anomaly_score) AS greatest_score,
            sum(event_count) AS events, 0 AS records
        FROM anomaly_buckets WHERE NOT is_interim AND {IN_RANGE.format(time="timestamp")}
        GROUP BY ALL
        UNION ALL
        SELECT job_id, {_hour("timestamp")}, count(*), 0, 0, NULL, 0, count(*)
        FROM anomaly_records WHERE NOT is_interim AND {IN_RANGE.format(time="timestamp")}
        GROUP BY ALL
    ) GROUP BY ALL""",
    ("job_id",),
)

# NaN and infinities are values of a step, but no points of a plot: they are counted alone.
_STEP = ("job_id", "name")
_STEP_METRICS = _offer(
    _catalogue(
        "step-metrics",
        "Step Metrics",
        "Metrics that jobs logged by step, by the time of the step.",
        _STEP,
        [
            *_values("value", "Value", "finite value of the hour's steps", "value"),
            _count("step_count", "Step Count", "Steps of the hour, whatever their value."),
        ],
    ),
    f"""
    SELECT job_id, name, {_hour("timestamp")}, count(*) AS present, count(*) AS step_count,
        count(*) FILTER (isfinite(value)) AS value_n,
        coalesce(sum(value) FILTER (isfinite(value)), 0) AS value_sum,
        min(value) FILTER (isfinite(value)) AS value_min,
        max(value) FILTER (isfinite(value)) AS value_max
    FROM step_metrics WHERE {IN_RANGE.format(time="timestamp")} GROUP BY ALL""",
    _STEP,
    titled=_STEP,
)

SERIES: Final = {
    offer.catalogue.name: offer
    for offer in (_CONFUSION, _METRIC_VALUES, _DRIFT, _ALERTS, _ANOMALY_SCORES, _STEP_METRICS)
}
"""By name, in their order."""
