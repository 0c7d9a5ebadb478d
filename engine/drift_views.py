"""The public relations `drift_values` and `drift_bins`: drift over rolling windows, on read.

The contract of their rows:

- A row of `drift_metrics` has a lookback L and a step S in whole seconds. Its windows are
  [end - L, end) for every `end` that is a multiple of S, from the first that holds a pane to the
  one that the last pane has left; a window holds the panes that start in it.
- Only the highest version of a binning counts: its bins, its reference, its panes.
- `drift_values`: PSI, KLDivergence, JSDivergence and HellingerDistance, with the smoothing and the
  formulas of `engine.drift`. HypothesisTest is left out: its p-value takes a distribution that SQL
  does not have; what a rule saw of it is in `evaluations`.
- A row of `drift_values` whose value and sample count equal those one step before is absent (NULL
  equals NULL; before the first pane: value NULL, sample count 0). So the row in force at a time
  is the last one with `window_end` at or before it, and one row with value NULL and sample count 0
  marks the step at which a window became empty. Values that differ by no more than 1e-14 (of
  their size, where that is above 1) are equal: they are sums of shares, and that is rounding.
- `drift_bins`: every window that holds anything, the repeats too, so that there are rows for any
  window that a rule can have seen, and the first that holds nothing any more.
- `threshold`: the dynamic one for windows of this size (their ranges are disjoint), else the
  lowest fixed one of a rule in force on the metric, else NULL.
- Final up to the watermark; interim rows reach to the first multiple of S after the last event.
- Undefined is NULL, never 0: value and `target_share` of an empty window, value and
  `reference_share` of an empty reference.

Cost: the panes of the model that hold data, times its bins; `drift_bins` has L / S rows per bin and
pane more where a pane is as long as a step. All steps keep model and property, so that a filter on
them comes first, and the panes of other binnings are not read where they lie by themselves.
"""

__all__ = ["DRIFT_VIEWS"]

_DRIFT_SERIES = """
select distinct d.model_id, d.property, d.binning, b.version, d.lookback_s, d.step_s
from drift_metrics as d
join (
    select binning, version from binnings
    qualify version = max(version) over (partition by binning)
) as b on b.binning = d.binning
"""

# What enters and leaves at the ends of windows, by bin. Grouped only after both were told apart:
# sums straight above the join would be made below it, of all panes of all models. Twice the
# remainder: floors times before 1970 as well.
_DRIFT_CHANGES = """
select
    model_id, property, binning, version, lookback_s, step_s, end_s, bin, sum(count) as count
from (
    select
        s.model_id, s.property, s.binning, s.version, s.lookback_s, s.step_s, p.bin,
        unnest([
            p.pane_s + s.step_s - (p.pane_s % s.step_s + s.step_s) % s.step_s,
            p.pane_s + s.lookback_s + s.step_s
                - ((p.pane_s + s.lookback_s) % s.step_s + s.step_s) % s.step_s
        ]) as end_s,
        unnest([p.count, -p.count]) as count
    from bin_panes as p
    join _drift_series as s on s.binning = p.binning and s.version = p.version
)
group by all
"""

# Counts roll from one end to the next: exact in integers.
_DRIFT_ENDS = """
select
    model_id, property, binning, version, lookback_s, step_s, end_s,
    lead(end_s) over w as next_end_s,
    (sum(sum(count)) over (w rows unbounded preceding))::bigint as size
from _drift_changes
group by model_id, property, binning, version, lookback_s, step_s, end_s
window w as (
    partition by model_id, property, binning, version, lookback_s, step_s order by end_s
)
"""

_DRIFT_ROLLED = """
select
    e.model_id, e.property, e.binning, e.version, e.lookback_s, e.step_s, e.end_s, e.next_end_s,
    e.size, b.bin, b.lower, b.upper, b.category, b.reference_count as reference,
    coalesce(sum(c.count) over (
        partition by
            e.model_id, e.property, e.binning, e.version, e.lookback_s, e.step_s, b.bin
        order by e.end_s rows unbounded preceding
    ), 0)::bigint as target
from _drift_ends as e
join bin_edges as b on b.binning = e.binning and b.version = e.version
left join _drift_changes as c
    on c.model_id = e.model_id and c.property = e.property and c.binning = e.binning
    and c.version = e.version and c.lookback_s = e.lookback_s and c.step_s = e.step_s
    and c.end_s = e.end_s and c.bin = b.bin
"""

# The twin of `engine.drift.shares`, in its order of operations; p and q are NULL where they are
# undefined or count for nothing.
_DRIFT_SHARED = """
select
    *,
    case when half > 0 and size > 0 and base > 0
        then (reference::double * size / base + half) / (size + halves) end as p,
    case when half > 0 and size > 0 and base > 0
        then (target + half) / (size + halves) end as q
from (
    select
        *,
        case when reference > 0 or target > 0 then 0.5::double else 0 end as half,
        (sum(reference) over every)::bigint as base,
        0.5::double * count(*) filter (reference > 0 or target > 0) over every as halves
    from _drift_rolled
    window every as (
        partition by model_id, property, binning, version, lookback_s, step_s, end_s
    )
)
"""

# Sums go in the order of the bins, so that equal counts give equal values.
_DRIFT_MEASURED = """
select
    model_id, property, binning, version, lookback_s, step_s, end_s,
    any_value(size) as sample_count,
    case when any_value(size) > 0 and any_value(base) > 0 then [
        greatest(sum((q - p) * ln(q / p) order by bin), 0),
        greatest(sum(q * ln(q / p) order by bin), 0),
        greatest(sum(
            (q * ln(q / ((p + q) / 2)) + p * ln(p / ((p + q) / 2))) / 2 order by bin
        ), 0),
        sqrt(greatest(sum(pow(sqrt(q) - sqrt(p), 2) / 2 order by bin), 0))
    ] end as amounts
from _drift_shared
group by all
"""

_MEASURES = "['PSI', 'KLDivergence', 'JSDivergence', 'HellingerDistance']"

_DRIFT_CHANGED = """
select
    model_id, property, binning, version, lookback_s, step_s, end_s, sample_count, measure, value
from (
    select
        model_id, property, binning, version, lookback_s, step_s, end_s, sample_count,
        sample_count is distinct from count_before as moved,
        unnest(@measures@) as measure,
        unnest(coalesce(amounts, [null, null, null, null])) as value,
        unnest(coalesce(amounts_before, [null, null, null, null])) as value_before
    from (
        select
            *,
            coalesce(lag(sample_count) over w, 0) as count_before,
            lag(amounts) over w as amounts_before
        from _drift_measured
        window w as (
            partition by model_id, property, binning, version, lookback_s, step_s order by end_s
        )
    )
)
where moved or not (
    value is not distinct from value_before
    or coalesce(abs(value - value_before) <= 1e-14 * greatest(abs(value), 1), false)
)
""".replace("@measures@", _MEASURES)

_DRIFT_VALUES = """
select
    f.model_id, m.metric_id::uuid as metric_id, f.property, f.measure,
    make_timestamp((f.end_s - f.lookback_s) * 1000000) as window_start,
    make_timestamp(f.end_s * 1000000) as window_end,
    f.value, coalesce(d.threshold, r.threshold) as threshold, f.sample_count,
    f.version as reference_version,
    coalesce(make_timestamp(f.end_s * 1000000) > c.watermark, true) as is_interim,
    f.binning
from _drift_changed as f
join drift_metrics as m
    on m.model_id = f.model_id and m.property = f.property and m.binning = f.binning
    and m.lookback_s = f.lookback_s and m.step_s = f.step_s and m.measure = f.measure
left join drift_thresholds as d
    on d.metric_id = m.metric_id and d.version = f.version and d.lookback_s = f.lookback_s
    and f.sample_count between d.sample_low and d.sample_high
left join (
    select metric_id, min(threshold) as threshold from rules_log where in_force group by metric_id
) as r on r.metric_id = m.metric_id
cross join clock as c
where make_timestamp((f.end_s - f.step_s) * 1000000) <= c.last_event
    or make_timestamp(f.end_s * 1000000) <= c.watermark
"""

# Up to the next end at which something changes, windows that hold anything repeat; of those that
# do not, there is the first.
_DRIFT_BINS = """
select
    f.model_id, f.property, f.version as reference_version, f.bin, f.lower, f.upper, f.category,
    make_timestamp((f.end_s - f.lookback_s) * 1000000) as window_start,
    make_timestamp(f.end_s * 1000000) as window_end,
    f.reference / nullif(f.base, 0) as reference_share,
    f.target / nullif(f.size, 0) as target_share,
    f.reference as reference_count, f.target as target_count, f.contribution, f.binning
from (
    select
        * exclude (end_s),
        case when size > 0 and base > 0 then coalesce((q - p) * ln(q / p), 0) end
            as contribution,
        unnest(case when size > 0 then range(end_s, next_end_s, step_s) else [end_s] end) as end_s
    from (
        select
            *,
            lag(size) over (
                partition by model_id, property, binning, version, lookback_s, step_s, bin
                order by end_s
            ) as size_before
        from _drift_shared
    )
    where size > 0 or size_before > 0
) as f
cross join clock as c
where make_timestamp((f.end_s - f.step_s) * 1000000) <= c.last_event
    or make_timestamp(f.end_s * 1000000) <= c.watermark
"""

DRIFT_VIEWS: dict[str, str] = {
    "_drift_series": _DRIFT_SERIES,
    "_drift_changes": _DRIFT_CHANGES,
    "_drift_ends": _DRIFT_ENDS,
    "_drift_rolled": _DRIFT_ROLLED,
    "_drift_shared": _DRIFT_SHARED,
    "_drift_measured": _DRIFT_MEASURED,
    "_drift_changed": _DRIFT_CHANGED,
    "drift_values": _DRIFT_VALUES,
    "drift_bins": _DRIFT_BINS,
}
