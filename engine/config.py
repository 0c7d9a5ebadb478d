"""The settings in force, as frozen values; every one has a default."""

from dataclasses import dataclass, field

from engine.catalogue_settings import Catalogues
from engine.kafka_settings import KafkaSettings, ProduceSettings
from engine.publish_settings import PublishSettings
from engine.rule_settings import RuleSettings
from engine.step_rule_settings import StepRuleSettings

__all__ = [
    "DYNAMIC",
    "AnomalyJobSettings",
    "AnomalyRuleSettings",
    "CalendarEvent",
    "CalendarSettings",
    "CustomRule",
    "DetectorSettings",
    "Limits",
    "MetricSettings",
    "ModelSettings",
    "NotificationSettings",
    "PublishSettings",
    "RuleCondition",
    "RuleScope",
    "RuleSettings",
    "Settings",
    "SmtpSettings",
    "SourceSettings",
    "StepRuleSettings",
    "TimeSettings",
    "UserSettings",
]

DYNAMIC = None
"""The threshold of a drift rule that is computed from the reference set."""

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class TimeSettings:
    """How event time is kept; durations in microseconds, windows in whole seconds."""

    allowed_lateness_us: int = 10 * SECOND_US
    idle_timeout_us: int = 30 * SECOND_US
    max_future_us: int | None = 3_600 * SECOND_US
    label_horizon_us: int = 30 * 86_400 * SECOND_US
    lookback_s: int = 300
    step_s: int = 60
    drift_lookback_s: int = 86_400
    alert_wait_us: int = 0


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What is declared of one model; None means learned from the events, or the default."""

    id: str
    job: str | None = None
    classes: tuple[str, ...] = ()
    positive: str | None = None
    positive_property: str | None = None
    threshold: float = 0.5
    lookback_s: int | None = None
    step_s: int | None = None
    drift_lookback_s: int | None = None
    drift_alerts: bool = True
    reference: tuple[str, ...] = ()
    kind: str = "streaming"
    minutes_per_event: float | None = None
    minutes_by_label: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """A custom metric: `query` is JSON, a drift query where `endpoint` is data_drift.

    Attributes
    ----------
    type : str or None
        ``model_output_metric`` or ``model_input_data_metric``, where bare names in the query leave
        open which of the two it is; None: what the query says.
    """

    model: str
    name: str
    query: str
    endpoint: str = "query"
    type: str | None = None


@dataclass(frozen=True, slots=True)
class RuleScope:
    """A custom rule holds where a field of the result is among some values, or is not."""

    field: str
    values: tuple[str, ...]
    include: bool = True


@dataclass(frozen=True, slots=True)
class RuleCondition:
    """A custom rule holds where a number of the result compares like this.

    Attributes
    ----------
    applies_to : str
        ``actual``, ``typical``, ``diff_from_typical`` (of either sign: its size) or ``time``
        (seconds since the epoch, of the bucket's start).
    operator : str
        ``gt``, ``gte``, ``lt`` or ``lte``.
    """

    applies_to: str
    operator: str
    value: float


@dataclass(frozen=True, slots=True)
class CustomRule:
    """What is done with a result where all scopes and all conditions hold; at least one of them.

    `actions` are ``skip_result`` (no result) and ``skip_model_update`` (nothing is learned).
    """

    actions: tuple[str, ...] = ("skip_result",)
    scope: tuple[RuleScope, ...] = ()
    conditions: tuple[RuleCondition, ...] = ()


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """What is measured, of which series.

    Attributes
    ----------
    function : str
        One of `engine.anomaly.functions.FUNCTIONS`.
    field_name : str or None
        A property, a field of the stream, or a metric of the model by its name.
    by_field_name, partition_field_name : str or None
        One series per value, each with its own history.
    over_field_name : str or None
        Entities that are compared with each other.
    use_null : bool
        Whether rows without a by or partition value are a series of their own.
    exclude_frequent : str or None
        ``all``, ``by`` or ``over``: entities that are in nearly every bucket give no results.
    filter : str or None
        Conditions of the metric language as JSON.
    description : str or None
    custom_rules : tuple of CustomRule
    """

    function: str
    field_name: str | None = None
    by_field_name: str | None = None
    over_field_name: str | None = None
    partition_field_name: str | None = None
    use_null: bool = False
    exclude_frequent: str | None = None
    filter: str | None = None
    description: str | None = None
    custom_rules: tuple[CustomRule, ...] = ()


@dataclass(frozen=True, slots=True)
class AnomalyJobSettings:
    """An anomaly job over the predictions of one model, or over the events of one type.

    Attributes
    ----------
    model : str or None
        Whose events; with `type` None its predictions with the labels that hold.
    type : str or None
        ``label``, ``metric``, ``run``, ``ingest`` or ``model``: the events of that type, of the
        model if there is one.
    filter : str or None
        Conditions of the metric language as JSON.
    latency_us : int
        For how long a bucket waits behind its end.
    frequency_s : int or None
        Event time between two interim results; None: by the span.
    time_basis : str or None
        ``event`` or ``label``; None: label where a detector reads labels.
    normalizer : str
        ``standard`` or ``elastic``.
    renormalization_window_s : int or None
        None: the longer of 30 days and 100 spans.
    memory_limit_bytes : int or None
        Entities beyond it are counted, not modelled.
    results_retention_us : int or None
        None: for ever.
    snapshot_s, snapshot_retention_s, daily_snapshot_after_s : int
        Least event time between two snapshots of the model, and for how long they are kept.
    clock : str
        ``watermark``, that of all inputs, or ``records``: what the job itself has seen last, whose
        buckets close by nothing else.
    time_field, time_format : str
        Where records that are posted to the job over REST tell their time, and how
        (`engine.anomaly.time_formats`).
    custom_settings : str or None
        What its users note down, an object as JSON.
    """

    job_id: str
    detectors: tuple[DetectorSettings, ...]
    model: str | None = None
    type: str | None = None
    bucket_span_s: int = 300
    influencers: tuple[str, ...] = ()
    filter: str | None = None
    latency_us: int = 0
    frequency_s: int | None = None
    time_basis: str | None = None
    normalizer: str = "standard"
    renormalization_window_s: int | None = None
    memory_limit_bytes: int | None = None
    results_retention_us: int | None = None
    snapshot_s: int = 3 * 3_600
    snapshot_retention_s: int = 10 * 86_400
    daily_snapshot_after_s: int = 86_400
    description: str | None = None
    groups: tuple[str, ...] = ()
    enabled: bool = True
    clock: str = "watermark"
    time_field: str = "time"
    time_format: str = "epoch"
    custom_settings: str | None = None


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """A scheduled event [start_us, end_us): results have score 0, and nothing is learned."""

    description: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class CalendarSettings:
    """Scheduled events of some jobs; no `job_ids`: of all jobs."""

    calendar_id: str
    events: tuple[CalendarEvent, ...]
    job_ids: tuple[str, ...] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class AnomalyRuleSettings:
    """An alert rule on the scores of an anomaly job, evaluated at the end of every bucket.

    Attributes
    ----------
    result_type : str
        ``bucket``, ``influencer`` or ``record``: the greatest score of that kind in the bucket.
    threshold : float
        0 to 100; fires at or above it.
    buckets : int
        The greatest score of so many of the latest buckets counts.
    include_interim : bool
        Whether interim results count, too.
    field : str or None
        Only influencers of this field, or records with it.
    wait_us : int
        Least event time between two alerts.
    """

    anomaly_job: str
    result_type: str = "bucket"
    threshold: float = 75.0
    severity: str = "warning"
    name: str | None = None
    buckets: int = 1
    include_interim: bool = False
    field: str | None = None
    wait_us: int = 0
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class UserSettings:
    """Somebody who may be told, or may ask.

    Attributes
    ----------
    role : str
        ``viewer``, ``editor`` or ``administrator``.
    api_key_env : str or None
        The environment variable that has the user's API key.
    api_key_sha256 : str or None
        The digest of a key, as hex; None with no variable either: the user has none.
    models, jobs : tuple of str or None
        All that the user may see over REST; None: every one.
    """

    username: str
    email: str | None = None
    role: str = "viewer"
    api_key_env: str | None = None
    api_key_sha256: str | None = None
    models: tuple[str, ...] | None = None
    jobs: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The mail server; `password_env` names the environment variable with the password."""

    host: str
    port: int
    sender: str
    security: str = "none"
    username: str | None = None
    password_env: str | None = None
    ca_file: str | None = None
    timeout_s: float = 10.0
    retry_s: float = 5.0
    join_s: float = 3.0


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """Tell a user of the alerts of one model, by e-mail to the user's address."""

    user: str
    model: str
    destination: str
    type: str = "email"
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One input: standard input, the files that the patterns name, or a topic of Kafka."""

    name: str
    stdin: bool = False
    files: tuple[str, ...] = ()
    follow: bool = False
    mapping: tuple[tuple[str, str], ...] = ()
    kafka: KafkaSettings | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; what goes beyond one is counted as `__other__` or rejected, and reported.

    `anomaly_empty_buckets`: so many buckets without rows an anomaly job writes in a row, no more.
    """

    models: int = 10_000
    series: int = 2_000_000
    classes: int = 1_000
    line_bytes: int = 1 << 20
    anomaly_series: int = 100_000
    anomaly_empty_buckets: int = 5_000


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that one run is told."""

    data: str = "./data"
    sources: tuple[SourceSettings, ...] = (SourceSettings(name="stdin", stdin=True),)
    time: TimeSettings = field(default_factory=TimeSettings)
    models: tuple[ModelSettings, ...] = ()
    administrators: tuple[str, ...] = ()
    metrics: tuple[MetricSettings, ...] = ()
    alert_rules: tuple[RuleSettings, ...] = ()
    anomaly_jobs: tuple[AnomalyJobSettings, ...] = ()
    calendars: tuple[CalendarSettings, ...] = ()
    anomaly_rules: tuple[AnomalyRuleSettings, ...] = ()
    step_rules: tuple[StepRuleSettings, ...] = ()
    users: tuple[UserSettings, ...] = ()
    smtp: SmtpSettings | None = None
    notifications: tuple[NotificationSettings, ...] = ()
    produce: tuple[ProduceSettings, ...] = ()
    retention_us: tuple[tuple[str, int], ...] = ()
    keep_events: str = "all"  # or none: without their properties
    catalogues: Catalogues = field(default_factory=Catalogues)
    limits: Limits = field(default_factory=Limits)
    publish: PublishSettings | None = None
