"""Every public relation of the main job as SQL: `VIEWS` maps a name to its SELECT, `MACROS` too.

The order of `VIEWS` matters: a view stands behind those that it reads. Names that begin with an
underscore are steps between tables and public relations, and no part of the contract (DESIGN §9).

>>> next(name for name in VIEWS if not name.startswith("_"))
'events'
"""

from engine.anomaly_views import ANOMALY_MACROS, ANOMALY_VIEWS
from engine.change_tables import CHANGE_VIEWS
from engine.confusion import CONFUSION_VIEWS
from engine.drift_views import DRIFT_VIEWS
from engine.metric_values import METRIC_VALUE_VIEWS
from engine.metrics import METRIC_VIEWS
from engine.processing.processing_views import PROCESSING_VIEWS
from engine.record_views import RECORD_VIEWS
from engine.rule_views import RULE_VIEWS
from engine.steps.step_views import STEP_VIEWS
from engine.topics import TOPIC_VIEWS

__all__ = ["MACROS", "VIEWS"]

_SCORE_BIN_PANES = """
select model_id, 'event' as time_basis, event_pane_s as pane_s, kind, label, prediction,
    unnest(bins) as bin, unnest(counts) as count, block_seq
from score_bins
union all
select model_id, 'label', label_pane_s, kind, label, prediction, unnest(bins), unnest(counts),
    block_seq
from score_bins
"""

VIEWS: dict[str, str] = {
    "_score_bin_panes": _SCORE_BIN_PANES,
    **RECORD_VIEWS,
    **CONFUSION_VIEWS,
    **METRIC_VALUE_VIEWS,
    **METRIC_VIEWS,
    **DRIFT_VIEWS,
    **RULE_VIEWS,
    **ANOMALY_VIEWS,
    **STEP_VIEWS,
    **PROCESSING_VIEWS,
    **CHANGE_VIEWS,
    **TOPIC_VIEWS,
}

MACROS: dict[str, str] = {**ANOMALY_MACROS}
"""Public table macros: a name to its parameters and SELECT, as they follow on CREATE MACRO."""
