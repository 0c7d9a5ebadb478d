"""The default metrics: their names, kinds and ids, and the public relation `metrics` of all.

Every model has those that its data allow (AR-49): a metric exists as soon as there is one value for
it to be computed from. A name is the function's, with the property where one is needed:
`accuracyRate`, `avg(features.age)`.
"""

from dataclasses import dataclass
from uuid import UUID, uuid3

__all__ = [
    "AGGREGATES",
    "CATALOGUE",
    "METRIC_ID_SQL",
    "METRIC_NAMESPACE",
    "METRIC_TYPES",
    "METRIC_VIEWS",
    "MetricFunction",
    "metric_id",
    "property_type",
]

METRIC_TYPES = (
    "model_output_metric",
    "model_input_data_metric",
    "model_performance_metric",
    "model_data_drift_metric",
)
"""The four types of AR-45."""

METRIC_NAMESPACE = UUID("7b1f5a0e-93c4-5d52-8a61-2f6d0c9e4b17")
"""Namespace of the metric ids; random, and never to change."""


@dataclass(frozen=True, slots=True)
class MetricFunction:
    """One function of the catalogue.

    Attributes
    ----------
    name : str
        As the contract writes it.
    family : str
        What it is computed from: count, cells, binary, loss, auc, calibration or errors.
    type : str
        One of `METRIC_TYPES`.
    per_class : bool
        Whether there is a row per class beside the macro mean.
    source : str
        Id of the contract's item; empty for what Bellwether adds.
    """

    name: str
    family: str
    type: str = "model_performance_metric"
    per_class: bool = False
    source: str = ""


CATALOGUE: tuple[MetricFunction, ...] = (
    MetricFunction("count", "count", "model_output_metric", source="AR-F02"),
    MetricFunction("accuracy", "cells", source="ACi-17"),
    MetricFunction("macroOvrAccuracy", "cells", source="ACi-17"),
    MetricFunction("accuracyRateMulticlass", "cells", source="AR-F19"),
    MetricFunction("falseNegativeRateMulticlass", "cells", per_class=True, source="AR-F20"),
    MetricFunction("falsePositiveRateMulticlass", "cells", per_class=True, source="AR-F21"),
    MetricFunction("truePositiveRateMulticlass", "cells", per_class=True, source="AR-F22"),
    MetricFunction("trueNegativeRateMulticlass", "cells", per_class=True, source="AR-F23"),
    MetricFunction("precisionMulticlass", "cells", per_class=True),
    MetricFunction("f1Multiclass", "cells", per_class=True),
    MetricFunction("accuracyRate", "binary", source="AR-F08"),
    MetricFunction("balancedAccuracyRate", "binary", source="AR-F09"),
    MetricFunction("f1", "binary", source="AR-F10"),
    MetricFunction("falseNegativeRate", "binary", source="AR-F11"),
    MetricFunction("falsePositiveRate", "binary", source="AR-F12"),
    MetricFunction("precision", "binary", source="AR-F13"),
    MetricFunction("recall", "binary", source="AR-F14"),
    MetricFunction("sensitivity", "binary", source="AR-F15"),
    MetricFunction("specificity", "binary", source="AR-F16"),
    MetricFunction("truePositiveRate", "binary", source="AR-F17"),
    MetricFunction("trueNegativeRate", "binary", source="AR-F18"),
    MetricFunction("logLoss", "loss"),
    MetricFunction("brierScore", "loss"),
    MetricFunction("auc", "auc"),
    MetricFunction("calibrationError", "calibration"),
    MetricFunction("rmse", "errors", source="AR-F05"),
    MetricFunction("mae", "errors", source="AR-F06"),
    MetricFunction("rSquared", "errors", source="AR-F07"),
)
"""The metrics of a model as a whole."""

AGGREGATES = ("avg", "min", "max")
"""The metrics of each numeric property: AR-F01, AR-F03, AR-F04."""


def metric_id(model_id: str, name: str) -> UUID:
    """Id of a default metric: the same for ever, whatever arrived first.

    >>> metric_id("triage", "f1") == metric_id("triage", "f1")
    True
    """
    return uuid3(METRIC_NAMESPACE, f"{model_id}\0{name}")


def property_type(name: str) -> str:
    """Type of the metrics of a numeric property, by its qualified name.

    >>> property_type("features.age"), property_type("score")
    ('model_input_data_metric', 'model_output_metric')
    """
    output = name in {"prediction", "score"} or name.startswith(("predictions.", "labels."))
    return "model_output_metric" if output else "model_input_data_metric"


# RFC 9562 version 3 in SQL, the twin of `metric_id`: MD5 with the version and variant bits set.
METRIC_ID_SQL = """(
    substr(@md5@, 1, 12) || '3' || substr(@md5@, 14, 3)
    || translate(substr(@md5@, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab')
    || substr(@md5@, 18)
)::uuid""".replace(
    "@md5@",
    f"md5(from_hex('{METRIC_NAMESPACE.hex}') || encode(model_id || chr(0) || metric_name))",
)
"""The id of the row's `model_id` and `metric_name`."""

# Families of metrics whose data a model has, net of what was taken back.
_MODEL_FAMILIES = """
with cells as (
    select model_id from cell_panes group by model_id having sum(count) > 0
), bins as (
    select model_id, kind from _score_bin_panes group by model_id, kind having sum(count) > 0
)
select model_id, 'count' as family from models_known
union all
select model_id, 'cells' from cells
union all
select m.model_id, 'binary' from _metric_models as m
where m.positive is not null and (
    (m.positive_property is null and m.model_id in (select model_id from cells))
    or (m.positive_property is not null
        and m.model_id in (select model_id from bins where kind = 'positive'))
)
union all
select m.model_id, f.family
from _metric_models as m
join bins as b
    on b.model_id = m.model_id
    and b.kind = case when m.positive_property is null then 'score' else 'positive' end
join (values ('auc'), ('calibration')) as f(family)
    on case f.family
        when 'auc' then m.two_sided and m.positive is not null
        else m.positive_property is null or m.positive is not null
    end
union all
select p.model_id, 'loss' from probability_panes as p
join _metric_models as m on m.model_id = p.model_id
where m.two_sided group by p.model_id having sum(p.count) > 0
union all
select model_id, 'errors' from error_panes group by model_id having sum(count) > 0
"""


def _catalogue_sql() -> str:
    """Write the catalogue as rows of (name, family, type)."""
    rows = ", ".join(f"('{m.name}', '{m.family}', '{m.type}')" for m in CATALOGUE)
    return f"(values {rows}) as c(name, family, type)"


# Queries as `engine.query.parse_defaults` gives them.
_DEFAULTS = """
select
    f.model_id, c.name as metric_name, c.name as function, null::varchar as property, c.type,
    'query' as endpoint, to_json({'select': [{'function': c.name}]}) as query
from _model_families as f join @catalogue@ on c.family = f.family
union all
select
    p.model_id, a.name || '(' || p.property || ')', a.name, p.property,
    case when p.property in ('prediction', 'score')
            or starts_with(p.property, 'predictions.') or starts_with(p.property, 'labels.')
        then 'model_output_metric' else 'model_input_data_metric' end,
    'query', to_json({'select': [{'function': a.name, 'parameters': {'property': p.property}}]})
from (select distinct model_id, property from value_panes where count > 0) as p
cross join (values ('avg'), ('min'), ('max')) as a(name)
union all
select
    p.model_id, a.name || '(' || p.property || ')', a.name, p.property, 'model_data_drift_metric',
    'data_drift', to_json({
        'properties': [p.property], 'num_bins': 10, 'metric': a.name,
        'base': {'source': 'reference'}, 'target': {'source': 'inference'}
    })
from (select distinct model_id, property from binnings) as p
cross join (
    values ('PSI'), ('KLDivergence'), ('JSDivergence'), ('HellingerDistance'), ('HypothesisTest')
) as a(name)
""".replace("@catalogue@", _catalogue_sql())

# A metric of the file is one whatever data there are, and so is a default one that a rule watches.
_METRICS = """
select
    @id@ as metric_id, model_id, metric_name as name, function, property, type,
    true as is_default, endpoint, query
from _default_metrics as d
where not exists (
    from metrics_log as l where l.in_force and l.model_id = d.model_id and l.name = d.metric_name
)
union all
select
    metric_id::uuid, model_id, name,
    case endpoint when 'data_drift' then coalesce(query->>'$.metric', 'PSI')
        else query->>'$.select[0].function' end,
    case
        when endpoint = 'data_drift' then query->>'$.properties[0]'
        when json_type(query, '$.select[0].parameters.property') = 'VARCHAR'
            then query->>'$.select[0].parameters.property'
    end,
    type, is_default, endpoint, json(query)
from metrics_log where in_force
""".replace("@id@", METRIC_ID_SQL)

METRIC_VIEWS: dict[str, str] = {
    "_model_families": _MODEL_FAMILIES,
    "_default_metrics": _DEFAULTS,
    "metrics": _METRICS,
}
