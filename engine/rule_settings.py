"""The settings of an alert rule on a metric of a model; in force as part of `engine.config`."""

from dataclasses import dataclass

__all__ = ["RuleSettings"]


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
    rule_id : str or None
        A UUID that stays when the name changes; None: that of model and name.
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
    rule_id: str | None = None
