"""Anomaly jobs as they are followed: their detectors, with everything found out that is left open.

>>> default_frequency_s(300), default_frequency_s(3_600), default_frequency_s(86_400)
(150, 600, 3600)
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from engine.anomaly.functions import FUNCTIONS, Base, Function
from engine.config import (
    AnomalyJobSettings,
    DetectorSettings,
    MetricSettings,
    ModelSettings,
    Settings,
)
from engine.errors import QueryError
from engine.query.names import ModelNames
from engine.query.parse import filters_of
from engine.query.parse_defaults import default_query
from engine.query.parse_faults import Faults
from engine.query.parse_names import Scope, columns_in, is_truth
from engine.query.tree import Condition, Query
from engine.rules.definition import Metric, metric_of, names_of, own_metrics, truths_needed

__all__ = [
    "OF_PAIRS",
    "Detector",
    "Job",
    "conditions_of",
    "default_frequency_s",
    "jobs_of",
    "names_for",
]

OF_PAIRS = ("correct", "error", "absolute_error", "squared_error")
"""Fields of our own: what comes of a prediction and its label."""

_DAY_S = 86_400
_UNIMPORTANT = {
    *("description", "groups", "enabled", "results_retention_us"),
    *("snapshot_s", "snapshot_retention_s", "daily_snapshot_after_s"),
    *("time_field", "time_format", "custom_settings"),
}


@dataclass(frozen=True, slots=True)
class Detector:
    """One detector of a job.

    Attributes
    ----------
    index : int
        Its place in the job.
    bases : tuple of str
        What is measured: those of the function; of a metric of the model only the first.
    metric, query : Metric, Query or None
        The metric of the model that `field_name` is, and its query.
    split : bool
        Whether it has a by, over or partition field.
    influencers : tuple of str
        Influencer fields of the job that are among its by, over and partition fields.
    """

    index: int
    settings: DetectorSettings
    function: Function
    bases: tuple[Base, ...]
    metric: Metric | None
    query: Query | None
    split: bool
    influencers: tuple[str, ...]

    @property
    def key_fields(self) -> tuple[str | None, str | None, str | None]:
        """Names of the by, over and partition fields."""
        told = self.settings
        return told.by_field_name, told.over_field_name, told.partition_field_name


@dataclass(frozen=True, slots=True)
class Job:
    """An anomaly job.

    Attributes
    ----------
    model_id, type : str or None
        Whose events; without a type the predictions of the model.
    span_s, latency_us, frequency_s, renormalization_window_s : int
        The bucket; how long it waits behind its end; event time between two interim results; how
        far back scores are renormalised.
    time_basis : str
        ``event`` or ``label``.
    own_clock : bool
        Whether its own rows tell it the time, in place of the watermark; in the event basis only.
    truths : tuple of str
        What a row must have to count in the label basis: ``label``, or `x` of ``labels.x``.
    reads_labels : bool
        Whether another label changes a row that the job reads: by a detector, filter or influencer.
    definition : str
        What decides its results, as JSON: another one is another job.
    """

    settings: AnomalyJobSettings
    job_id: str
    model_id: str | None
    type: str | None
    span_s: int
    latency_us: int
    frequency_s: int
    renormalization_window_s: int
    time_basis: str
    own_clock: bool
    truths: tuple[str, ...]
    reads_labels: bool
    detectors: tuple[Detector, ...]
    influencers: tuple[str, ...]
    definition: str


def default_frequency_s(span_s: int) -> int:
    """Give the seconds between two interim results of a bucket span; source: ELi-12, ELi-14."""
    if span_s <= 120:
        return span_s
    if span_s <= 1_200:
        return span_s // 2
    return min(600, span_s) if span_s <= 43_200 else 3_600


def jobs_of(settings: Settings) -> tuple[Job, ...]:
    """Give the enabled jobs that the settings declare, in their order.

    Raises
    ------
    QueryError
        A filter or a metric is off.
    """
    models = {model.id: model for model in settings.models}
    own = own_metrics(settings)
    return tuple(_job_of(models, own, each) for each in settings.anomaly_jobs if each.enabled)


def names_for(model: ModelSettings | None) -> ModelNames:
    """Give what a field may name: of a model, or of events of any model."""
    return ModelNames("", complete=False) if model is None else names_of(model)


def conditions_of(names: ModelNames, filter_json: str | None, place: str) -> tuple[Condition, ...]:
    """Parse a filter of the metric language.

    Raises
    ------
    QueryError
        With every fault on a line of its own.
    """
    if filter_json is None:
        return ()
    faults = Faults()
    found = filters_of(Scope(names, faults), json.loads(filter_json), place)
    faults.raise_any()
    return found


def _job_of(
    models: Mapping[str, ModelSettings],
    own: Mapping[tuple[str, str], MetricSettings],
    told: AnomalyJobSettings,
) -> Job:
    model = None
    if told.model is not None:
        model = models.get(told.model, ModelSettings(id=told.model))
    of_predictions = model if told.type is None else None
    detectors = tuple(
        _detector_of(told, index, each, of_predictions, own)
        for index, each in enumerate(told.detectors)
    )
    truths = _truths_read(told, detectors, names_for(model))
    basis = "event" if told.type is not None else told.time_basis
    basis = basis or ("label" if truths else "event")
    span_s = told.bucket_span_s
    return Job(
        told,
        told.job_id,
        told.model,
        told.type,
        span_s,
        told.latency_us,
        told.frequency_s or default_frequency_s(span_s),
        told.renormalization_window_s or max(30 * _DAY_S, 100 * span_s),
        basis,
        told.clock == "records" and basis == "event" and told.type is None,
        (truths or ("label",)) if basis == "label" else (),
        basis == "label" or bool(truths or set(map(_truth_of, told.influencers)) - {None}),
        detectors,
        told.influencers,
        _definition(told, basis, detectors, model),
    )


def _detector_of(
    job: AnomalyJobSettings,
    index: int,
    told: DetectorSettings,
    model: ModelSettings | None,
    own: Mapping[tuple[str, str], MetricSettings],
) -> Detector:
    function = FUNCTIONS[told.function]
    place = f"anomaly_jobs.{job.job_id}.detectors[{index}].field_name"
    metric, query = None, None
    if model is not None and told.field_name is not None:
        metric, query = _metric_named(own, model, told.field_name, place)
    split = (told.by_field_name, told.over_field_name, told.partition_field_name)
    return Detector(
        index,
        told,
        function,
        function.bases if metric is None else function.bases[:1],
        metric,
        query,
        any(each is not None for each in split),
        tuple(each for each in job.influencers if each in split),
    )


def _metric_named(
    own: Mapping[tuple[str, str], MetricSettings], model: ModelSettings, name: str, place: str
) -> tuple[Metric, Query] | tuple[None, None]:
    """Give the metric of that name, and its query; None: it is a property."""
    if (model.id, name) not in own:
        try:
            default_query(name)
        except QueryError:
            return None, None
    metric = metric_of(own, model, name)
    tree = metric.tree
    if not isinstance(tree, Query):
        msg = f'`{place}` must be a property or a metric that is no drift metric, got "{name}"'
        raise QueryError(msg)
    if tree.subquery is not None:
        msg = f'`{place}` must be a metric without a subquery, got "{name}"'
        raise QueryError(msg)
    return metric, tree


def _truths_read(
    job: AnomalyJobSettings, detectors: tuple[Detector, ...], names: ModelNames
) -> tuple[str, ...]:
    """Give the truths that the detectors read, and the filters."""
    found: set[str] = set()
    for each in detectors:
        if each.metric is not None:
            needed = truths_needed(each.metric.tree)
            performance = each.metric.type == "model_performance_metric"
            found.update(needed or (("label",) if performance else ()))
            fields = list(each.key_fields)
        else:
            fields = [each.settings.field_name, *each.key_fields]
        found.update(truth for name in fields if (truth := _truth_of(name)) is not None)
    found.update(_truths_filtered(job, names))
    return tuple(sorted(found))


def _truth_of(name: str | None) -> str | None:
    """Give the truth that a field is read from; None for any other field."""
    if name == "label" or name in OF_PAIRS:
        return "label"
    if name is not None and name.startswith("labels."):
        return name.removeprefix("labels.")
    return None


def _truths_filtered(job: AnomalyJobSettings, names: ModelNames) -> Iterator[str]:
    place = f"anomaly_jobs.{job.job_id}"
    filters = [(job.filter, f"{place}.filter")]
    filters += [
        (each.filter, f"{place}.detectors[{index}].filter")
        for index, each in enumerate(job.detectors)
    ]
    for told, where in filters:
        for condition in conditions_of(names, told, where):
            for column in columns_in([condition.operand]):
                if is_truth(column):
                    yield column.name.removeprefix("labels.")
                elif column.name == "ground_truth_timestamp":
                    yield "label"


def _definition(
    told: AnomalyJobSettings,
    basis: str,
    detectors: tuple[Detector, ...],
    model: ModelSettings | None,
) -> str:
    facts = {name: value for name, value in asdict(told).items() if name not in _UNIMPORTANT}
    for each in facts["detectors"]:
        del each["description"]
    facts["time_basis"] = basis
    if told.clock == "watermark":
        del facts["clock"]  # as it was before there was another
    facts["metrics"] = [each.metric.query if each.metric else None for each in detectors]
    if model is not None:
        facts["model"] = [model.id, *_declared(model)]
    return json.dumps(facts, sort_keys=True, ensure_ascii=False)


def _declared(model: ModelSettings) -> list[object]:
    return [model.classes, model.positive, model.positive_property, model.threshold]
