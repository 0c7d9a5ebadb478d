"""Counts, aggregates of numeric properties and regression errors over rolling windows, as SQL.

Functions AR-F01 to AR-F07. Every window adds its own panes in the order of time, and a pane its
blocks in the order of their lines: sums are the same to the last bit however the rows lie.
"""

from engine.metric_steps import changed_rows

__all__ = ["NUMBER_VIEWS"]

# The only metric that an empty window has a value of.
_COUNT = changed_rows(
    """
    select
        model_id, time_basis, step, end_s, null::varchar as series, label_coverage,
        case when time_basis = 'event' then events else labelled end as sample_count,
        [case when time_basis = 'event' then events else labelled end::double] as amounts
    from _steps
    """,
    ("count",),
    empty="[0.0]",
)

_VALUE_PANES = """
select
    model_id, pane_s, property, sum(count)::bigint as n, sum(sum order by block_seq) as total,
    min(min) as least, max(max) as greatest
from value_panes where count <> 0
group by model_id, pane_s, property having sum(count) <> 0
"""

_VALUES = changed_rows(
    """
    select
        s.model_id, s.time_basis, s.step, s.end_s, p.property as series, s.label_coverage,
        coalesce(w.n, 0)::bigint as sample_count,
        [w.total / w.n, w.least, w.greatest] as amounts
    from _steps as s
    join (select distinct model_id, property from value_panes where count > 0) as p
        on p.model_id = s.model_id
    left join (
        select
            model_id, property, step, sum(n) as n, sum(total order by pane_s) as total,
            min(least) as least, max(greatest) as greatest
        from (
            select
                x.model_id, x.property, x.pane_s, x.n, x.total, x.least, x.greatest,
                unnest(range(e.first_step, e.leave_step)) as step
            from _value_panes as x
            join _pane_steps as e on e.model_id = x.model_id and e.pane_s = x.pane_s
            where e.time_basis = 'event'
        )
        group by model_id, property, step
    ) as w on w.model_id = s.model_id and w.property = p.property and w.step = s.step
    where s.time_basis = 'event'
    """,
    ("avg", "min", "max"),
)

_ERROR_STEPS = """
select
    x.model_id, x.time_basis, x.pane_s, x.block_seq, x.count as n, x.squared_error,
    x.absolute_error, x.label_mean, x.label_m2,
    unnest(range(e.first_step, e.leave_step)) as step
from error_panes as x
join _pane_steps as e
    on e.model_id = x.model_id and e.time_basis = x.time_basis and e.pane_s = x.pane_s
where x.count <> 0
"""

# Squares about the window's own mean (Chan, Golub & LeVeque 1983), in a second pass. Labels that
# are all one number have a mean that may be an ulp off: a spread of 8 ulp and less is none, and R²
# undefined, as it is where sums went beyond the range of a double.
_ERRORS = changed_rows(
    """
    select
        s.model_id, s.time_basis, s.step, s.end_s, null::varchar as series, s.label_coverage,
        coalesce(w.n, 0)::bigint as sample_count,
        [
            sqrt(w.squared / w.n), w.absolute / w.n,
            case when isfinite(w.squared) and isfinite(w.spread)
                    and w.spread > w.n * pow(8 * 2.220446049250313e-16 * w.mean, 2)
                then 1 - w.squared / w.spread end
        ] as amounts
    from _steps as s
    join (select distinct model_id from error_panes where count > 0) as k
        on k.model_id = s.model_id
    left join (
        select
            x.model_id, x.time_basis, x.step, any_value(m.n) as n, any_value(m.mean) as mean,
            any_value(m.squared) as squared, any_value(m.absolute) as absolute,
            sum(x.label_m2 + x.n * pow(x.label_mean - m.mean, 2) order by x.pane_s, x.block_seq)
                as spread
        from _error_steps as x
        join (
            select
                model_id, time_basis, step, sum(n) as n,
                sum(squared_error order by pane_s, block_seq) as squared,
                sum(absolute_error order by pane_s, block_seq) as absolute,
                sum(n * label_mean order by pane_s, block_seq) / sum(n) as mean
            from _error_steps group by model_id, time_basis, step
        ) as m on m.model_id = x.model_id and m.time_basis = x.time_basis and m.step = x.step
        group by x.model_id, x.time_basis, x.step
    ) as w on w.model_id = s.model_id and w.time_basis = s.time_basis and w.step = s.step
    """,
    ("rmse", "mae", "rSquared"),
    # R² is a difference from 1, and rounded as such.
    size="case when metric_name = 'rSquared' then greatest(1, abs(value)) else abs(value) end",
)

NUMBER_VIEWS: dict[str, str] = {
    "_metric_count": _COUNT,
    "_value_panes": _VALUE_PANES,
    "_metric_values": _VALUES,
    "_error_steps": _ERROR_STEPS,
    "_metric_errors": _ERRORS,
}
