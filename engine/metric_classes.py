"""Metrics of a confusion matrix over rolling windows, as SQL: of the whole, and class by class.

One-vs-rest for a class, from four counts of the window: `hits` (label and prediction), `actual`
(label), `predicted`, and `n`: TP = hits, FN = actual - hits, FP = predicted - hits,
TN = n - actual - predicted + hits. Functions AR-F19 to AR-F23 of the contract, and macro means.
"""

from engine.metric_steps import changed_rows, rolled

__all__ = ["CLASS_VIEWS"]

_CELL_TOTALS = rolled(
    """
    select
        model_id, time_basis, pane_s, sum(count)::bigint as n,
        coalesce(sum(count) filter (where label = prediction), 0)::bigint as hits
    from cell_panes group by model_id, time_basis, pane_s having sum(count) <> 0
    """,
    ("n", "hits"),
)

_ACCURACY = changed_rows(
    """
    select
        model_id, time_basis, step, end_s, null::varchar as series, label_coverage,
        n as sample_count, [hits / nullif(n, 0), hits / nullif(n, 0)] as amounts
    from _cell_totals
    """,
    ("accuracy", "accuracyRateMulticlass"),
)

# A class counts at the steps of its panes, and with zeros at the step at which it left.
_CLASS_STEPS = """
select
    c.model_id, c.time_basis, c.class, c.step, t.end_s, t.n,
    c.actual + c.predicted > 0 as present, t.label_coverage,
    c.hits / nullif(c.actual, 0) as tpr,
    (t.n - c.actual - c.predicted + c.hits) / nullif(t.n - c.actual, 0) as tnr,
    (c.predicted - c.hits) / nullif(t.n - c.actual, 0) as fpr,
    (c.actual - c.hits) / nullif(c.actual, 0) as fnr,
    c.hits / nullif(c.predicted, 0) as prec,
    2 * c.hits / nullif(c.actual + c.predicted, 0) as f1,
    (t.n - c.actual - c.predicted + 2 * c.hits) / nullif(t.n, 0) as accuracy
from (
    select
        model_id, time_basis, class, step,
        coalesce(sum(actual) filter (where step < leave_step), 0)::bigint as actual,
        coalesce(sum(predicted) filter (where step < leave_step), 0)::bigint as predicted,
        coalesce(sum(hits) filter (where step < leave_step), 0)::bigint as hits
    from (
        select
            x.model_id, x.time_basis, x.class, x.actual, x.predicted, x.hits, e.leave_step,
            unnest(range(e.first_step, e.leave_step + 1)) as step
        from (
            select
                model_id, time_basis, pane_s, class, sum(actual)::bigint as actual,
                sum(predicted)::bigint as predicted, sum(hits)::bigint as hits
            from (
                select
                    model_id, time_basis, pane_s, unnest([label, prediction]) as class,
                    unnest([count, 0]) as actual, unnest([0, count]) as predicted,
                    unnest([case when label = prediction then count else 0 end, 0]) as hits
                from cell_panes
            )
            group by model_id, time_basis, pane_s, class having sum(actual) + sum(predicted) <> 0
        ) as x
        join _pane_steps as e
            on e.model_id = x.model_id and e.time_basis = x.time_basis and e.pane_s = x.pane_s
    )
    group by model_id, time_basis, class, step
) as c
join _cell_totals as t
    on t.model_id = c.model_id and t.time_basis = c.time_basis and t.step = c.step
"""

_PER_CLASS_NAMES = (
    "truePositiveRateMulticlass",
    "trueNegativeRateMulticlass",
    "falsePositiveRateMulticlass",
    "falseNegativeRateMulticlass",
    "precisionMulticlass",
    "f1Multiclass",
)

# The undefined NULLs of an absent class stand in for its empty window: 0 events, no coverage.
_PER_CLASS = changed_rows(
    """
    select
        model_id, time_basis, step, end_s, class as series,
        case when present then label_coverage end as label_coverage,
        case when present then n else 0 end as sample_count,
        case when present then [tpr, tnr, fpr, fnr, prec, f1]
            else [null, null, null, null, null, null]::double[] end as amounts
    from _class_steps
    """,
    _PER_CLASS_NAMES,
)

_RATES = ("tpr", "tnr", "fpr", "fnr", "prec", "f1", "accuracy")


def _exact_mean(column: str) -> str:
    """Write the mean of a rate, the same to the last bit however the rows lie.

    Sums of floats depend on the order of the rows, and ordering them costs ten times the sum. So a
    rate is added up as a whole number of 2^-100: exact down to rates of 2^-47, for 10^8 classes.
    """
    return (
        f"sum(({column} * pow(2, 100))::hugeint)::double / nullif(count({column}), 0)"
        f" / pow(2, 100) as {column}"
    )


# Means are over the classes of the window for which the rate is defined.
_MACRO = changed_rows(
    """
    select
        t.model_id, t.time_basis, t.step, t.end_s, null::varchar as series, t.label_coverage,
        t.n as sample_count, [c.tpr, c.tnr, c.fpr, c.fnr, c.prec, c.f1, c.accuracy] as amounts
    from _cell_totals as t
    left join (
        select model_id, time_basis, step, @means@
        from _class_steps where present group by model_id, time_basis, step
    ) as c on c.model_id = t.model_id and c.time_basis = t.time_basis and c.step = t.step
    """.replace("@means@", ", ".join(_exact_mean(rate) for rate in _RATES)),
    (*_PER_CLASS_NAMES, "macroOvrAccuracy"),
)

CLASS_VIEWS: dict[str, str] = {
    "_cell_totals": _CELL_TOTALS,
    "_class_steps": _CLASS_STEPS,
    "_metric_accuracy": _ACCURACY,
    "_metric_per_class": _PER_CLASS,
    "_metric_macro": _MACRO,
}
