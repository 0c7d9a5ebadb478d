"""The public relations of alert rules: what is in force, what rules saw and gave, who is told.

Every view only reads the tables of `engine.rule_tables` and `engine.outbox`, so that a filter
reaches their scan. `metric_id` is a UUID, as in `metrics` and `metric_values`; all further ids are
text. Times are event time, those of `notifications` wall clock.
"""

__all__ = ["RULE_VIEWS"]

_EVALUATIONS = """
select
    rule_id, rule_version, group_value, window_start, window_end, value, sample_count, state,
    since, step
from evaluations_log
"""

_ALERTS = """
select
    alert_id, rule_id, rule_version, model_id, metric_id::uuid as metric_id, rule_name,
    group_value, severity, bound, threshold, metric_value, sample_count, window_start, window_end,
    triggered_time, from_position, to_position, suppressed_since, status, message, batch_id,
    step
from alerts_log
"""

_NOTIFICATIONS = """
select
    notification_id, alert_id, configuration_id, destination, status, attempts, last_error,
    sent_time, group_id, message_id, created_time, next_attempt
from notifications_log
"""

# Minutes, as they are written in the configuration (AR-09, AR-10). The default rules of drift wait
# for the model's first event: they are there once both reference and inference data are (AR-50).
_ALERT_RULES = """
select
    r.rule_id, r.rule_version, r.model_id, r.metric_id::uuid as metric_id,
    m.name as metric_name, m.type as metric_type, r.name, r.bound, r.threshold, r.severity,
    r.lookback_s / 60 as lookback_period,
    r.wait_us / 60000000 as subsequent_alert_wait_time,
    r.hold_us / 60000000 as for_minutes,
    r.time_basis, r.enabled, r.is_default, r.on_no_data, r.resolve_threshold, r.min_sample_count,
    r.min_label_coverage, r.group_by, r.from_time
from rules_log as r
left join metrics_log as m
    on m.metric_id = r.metric_id and m.model_id = r.model_id and m.in_force
where r.in_force
    and (not r.is_default or r.model_id in (select model_id from models_known))
"""

_NOTIFICATION_CONFIGURATIONS = """
select configuration_id, username as "user", model_id, type, destination, enabled
from configurations_known
"""

RULE_VIEWS: dict[str, str] = {
    "evaluations": _EVALUATIONS,
    "alerts": _ALERTS,
    "notifications": _NOTIFICATIONS,
    "alert_rules": _ALERT_RULES,
    "notification_configurations": _NOTIFICATION_CONFIGURATIONS,
    "users": "select username, email, role from users_known",
}
