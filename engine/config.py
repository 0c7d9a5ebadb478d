"""The settings in force, as frozen values; every one has a default."""

from dataclasses import dataclass, field

__all__ = [
    "Limits",
    "ModelSettings",
    "Settings",
    "SourceSettings",
    "TimeSettings",
]

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
    retention_us: tuple[tuple[str, int], ...] = ()
    limits: Limits = field(default_factory=Limits)
