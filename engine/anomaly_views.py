"""The public relations of anomaly jobs: results, what changed in them, jobs, snapshots, calendars.

Every view only reads the tables of `engine.anomaly_tables`, so that a filter reaches their scan.
`timestamp` is the start of a bucket and belongs to it; `bucket_span` is in seconds. Times are event
time.
"""

from engine.anomaly.scores.normalizer import CEILINGS

__all__ = ["ANOMALY_MACROS", "ANOMALY_VIEWS"]

_CEILING = f"{list(CEILINGS)}[ceiling + 1] as ceiling"

_BUCKETS = """
select
    job_id, timestamp, span_s as bucket_span, score as anomaly_score,
    initial_score as initial_anomaly_score, event_count, is_interim, processing_time_ms,
    late_event_count, scheduled_events, 'bucket' as result_type
from bucket_results
"""

_BUCKET_INFLUENCERS = f"""
select
    job_id, timestamp, span_s as bucket_span, field_name as influencer_field_name,
    field_value as influencer_field_value, score as anomaly_score,
    initial_score as initial_anomaly_score, raw_score as raw_anomaly_score, probability,
    is_interim, {_CEILING}, 'bucket_influencer' as result_type
from bucket_influencer_results
"""

_INFLUENCERS = f"""
select
    job_id, timestamp, span_s as bucket_span, field_name as influencer_field_name,
    field_value as influencer_field_value, score as influencer_score,
    initial_score as initial_influencer_score, raw_score as raw_influencer_score, probability,
    is_interim, {_CEILING}, 'influencer' as result_type
from influencer_results
"""

_RECORDS = f"""
select
    job_id, timestamp, span_s as bucket_span, detector_index, function, function_description,
    field_name, by_field_name, by_field_value, over_field_name, over_field_value,
    partition_field_name, partition_field_value, actual, typical, lower, upper, probability,
    score as record_score, initial_score as initial_record_score,
    raw_score as raw_record_score, multi_bucket_impact, influencers, causes, explanation,
    is_interim, {_CEILING}, 'record' as result_type
from record_results
"""

_MODEL_PLOT = """
select
    job_id, timestamp, span_s as bucket_span, detector_index, function, by_field_value,
    over_field_value, partition_field_value, actual, typical, lower, upper
from model_plot
"""

_SCORE_CHANGES = """
select
    job_id, timestamp, result, influencer_field_name, influencer_field_value, detector_index,
    function_description, by_field_value, over_field_value, partition_field_value, old_score,
    new_score, cause, changed_time
from score_changes
"""

_JOBS = """
select
    j.job_id, j.model_id, j.type, j.span_s as bucket_span, j.detectors, j.influencers, j.filter,
    j.time_basis, to_microseconds(j.latency_us) as latency, to_seconds(j.frequency_s) as frequency,
    j.normalizer, to_seconds(j.renormalization_window_s) as renormalization_window,
    j.memory_limit_bytes, to_microseconds(j.results_retention_us) as results_retention,
    to_seconds(j.snapshot_s) as snapshot_interval,
    to_seconds(j.snapshot_retention_s) as snapshot_retention,
    to_seconds(j.daily_snapshot_after_s) as daily_snapshot_after, j.description, j.groups,
    j.enabled, coalesce(c.status, 'waiting') as status, j.from_time
from anomaly_jobs_known as j left join anomaly_counters as c using (job_id)
where j.in_force
"""

_JOB_STATS = """
select
    job_id, status, processed_record_count, out_of_order_timestamp_count, missing_field_count,
    bucket_count, empty_bucket_count, sparse_bucket_count,
    earliest_record as earliest_record_timestamp, latest_record as latest_record_timestamp,
    latest_empty_bucket as latest_empty_bucket_timestamp,
    latest_sparse_bucket as latest_sparse_bucket_timestamp, series_count, unmodelled_entity_count,
    memory_bytes, memory_status, processing_ms_min as bucket_processing_ms_min,
    processing_ms_max as bucket_processing_ms_max, processing_ms_mean as bucket_processing_ms_mean,
    processing_ms_ewma as bucket_processing_ms_ewma
from anomaly_counters
"""

_SNAPSHOTS = """
select
    job_id, snapshot_id, timestamp, description, retain, size as model_bytes,
    make_timestamp(next_start_s * 1000000) as next_timestamp
from model_snapshots
"""

_CALENDARS = """
select calendar_id, description, job_ids, event_description, start_time, end_time
from calendars_known
"""

# ELi-10. A bucket counts where it starts; a job without a bucket in a span has no part in it.
_OVERALL = """
select
    timestamp, bucket_span, list_avg(list_slice(scores, 1, {top_n})) as overall_score, jobs,
    is_interim
from (
    select
        timestamp, any_value(bucket_span) as bucket_span,
        list(score order by score desc) as scores,
        list({{'job_id': job_id, 'max_anomaly_score': score}} order by job_id) as jobs,
        bool_or(is_interim) as is_interim
    from (
        select
            time_bucket(to_seconds(overall.bucket_span), timestamp, timestamp '1970-01-01')
                as timestamp,
            any_value(overall.bucket_span) as bucket_span, job_id, max(score) as score,
            bool_or(is_interim) as is_interim
        from bucket_results
        cross join (select {span} as bucket_span from bucket_results where {chosen}) as overall
        where {chosen}
        group by 1, job_id
    )
    group by timestamp
)
"""

_GIVEN_SPAN = """case
            when span_s is null then max(bucket_results.span_s)
            when span_s >= max(bucket_results.span_s) then span_s
            else error(
                '`span_s` must be at least the longest span, ' || max(bucket_results.span_s)
                || ', got ' || span_s)
        end"""

ANOMALY_VIEWS: dict[str, str] = {
    "anomaly_buckets": _BUCKETS,
    "anomaly_bucket_influencers": _BUCKET_INFLUENCERS,
    "anomaly_influencers": _INFLUENCERS,
    "anomaly_records": _RECORDS,
    "anomaly_model_plot": _MODEL_PLOT,
    "anomaly_score_changes": _SCORE_CHANGES,
    "anomaly_overall_buckets": _OVERALL.format(top_n=1, span="max(span_s)", chosen="true"),
    "anomaly_jobs": _JOBS,
    "anomaly_job_stats": _JOB_STATS,
    "anomaly_snapshots": _SNAPSHOTS,
    "anomaly_annotations": (
        "select job_id, timestamp, end_timestamp, event, annotation from annotations_log"
    ),
    "anomaly_calendars": _CALENDARS,
}

ANOMALY_MACROS: dict[str, str] = {
    "anomaly_overall_buckets": "(top_n := 1, span_s := null, job_ids := null) as table"
    + _OVERALL.format(
        top_n="top_n",
        span=_GIVEN_SPAN,
        chosen="(job_ids is null or list_contains(job_ids, job_id))",
    ),
}
"""Table macros: a name to its parameters and SELECT, as they follow on CREATE MACRO."""
