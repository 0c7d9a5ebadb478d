"""The tables of alert rules, drift and notifications under the public relations.

Definitions (`rules_log`, `metrics_log`, `binnings`, `drift_metrics`) say what is in force; what a
rule saw and what it gave stay for ever. Window times are event time.
"""

__all__ = ["RULE_TABLES"]

RULE_TABLES: dict[str, str] = {
    # ---- definitions ------------------------------------------------------------------------
    # One row per version of a rule; `in_force`: declared now (a disabled rule is in force too).
    "rules_log": """
        rule_id VARCHAR NOT NULL, rule_version INTEGER NOT NULL, model_id VARCHAR NOT NULL,
        metric_id VARCHAR NOT NULL, name VARCHAR NOT NULL, bound VARCHAR NOT NULL,
        threshold DOUBLE,             -- NULL: dynamic
        severity VARCHAR NOT NULL, lookback_s BIGINT NOT NULL, step_s BIGINT NOT NULL,
        wait_us BIGINT NOT NULL, hold_us BIGINT NOT NULL, time_basis VARCHAR NOT NULL,
        enabled BOOLEAN NOT NULL, is_default BOOLEAN NOT NULL, on_no_data VARCHAR NOT NULL,
        resolve_threshold DOUBLE, min_sample_count BIGINT NOT NULL,
        min_label_coverage DOUBLE NOT NULL, group_by VARCHAR, group_limit BIGINT NOT NULL,
        definition VARCHAR NOT NULL,  -- what decides its alerts, as JSON
        from_time TIMESTAMP,          -- the watermark when it took effect
        in_force BOOLEAN NOT NULL""",
    # Custom metrics, and the default ones that a rule watches; query is JSON.
    "metrics_log": """
        metric_id VARCHAR NOT NULL, model_id VARCHAR NOT NULL, name VARCHAR NOT NULL,
        type VARCHAR NOT NULL, endpoint VARCHAR NOT NULL, query VARCHAR NOT NULL,
        is_default BOOLEAN NOT NULL, in_force BOOLEAN NOT NULL""",
    # Groups of a rule with group_by, in the order in which they were first seen.
    "rule_groups": """
        model_id VARCHAR NOT NULL, property VARCHAR NOT NULL, group_value VARCHAR NOT NULL,
        place BIGINT NOT NULL""",
    "users_known": "username VARCHAR NOT NULL, email VARCHAR, role VARCHAR NOT NULL",
    "configurations_known": """
        configuration_id VARCHAR NOT NULL, username VARCHAR NOT NULL, model_id VARCHAR NOT NULL,
        type VARCHAR NOT NULL, destination VARCHAR NOT NULL, enabled BOOLEAN NOT NULL""",
    # ---- what rules saw and gave ------------------------------------------------------------
    # Only rows whose value, samples or state differ from the one before of that rule and group;
    # since: the first of the unbroken run of violations; step: that of a rule on a step metric, for
    # which it takes the place of window_end, as several steps may have one time.
    "evaluations_log": """
        rule_id VARCHAR NOT NULL, rule_version INTEGER NOT NULL, group_value VARCHAR,
        window_start TIMESTAMP NOT NULL, window_end TIMESTAMP NOT NULL, value DOUBLE,
        sample_count BIGINT NOT NULL, state VARCHAR NOT NULL, since TIMESTAMP, step BIGINT""",
    # Positions are running line numbers (`seq`): from_position is the line at which the stream
    # reached the minute that the window began in, to_position the last line that was known. A rule
    # on a step metric has the first and the last line of those that its window's values came with.
    "alerts_log": """
        alert_id VARCHAR NOT NULL, rule_id VARCHAR NOT NULL, rule_version INTEGER NOT NULL,
        model_id VARCHAR NOT NULL, metric_id VARCHAR NOT NULL, rule_name VARCHAR NOT NULL,
        group_value VARCHAR, severity VARCHAR NOT NULL, bound VARCHAR NOT NULL, threshold DOUBLE,
        metric_value DOUBLE, sample_count BIGINT NOT NULL, window_start TIMESTAMP NOT NULL,
        window_end TIMESTAMP NOT NULL, triggered_time TIMESTAMP NOT NULL, from_position BIGINT,
        to_position BIGINT NOT NULL, suppressed_since TIMESTAMP, status VARCHAR NOT NULL,
        message VARCHAR NOT NULL, batch_id VARCHAR, step BIGINT""",
    # Batches that were evaluated, or were complete before their model became a batch model.
    # batch_id NULL: the model is followed as one.
    "batches_done": """
        model_id VARCHAR NOT NULL, batch_id VARCHAR, completed TIMESTAMP""",
    # The line at which the greatest event time so far entered a minute (its start, seconds).
    "minute_marks": "minute_s BIGINT NOT NULL, first_seq BIGINT NOT NULL",
    # ---- reference sets and drift -----------------------------------------------------------
    # A version is the reference rows with a `seq` up to through_seq.
    "reference_versions": """
        model_id VARCHAR NOT NULL, version INTEGER NOT NULL, through_seq BIGINT NOT NULL,
        row_count BIGINT NOT NULL, from_time TIMESTAMP""",
    # One way of counting a property into bins; `binning` is its id. The highest version of a
    # binning is the one in force.
    "binnings": """
        binning VARCHAR NOT NULL, model_id VARCHAR NOT NULL, property VARCHAR NOT NULL,
        version INTEGER NOT NULL, time_basis VARCHAR NOT NULL, pane_s BIGINT NOT NULL""",
    # The bins of a version as `engine.drift_bins.Bins` writes them, exactly.
    "bin_definitions": """
        binning VARCHAR NOT NULL, version INTEGER NOT NULL, bins VARCHAR NOT NULL""",
    # lower and upper are NULL where a bin is open or is a category.
    "bin_edges": """
        binning VARCHAR NOT NULL, version INTEGER NOT NULL, bin INTEGER NOT NULL, lower DOUBLE,
        upper DOUBLE, category VARCHAR, reference_count BIGINT NOT NULL""",
    # Deltas: rows of the model by pane (start, seconds) and bin.
    "bin_panes": """
        binning VARCHAR NOT NULL, version INTEGER NOT NULL, pane_s BIGINT NOT NULL,
        bin INTEGER NOT NULL, count BIGINT NOT NULL, block_seq BIGINT NOT NULL""",
    # A measure over the windows of a binning: [t - lookback_s, t) at every multiple t of step_s.
    "drift_metrics": """
        metric_id VARCHAR NOT NULL, model_id VARCHAR NOT NULL, property VARCHAR NOT NULL,
        measure VARCHAR NOT NULL, binning VARCHAR NOT NULL, lookback_s BIGINT NOT NULL,
        step_s BIGINT NOT NULL, is_default BOOLEAN NOT NULL""",
    # Dynamic thresholds as they were computed: for windows of sample_low to sample_high events.
    "drift_thresholds": """
        metric_id VARCHAR NOT NULL, version INTEGER NOT NULL, lookback_s BIGINT NOT NULL,
        sample_low BIGINT NOT NULL, sample_high BIGINT NOT NULL, threshold DOUBLE NOT NULL""",
}
