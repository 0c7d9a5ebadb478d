"""The public relations of single lines: events, votes, rejects, progress, models and jobs, as SQL.

Every view only reads the tables of `engine.rows`, so that a filter on `model_id` or a range of
`event_time` reaches the scan of the facts and prunes row groups there. What costs something, the
JSON of `properties`, is computed for the rows that a query selects it for and for no others.
"""

__all__ = ["RECORD_VIEWS"]

# An outcome, where one is in force, decides the label; without one the label inside the prediction
# holds. The order of the merge is that of looking a bare name up: features, predictions, labels,
# then further fields, so that the strongest comes last. Named outcomes (`labels.x` settled by
# votes) are in `votes`; `properties` shows what the prediction itself said.
_EVENTS = """
select
    e.model_id, e.event_id, e.event_time, e.received_time,
    e.prediction, e.prediction_number,
    case when o.event_seq is null then e.label else o.label end as label,
    case when o.event_seq is null then e.label_number else o.label_number end as label_number,
    case
        when o.event_seq is not null then o.label_time
        when e.label is not null then e.event_time
    end as label_time,
    case
        when o.event_seq is not null then o.label_source
        when e.label is not null then 'prediction'
    end as label_source,
    e.score, e.positive_score,
    case when o.event_seq is null then e.label else o.label end = e.prediction as correct,
    e.job_id, e.batch_id, e.bucket_id,
    case
        when e.line is null then _kept_properties(e.shape_id, e.numbers)
        else _kept_plain(json_merge_patch(
            e.line::json,
            '{"type":null,"model_id":null,"id":null,"timestamp":null,"prediction":null,"label":null,
              "score":null,"features":null,"predictions":null,"labels":null,"job_id":null,
              "batch_id":null,"bucket_id":null}'::json,
            case when json_type(e.line, '$.labels') = 'OBJECT'
                then e.line::json -> '$.labels' else '{}'::json end,
            case when json_type(e.line, '$.predictions') = 'OBJECT'
                then e.line::json -> '$.predictions' else '{}'::json end,
            case when json_type(e.line, '$.features') = 'OBJECT'
                then e.line::json -> '$.features' else '{}'::json end
        ))
    end as properties,
    e.position, e.seq
from events_stored as e
anti join events_retired as r on r.seq = e.seq
left join (
    from outcomes as x anti join outcomes_retired as z on z.seq = x.seq where x.property = ''
) as o on o.event_seq = e.seq
"""

# The last admissible vote of a voter stands; the label breaks a tie in time. 30 days is the
# default of `label_horizon`, for a store whose settings were never written.
_VOTES = """
select
    model_id, event_id, voter, property, label, label_number, vote_time,
    admissible and row_number() over (
        partition by model_id, key, event_id, property, voter
        order by admissible desc, vote_time desc, label desc, label_number desc nulls last
    ) = 1 as standing
from (
    select
        v.*,
        coalesce(abs(epoch_us(v.vote_time) - epoch_us(e.event_time)) <= coalesce(
            (select s.value::bigint from settings as s where s.name = 'label_horizon_us'),
            2592000000000
        ), false) as admissible
    from votes_log as v
    left join (
        select w.key, w.model_id, w.event_id, w.event_time
        from events_stored as w anti join events_retired as r on r.seq = w.seq
    ) as e on e.key = v.key and e.model_id = v.model_id and e.event_id = v.event_id
)
"""

_REJECTS = """
select p.source, p.partition, r.position, r.received_time, r.reason, r.field, r.raw
from rejects_log as r join partitions as p on p.partition_id = r.partition_id
"""

_PROGRESS = """
select source, partition, position, watermark, events, rejects, updated_time from partitions
"""

_MODELS = """
select
    k.model_id, k.job_id, k.positive, k.positive_property, k.threshold,
    to_seconds(k.lookback_s) as lookback, to_seconds(k.step_s) as step,
    coalesce(c.classes, []) as classes
from models_known as k
left join (
    select model_id, list(class order by place nulls last, class) as classes
    from model_classes group by model_id
) as c on c.model_id = k.model_id
"""

# A job is known by its models or by any event that names it.
_JOBS = """
select job_id from models_known where job_id is not null
union
select job_id from events_stored where job_id is not null
union
select job_id from other_events where job_id is not null
"""

RECORD_VIEWS: dict[str, str] = {
    "events": _EVENTS,
    "votes": _VOTES,
    "rejects": _REJECTS,
    "progress": _PROGRESS,
    "models": _MODELS,
    "jobs": _JOBS,
}
