"""The public relation `metric_values`: every default metric over rolling windows, computed on read.

The contract of its rows:

- A model has a lookback L and a step S in whole seconds. Its windows are [end - L, end) for every
  `end` that is a multiple of S; a window holds the panes that start in it.
- There is conceptually one row for every step from the model's first event on, for every metric of
  the model, time basis and class. A row whose value, sample count and label coverage equal those
  one step before is absent (NULL equals NULL; before the first event there is nothing: value
  NULL, 0 for `count`, sample count 0, coverage NULL). So the row in force at a time is the last
  one with `window_end` at or before it, and a quiet model has no rows. Values that differ by no
  more than 1e-14 of their size count as equal: that is rounding.
- `time_basis` 'event': an event counts at its own time; 'label': a labelled event counts when its
  label came. Aggregates of properties have the event basis only.
- `label_coverage`: labelled events by events of the window, NULL without events; in the label basis
  1.0, NULL without labelled events.
- `sample_count`: what the value is computed from. `count`: events (labelled ones in the label
  basis); `avg`, `min`, `max`: values; all others: the labelled events that have the cell, score or
  numbers asked for.
- Per class (`class_or_group`) there are rows for the classes that are label or prediction in the
  window; a class that is not counts as empty, so that one row with NULL marks the step at which it
  left. The row with `class_or_group` NULL is the mean over the classes of the window for which the
  metric is defined.
- Rows with `window_end` ≤ the watermark are final; interim ones reach to the first multiple of S
  after the last event; there are none beyond it.
- Undefined is NULL, never 0.

Cost: proportional to the panes that hold data, times L / S for sums of floats, classes and AUC.
"""

from engine.metric_classes import CLASS_VIEWS
from engine.metric_numbers import NUMBER_VIEWS
from engine.metric_scores import SCORE_VIEWS
from engine.metric_steps import STEP_VIEWS
from engine.metrics import METRIC_ID_SQL

__all__ = ["METRIC_VALUE_VIEWS"]

# View of a family, and SQL of function, property and class_or_group by its `series`.
_NOTHING = "null::varchar"
_FAMILIES: tuple[tuple[str, str, str, str], ...] = (
    ("_metric_count", "metric_name", _NOTHING, _NOTHING),
    ("_metric_accuracy", "metric_name", _NOTHING, _NOTHING),
    ("_metric_macro", "metric_name", _NOTHING, _NOTHING),
    ("_metric_per_class", "metric_name", _NOTHING, "series"),
    ("_metric_binary", "metric_name", _NOTHING, _NOTHING),
    ("_metric_loss", "metric_name", _NOTHING, _NOTHING),
    ("_metric_auc", "metric_name", _NOTHING, _NOTHING),
    ("_metric_calibration", "metric_name", _NOTHING, _NOTHING),
    ("_metric_errors", "metric_name", _NOTHING, _NOTHING),
    ("_metric_values", "metric_name", "series", _NOTHING),
)

_FAMILY = """
select
    model_id, @name@ as metric_name, @function@ as function, @property@ as property,
    @class@ as class_or_group, time_basis, end_s, value, sample_count, label_coverage
from @view@
"""

_METRIC_VALUES = """
select
    f.model_id, @id@ as metric_id, f.metric_name, f.class_or_group, f.time_basis,
    make_timestamp((f.end_s - m.lookback_s) * 1000000) as window_start,
    make_timestamp(f.end_s * 1000000) as window_end,
    f.value, f.sample_count, f.label_coverage,
    coalesce(make_timestamp(f.end_s * 1000000) > c.watermark, true) as is_interim,
    f.function, f.property
from (@families@) as f
join models_known as m on m.model_id = f.model_id
cross join clock as c
where make_timestamp((f.end_s - m.step_s) * 1000000) <= c.last_event
    or make_timestamp(f.end_s * 1000000) <= c.watermark
"""


def _family(view: str, function: str, series: str, group: str) -> str:
    """Write the SELECT that brings one family into the form of all."""
    name = "metric_name || '(' || series || ')'" if series == "series" else "metric_name"
    return (
        _FAMILY.replace("@name@", name)
        .replace("@function@", function)
        .replace("@property@", series)
        .replace("@class@", group)
        .replace("@view@", view)
    )


METRIC_VALUE_VIEWS: dict[str, str] = {
    **STEP_VIEWS,
    **NUMBER_VIEWS,
    **CLASS_VIEWS,
    **SCORE_VIEWS,
    "metric_values": _METRIC_VALUES.replace(
        "@families@", " union all ".join(_family(*family) for family in _FAMILIES)
    ).replace("@id@", METRIC_ID_SQL.replace("model_id", "f.model_id")),
}
