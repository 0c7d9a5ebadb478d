"""The tables of anomaly jobs: results, what changed in them, definitions, states and snapshots.

`timestamp` is the start of a bucket, event time. `raw` scores are what a probability alone says,
`score` is the normalised one, which may be moved later, `initial_score` never is. `scope` is the
number under which the normaliser's history knows a row: a partition, an entity or a series.
`ceiling` is the place in `engine.anomaly.scores.normalizer.CEILINGS` of what bounds the score.
"""

__all__ = ["ANOMALY_TABLES", "RESULT_TABLES"]

_KEY = "job_id VARCHAR NOT NULL, timestamp TIMESTAMP NOT NULL, span_s BIGINT NOT NULL"
_SCORES = """score DOUBLE NOT NULL, initial_score DOUBLE NOT NULL, raw_score DOUBLE NOT NULL,
        probability DOUBLE NOT NULL, scope BIGINT NOT NULL, ceiling UTINYINT NOT NULL,
        is_interim BOOLEAN NOT NULL"""

# Numbers of a state as they lie in memory, in parts; the array at place 0 is its JSON, as bytes.
_ARRAY = """
        place INTEGER NOT NULL,       -- order of the arrays
        name VARCHAR NOT NULL, dtype VARCHAR NOT NULL,
        shape VARCHAR NOT NULL,       -- lengths with commas; a list would make an update two steps
        part INTEGER NOT NULL, crc UINTEGER NOT NULL,   -- CRC32 of the part"""

RESULT_TABLES: dict[str, str] = {
    # Score: the greatest of its bucket influencers. event_count is restated by late rows, of which
    # late_event_count came after the bucket was closed (rows taken back count as -1).
    "bucket_results": f"""
        {_KEY}, score DOUBLE NOT NULL, initial_score DOUBLE NOT NULL,
        event_count BIGINT NOT NULL, late_event_count BIGINT NOT NULL,
        scheduled_events VARCHAR[] NOT NULL,
        processing_time_ms DOUBLE NOT NULL,   -- wall clock
        is_interim BOOLEAN NOT NULL""",
    # level: 'bucket' for bucket_time, else 'bucket:' and the influencer field.
    "bucket_influencer_results": f"""
        {_KEY}, level VARCHAR NOT NULL, field_name VARCHAR NOT NULL, field_value VARCHAR,
        {_SCORES}""",
    "influencer_results": f"""
        {_KEY}, field_name VARCHAR NOT NULL, field_value VARCHAR NOT NULL, {_SCORES}""",
    # One row per (job, bucket, detector, function_description, scope).
    "record_results": f"""
        {_KEY}, detector_index INTEGER NOT NULL, function VARCHAR NOT NULL,
        function_description VARCHAR NOT NULL,    -- what is measured: of metric mean, min or max
        field_name VARCHAR, by_field_name VARCHAR, by_field_value VARCHAR,
        over_field_name VARCHAR, over_field_value VARCHAR,
        partition_field_name VARCHAR, partition_field_value VARCHAR,
        actual DOUBLE, typical DOUBLE, lower DOUBLE, upper DOUBLE,
        multi_bucket_impact DOUBLE NOT NULL,
        influencers JSON, causes JSON, explanation JSON, {_SCORES}""",
    # Every bucket of the series that can be drawn: those of unsplit detectors, and of others while
    # they are few; nothing of interim buckets.
    "model_plot": f"""
        {_KEY}, detector_index INTEGER NOT NULL, function VARCHAR NOT NULL, by_field_value VARCHAR,
        over_field_value VARCHAR, partition_field_value VARCHAR, actual DOUBLE, typical DOUBLE,
        lower DOUBLE, upper DOUBLE, is_interim BOOLEAN NOT NULL""",
}
"""The tables of results, each with job_id, timestamp and is_interim."""

ANOMALY_TABLES: dict[str, str] = {
    **RESULT_TABLES,
    # result: bucket, bucket_influencer, influencer or record; the columns that name the row are
    # NULL where that kind has none. level: of the history, NULL for a bucket. changed_time: the
    # bucket that was the cause.
    "score_changes": """
        job_id VARCHAR NOT NULL, timestamp TIMESTAMP NOT NULL, result VARCHAR NOT NULL,
        influencer_field_name VARCHAR, influencer_field_value VARCHAR, detector_index INTEGER,
        function_description VARCHAR, by_field_value VARCHAR, over_field_value VARCHAR,
        partition_field_value VARCHAR, level VARCHAR, scope BIGINT, old_score DOUBLE NOT NULL,
        new_score DOUBLE NOT NULL, old_ceiling UTINYINT, cause VARCHAR NOT NULL,
        changed_time TIMESTAMP NOT NULL""",
    # event: delayed_data, model_snapshot_stored, model_reset, model_reverted, ...
    "annotations_log": """
        job_id VARCHAR NOT NULL, timestamp TIMESTAMP NOT NULL, end_timestamp TIMESTAMP NOT NULL,
        event VARCHAR NOT NULL, annotation VARCHAR NOT NULL""",
    # ---- definitions ------------------------------------------------------------------------
    # in_force: declared now. definition: what decides the results, as JSON.
    "anomaly_jobs_known": """
        job_id VARCHAR PRIMARY KEY, model_id VARCHAR, type VARCHAR, span_s BIGINT NOT NULL,
        description VARCHAR, groups VARCHAR[] NOT NULL, detectors JSON NOT NULL,
        influencers VARCHAR[] NOT NULL, filter VARCHAR, time_basis VARCHAR NOT NULL,
        latency_us BIGINT NOT NULL, frequency_s BIGINT NOT NULL, normalizer VARCHAR NOT NULL,
        renormalization_window_s BIGINT NOT NULL, memory_limit_bytes BIGINT,
        results_retention_us BIGINT, snapshot_s BIGINT NOT NULL,
        snapshot_retention_s BIGINT NOT NULL, daily_snapshot_after_s BIGINT NOT NULL,
        enabled BOOLEAN NOT NULL, definition VARCHAR NOT NULL,
        from_time TIMESTAMP,          -- the watermark when it was declared first
        in_force BOOLEAN NOT NULL""",
    # One row per scheduled event of a calendar; no job_ids: of all jobs.
    "calendars_known": """
        calendar_id VARCHAR NOT NULL, description VARCHAR, job_ids VARCHAR[] NOT NULL,
        event_description VARCHAR, start_time TIMESTAMP, end_time TIMESTAMP""",
    "anomaly_counters": """
        job_id VARCHAR PRIMARY KEY, status VARCHAR NOT NULL,
        processed_record_count BIGINT NOT NULL, out_of_order_timestamp_count BIGINT NOT NULL,
        missing_field_count BIGINT NOT NULL, bucket_count BIGINT NOT NULL,
        empty_bucket_count BIGINT NOT NULL, sparse_bucket_count BIGINT NOT NULL,
        earliest_record TIMESTAMP, latest_record TIMESTAMP, latest_empty_bucket TIMESTAMP,
        latest_sparse_bucket TIMESTAMP, series_count BIGINT NOT NULL,
        unmodelled_entity_count BIGINT NOT NULL, memory_bytes BIGINT NOT NULL,
        memory_status VARCHAR NOT NULL,       -- ok, soft_limit or hard_limit
        -- wall clock
        processing_ms_min DOUBLE, processing_ms_max DOUBLE, processing_ms_mean DOUBLE,
        processing_ms_ewma DOUBLE""",
    # What rules on scores may still look back at: buckets as they were when they closed; interim
    # ones until then. top: what stands out, in words.
    "score_looks": """
        rule_id VARCHAR NOT NULL, rule_version INTEGER NOT NULL, bucket_start TIMESTAMP NOT NULL,
        bucket_end TIMESTAMP NOT NULL, is_interim BOOLEAN NOT NULL, score DOUBLE NOT NULL,
        sample_count BIGINT NOT NULL, top VARCHAR NOT NULL""",
    # ---- states -----------------------------------------------------------------------------
    # next_start_s: start of the first bucket that is not in the state.
    "anomaly_states": """
        job_id VARCHAR NOT NULL, version INTEGER NOT NULL, next_start_s BIGINT NOT NULL,
        arrays INTEGER NOT NULL""",
    "anomaly_state_arrays": f"""
        job_id VARCHAR NOT NULL, {_ARRAY}
        data BLOB NOT NULL USING COMPRESSION uncompressed""",
    "model_snapshots": """
        job_id VARCHAR NOT NULL, snapshot_id VARCHAR NOT NULL, timestamp TIMESTAMP NOT NULL,
        description VARCHAR NOT NULL, retain BOOLEAN NOT NULL, size BIGINT NOT NULL,
        version INTEGER NOT NULL, next_start_s BIGINT NOT NULL, arrays INTEGER NOT NULL""",
    "model_snapshot_arrays": f"""
        job_id VARCHAR NOT NULL, snapshot_id VARCHAR NOT NULL, {_ARRAY}
        data BLOB NOT NULL USING COMPRESSION uncompressed""",
}
