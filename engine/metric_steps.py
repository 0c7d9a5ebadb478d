"""The window ends at which a metric can change, and the forms that all metrics are written in.

A window [end - L, end) of a model slides by its step S. Its content changes only where a pane
enters (the first end behind the pane's start) or leaves (the first end more than L behind it), so
only these ends are looked at: they are numbered 1, 2, … per model and time basis, and whatever lies
between two of them repeats the former. Cost: two rows per pane that holds data, however long the
model was quiet in between.

Whole counts are summed up from one such step to the next, adding what enters and taking back what
leaves: exact in integers. Sums of floats are never taken back: each window adds its own panes, in
the order of time (`unnest(range(first_step, leave_step))` names the steps that a pane is part of).
"""

from collections.abc import Sequence

__all__ = ["STEP_VIEWS", "changed_rows", "rolled"]

# What the formulas ask of a model. `positive`: declared, or the greater of exactly two classes,
# those declared and those that the labelled events have, as label or prediction. The learned ones
# of `model_classes` do not count: it remembers classes that were corrected away, and so depends on
# the order of arrival.
# `cut_bin`: scores from this bin on are predicted positive; bin 2k is k/1000, so that a threshold
# which is no multiple of 0.001 is rounded up to the next one (the inner rounding removes the
# residue of the product, as 0.57 * 1000 = 569.9999999999999).
# `two_sided`: a score says something about every class, so that loss and AUC have a meaning.
_METRIC_MODELS = """
select
    k.model_id, k.lookback_s, k.step_s, k.positive_property,
    coalesce(k.positive, c.greater) as positive,
    (2 * ceil(round(coalesce(k.threshold, 0.5) * 1000, 6)))::integer as cut_bin,
    k.positive_property is not null or c.greater is not null as two_sided
from models_known as k
left join (
    select model_id, max(class) as greater
    from (
        select model_id, unnest([label, prediction]) as class from cell_panes
        where time_basis = 'event'
        group by model_id, label, prediction having sum(count) <> 0
        union all
        select model_id, class from model_classes where place is not null
    )
    group by model_id having count(distinct class) = 2
) as c on c.model_id = k.model_id
"""

# Twice the remainder: floors times before 1970 as well.
_PANE_EDGES = """
select
    model_id, time_basis, pane_s, end_s, events, labelled,
    dense_rank() over (partition by model_id, time_basis order by end_s) as step
from (
    select
        t.model_id, t.time_basis, t.pane_s,
        unnest([
            t.pane_s + m.step_s - (t.pane_s % m.step_s + m.step_s) % m.step_s,
            t.pane_s + m.lookback_s + m.step_s
                - ((t.pane_s + m.lookback_s) % m.step_s + m.step_s) % m.step_s
        ]) as end_s,
        unnest([t.events, -t.events]) as events,
        unnest([t.labelled, -t.labelled]) as labelled
    from (
        select
            model_id, time_basis, pane_s,
            sum(events)::bigint as events, sum(labelled)::bigint as labelled
        from total_panes group by model_id, time_basis, pane_s having sum(events) <> 0
    ) as t
    join _metric_models as m on m.model_id = t.model_id
)
"""

_PANE_STEPS = """
select model_id, time_basis, pane_s, min(step) as first_step, max(step) as leave_step
from _pane_edges group by model_id, time_basis, pane_s
"""

_STEPS = """
select
    model_id, time_basis, step, end_s, events, labelled,
    case
        when time_basis = 'event' then labelled / nullif(events, 0)
        when labelled > 0 then 1.0
    end as label_coverage
from (
    select
        model_id, time_basis, step, end_s,
        (sum(events) over w)::bigint as events, (sum(labelled) over w)::bigint as labelled
    from (
        select
            model_id, time_basis, step, end_s,
            sum(events) as events, sum(labelled) as labelled
        from _pane_edges group by model_id, time_basis, step, end_s
    )
    window w as (
        partition by model_id, time_basis order by step rows unbounded preceding
    )
)
"""

STEP_VIEWS: dict[str, str] = {
    "_metric_models": _METRIC_MODELS,
    "_pane_edges": _PANE_EDGES,
    "_pane_steps": _PANE_STEPS,
    "_steps": _STEPS,
}

_ROLLED = """
select
    s.model_id, s.time_basis, s.step, s.end_s, s.label_coverage, @rolled@
from _steps as s
left join (
    select model_id, time_basis, step, @summed@
    from (
        select
            p.model_id, p.time_basis, unnest([p.first_step, p.leave_step]) as step, @signed@
        from (
            select
                e.model_id, e.time_basis, e.first_step, e.leave_step, @taken@
            from (@panes@) as x
            join _pane_steps as e
                on e.model_id = x.model_id and e.time_basis = x.time_basis and e.pane_s = x.pane_s
        ) as p
    )
    group by model_id, time_basis, step
) as d on d.model_id = s.model_id and d.time_basis = s.time_basis and d.step = s.step
window
    w as (partition by s.model_id, s.time_basis order by s.step rows unbounded preceding),
    every as (partition by s.model_id, s.time_basis)
qualify count(d.step) over every > 0
"""

_CHANGED = """
select
    model_id, time_basis, end_s, series, metric_name, value, sample_count, label_coverage
from (
    select
        model_id, time_basis, end_s, series, sample_count, label_coverage, moved,
        @name@ as metric_name, unnest(amounts) as value, unnest(amounts_before) as value_before
    from (
        select
            model_id, time_basis, end_s, series, amounts, sample_count, label_coverage,
            case when adjacent then amounts_before else @empty@ end as amounts_before,
            sample_count is distinct from case when adjacent then count_before else 0 end
            or label_coverage is distinct from case when adjacent then coverage_before end as moved
        from (
            select
                *,
                coalesce(lag(step) over w = step - 1, false) as adjacent,
                lag(amounts) over w as amounts_before,
                lag(sample_count) over w as count_before,
                lag(label_coverage) over w as coverage_before
            from (@wide@)
            window w as (partition by model_id, time_basis, series order by step)
        )
    )
)
where moved or not (
    value is not distinct from value_before
    or coalesce(abs(value - value_before) <= 1e-14 * @size@, false)
)
"""


def rolled(panes: str, columns: Sequence[str]) -> str:
    """Sum whole counts over the window of every step of the models that have any.

    Parameters
    ----------
    panes : str
        SELECT of `model_id`, `time_basis`, `pane_s` and `columns`, integers; only panes with data.
    columns : sequence of str
        The columns to sum.

    Returns
    -------
    str
        SELECT of `model_id`, `time_basis`, `step`, `end_s`, `label_coverage` and `columns`, one row
        per step of each model that has a pane here; 0 where the window holds none.
    """
    return (
        _ROLLED.replace("@panes@", panes)
        .replace("@taken@", ", ".join(f"x.{c}" for c in columns))
        .replace("@signed@", ", ".join(f"unnest([p.{c}, -p.{c}]) as {c}" for c in columns))
        .replace("@summed@", ", ".join(f"sum({c}) as {c}" for c in columns))
        .replace(
            "@rolled@", ", ".join(f"coalesce(sum(d.{c}) over w, 0)::bigint as {c}" for c in columns)
        )
    )


def changed_rows(
    wide: str, names: Sequence[str], empty: str = "null", size: str = "abs(value)"
) -> str:
    """Turn rows with one list of values each into one row per metric, without the repeats.

    A row is a repeat when value, sample count and label coverage equal those one step before; a
    step without a row of the series counts as empty. Values that differ by no more than 1e-14 of
    their size are equal: that is rounding, and depends on how blocks were cut.

    Parameters
    ----------
    wide : str
        SELECT of `model_id`, `time_basis`, `step`, `end_s`, `series`, `amounts` (DOUBLE[], in the
        order of `names`), `sample_count`, `label_coverage`.
    names : sequence of str
        Names of the metrics in `amounts`. With a single name, the column is a constant and a query
        for other metrics never computes this family.
    empty : str
        SQL of the amounts of an empty window; NULL by default.
    size : str
        SQL of the size that rounding is measured by, where it is not that of the value.
    """
    quoted = ", ".join(f"'{name}'" for name in names)
    name = quoted if len(names) == 1 else f"unnest([{quoted}])"
    form = _CHANGED.replace("@name@", name).replace("@empty@", empty).replace("@size@", size)
    return form.replace("@wide@", wide)
