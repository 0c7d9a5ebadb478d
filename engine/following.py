"""Whether a rule, or an anomaly job, can be followed: tried without a store, before it is begun."""

from dataclasses import replace

from engine.anomaly.definition import jobs_of
from engine.anomaly.gather.gather import Gathering
from engine.config import AnomalyJobSettings, ModelSettings, RuleSettings, Settings
from engine.query.compile import filter_of
from engine.query.expressions import Scope
from engine.query.tree import DriftQuery
from engine.rules.batch_plans import query_part
from engine.rules.definition import names_of, own_metrics, rule_of
from engine.rules.panel import Versioned
from engine.rules.panels import Panels
from engine.rules.rowset import RowColumns
from engine.rules.states import NONE

__all__ = ["try_job", "try_rule"]


def try_rule(settings: Settings, model: ModelSettings, told: RuleSettings) -> None:
    """Plan a rule as `engine.rules.watch` does; what is of drift needs its reference set, too.

    Parameters
    ----------
    settings : Settings
        With the metrics of the model.
    model : ModelSettings
    told : RuleSettings

    Raises
    ------
    QueryError
        Its metric, or what it groups by, cannot be watched.
    """
    rule = rule_of(settings, own_metrics(settings), model, told, told.name or "")
    names, tree = names_of(model), rule.metric.tree
    if isinstance(tree, DriftQuery):
        filter_of(tree.target.filter, Scope(names, RowColumns()))
    elif model.kind == "batch":
        query_part(rule, names, RowColumns())[1]()
    else:
        Panels(RowColumns(), NONE).follow(Versioned(rule, 1), names, 0)


def try_job(settings: Settings, told: AnomalyJobSettings) -> None:
    """Plan an anomaly job as `engine.anomaly.jobs` does.

    Raises
    ------
    QueryError
        A filter or a metric is off.
    """
    models = {model.id: model for model in settings.models}
    for job in jobs_of(replace(settings, anomaly_jobs=(replace(told, enabled=True),))):
        model = None
        if job.model_id is not None:
            model = models.get(job.model_id, ModelSettings(job.model_id))
        Gathering(job, RowColumns(), model, limit=1)
