"""The settings of an alert rule on a step metric; in force as part of `engine.config`."""

from dataclasses import dataclass

__all__ = ["StepRuleSettings"]


@dataclass(frozen=True, slots=True)
class StepRuleSettings:
    """An alert rule on a step metric of a job or, job by job, of those of an experiment.

    Attributes
    ----------
    step_metric : str
        Name of the metric.
    job, experiment : str or None
        Exactly one of them.
    steps : int
        So many of the greatest steps are a window.
    function : str
        ``avg``, ``min``, ``max``, ``sum``, ``median``, ``stddev`` or ``last``, over the window.
    bound : str
        ``upper`` fires above the threshold, ``lower`` below it, both strictly.
    min_steps : int or None
        With fewer steps it does not fire; None: `steps`.
    wait_steps : int
        Least number of evaluations from one alert to the next.
    resolve_threshold : float or None
        Where firing ends; None: at the threshold.
    """

    step_metric: str
    bound: str
    threshold: float
    severity: str
    job: str | None = None
    experiment: str | None = None
    steps: int = 1
    function: str = "avg"
    name: str | None = None
    min_steps: int | None = None
    wait_steps: int = 0
    resolve_threshold: float | None = None
    enabled: bool = True
