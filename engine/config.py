"""The settings in force, as frozen values; every one has a default."""

from dataclasses import dataclass, field

__all__ = [
    "DYNAMIC",
    "Limits",
    "MetricSettings",
    "ModelSettings",
    "NotificationSettings",
    "RuleSettings",
    "Settings",
    "SmtpSettings",
    "SourceSettings",
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


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """A custom metric: `query` is JSON, a drift query where `endpoint` is data_drift."""

    model: str
    name: str
    query: str
    endpoint: str = "query"


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """An alert rule.

    Attributes
    ----------
    metric : str
        Name of a default or custom metric of the model, or its id.
    bound : str
        ``upper`` fires above the threshold, ``lower`` below it, both strictly.
    threshold : float or None
        None: dynamic, for drift metrics alone.
    lookback_s : int or None
        Seconds a window; None: the model's, or for drift metrics its drift lookback.
    wait_us, hold_us : int
        Least event time between two alerts, and for how long the violation must have held.
    time_basis : str or None
        ``event`` or ``label``; None: label for performance metrics, event for all others.
    on_no_data : str
        ``ignore`` or ``alert``.
    resolve_threshold : float or None
        Where firing ends; None: at the threshold.
    group_by : str or None
        One state per value of this property, at most `group_limit` of them.
    """

    model: str
    metric: str
    bound: str
    threshold: float | None
    severity: str
    name: str | None = None
    lookback_s: int | None = None
    wait_us: int = 0
    hold_us: int = 0
    time_basis: str | None = None
    enabled: bool = True
    on_no_data: str = "ignore"
    resolve_threshold: float | None = None
    min_sample_count: int = 0
    min_label_coverage: float = 0.0
    group_by: str | None = None
    group_limit: int = 100


@dataclass(frozen=True, slots=True)
class UserSettings:
    """Somebody who may be told, or may ask."""

    username: str
    email: str | None = None
    role: str = "viewer"


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
    """One input: standard input, or the files that the patterns name."""

    name: str
    stdin: bool = False
    files: tuple[str, ...] = ()
    follow: bool = False
    mapping: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; what goes beyond one is counted as `__other__` or rejected, and reported."""

    models: int = 10_000
    series: int = 2_000_000
    classes: int = 1_000
    line_bytes: int = 1 << 20


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
    users: tuple[UserSettings, ...] = ()
    smtp: SmtpSettings | None = None
    notifications: tuple[NotificationSettings, ...] = ()
    retention_us: tuple[tuple[str, int], ...] = ()
    limits: Limits = field(default_factory=Limits)
