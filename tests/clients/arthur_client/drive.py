"""Drives the control half of `arthur-client`, unchanged: models, metrics, rules, alerts, mails.

    python drive.py URL KEY

The served run has the model `loans` with 2,000 inferences and a reference set of 500 rows. The
client's `update_alert_status` cannot succeed anywhere: it wants 204 and a body. What it asks for is
done all the same, and `update_alerts_for_model_alert_rule` does it without an error.
"""

import contextlib
import sys
import uuid
from datetime import UTC, datetime, timedelta

from arthur.client.helpers import paginate
from arthur.client.rest import ArthurClient
from arthur.client.rest.alerts.models import (
    AlertNotificationConfigurationUpdate,
    AlertRequest,
    AlertRulePatch,
    AlertRuleRequest,
    AlertRulesSort,
    NewAlertNotificationConfiguration,
)
from arthur.client.rest.inferences.models import NewInference
from arthur.client.rest.metrics.models import MetricRequest
from arthur.client.rest.models.models import ExpandEnum
from arthur.common.exceptions import ArthurError

MODEL = "loans"
OURS = uuid.uuid4().hex
AFTER = datetime(2025, 1, 3, tzinfo=UTC)  # behind all that the stream has
OSLO = [{"property": "city", "comparator": "eq", "value": "Oslo"}]


def who(client):
    me, told = client.admin.get_current_user(), client.admin.authenticate()
    assert me.organization_id == told.organization_ids[0]
    assert (me.username, me.roles) == (told.username, ["Administrator"]), me
    return me


def models(client):
    found = client.models.get_model_by_id(MODEL, expand=ExpandEnum.Attributes)
    assert (found.id, found.output_type, found.status) == (MODEL, "MULTICLASS", "Ready"), found
    stages = {each.name: each.stage for each in found.attributes}
    assert (stages["city"], stages["p_yes"]) == ("PIPELINE_INPUT", "PREDICTED_VALUE"), stages
    listed = client.models.get_paginated_models(page=1, page_size=50)
    assert {MODEL, "triage"} <= {each.id for each in listed.data}


def metrics(client):
    """Make, list and change metrics; gives the id of a count."""
    told = {"name": f"Oslo {OURS}", "endpoint": f"/api/v3/models/{MODEL}/inferences/query"}
    query = {"select": [{"function": "count"}], "filter": OSLO}
    made = client.metrics.create_metric_for_model(MODEL, MetricRequest(**told, query=query))
    assert client.metrics.get_metric_for_model_by_id(MODEL, str(made.id)) == made
    listed = client.metrics.get_paginated_metrics(MODEL, expand=["type"], page=1, page_size=500)
    assert made.id in {each.id for each in listed.metrics}
    assert len(listed.metrics) == listed.total_count.__root__ > 40
    default = client.metrics.get_paginated_metrics(MODEL, default=True, page_size=500)
    assert len(default.metrics) == len(listed.metrics) - 1
    outputs = client.metrics.get_paginated_metrics(
        MODEL, type=["model_input_data_metric", "model_output_metric"], expand=["type"], sort="name"
    )
    types = {each.type for each in outputs.metrics}
    assert types == {"model_data_bound_metric", "model_output_metric"}, types
    spare = MetricRequest(**{**told, "name": f"spare {OURS}"}, query=query)
    other = client.metrics.create_metric_for_model_deprecated(MODEL, spare)
    changed = MetricRequest(
        **{**told, "name": f"spare {OURS}"},
        query={"select": [{"function": "max", "parameters": {"property": "age"}}]},
    )
    answer = client.metrics.update_metric_for_model(MODEL, str(other.id), changed)
    assert answer.type == "model_data_bound_metric", answer
    client.metrics.delete_metric_for_model(MODEL, str(other.id))
    return str(made.id)


def rules(client, metric_id):
    """Make, list, change and remove rules; gives the id of one."""
    alerts = client.alerts
    told = {"bound": "upper", "threshold": 1000, "metric_id": metric_id, "severity": "warning"}
    made = alerts.create_model_alert_rule(MODEL, AlertRuleRequest(**told, name=f"rule {OURS}"))
    assert (made.name, made.lookback_period, made.enabled) == (f"rule {OURS}", 5, True), made
    spare = AlertRuleRequest(**told, name=f"spare {OURS}", lookback_period=1, enabled=False)
    alerts.create_model_alert_rule(MODEL, spare)
    listed = paginate(alerts.get_paginated_model_alert_rules, max_pages=3, model_id=MODEL)
    found = {each.name: each for each in listed}
    rule, other = found[f"rule {OURS}"], found[f"spare {OURS}"]
    assert (rule.metric_type, rule.metric_id) == ("model_output_metric", metric_id), rule
    assert alerts.delete_model_alert_rule(MODEL, other.id).status_code == 201
    patch = AlertRulePatch(threshold=2, severity="critical", lookback_period=2)
    after = alerts.update_model_alert_rule(MODEL, rule.id, patch)
    assert (after.threshold, after.severity, after.lookback_period) == (2, "critical", 2), after
    sort = {"sort": AlertRulesSort.Name, "include_alert_metadata": True, "severity": "critical"}
    (told,) = alerts.get_paginated_model_alert_rules(MODEL, **sort).data
    assert (told.id, told.alert_counts.new) == (rule.id, 0), told
    return rule.id


def given(client, rule_id):
    """Have the rule fire, and see its alerts through."""
    rows = [
        NewInference(
            inference_timestamp=(AFTER + timedelta(seconds=10 * i)).isoformat(),
            partner_inference_id=f"{OURS}-{i}",
            inference_data={"city": "Oslo", "age": 30, "amount": 100.0, "p_yes": 0.5},
        )
        for i in range(60)
    ]
    assert client.inferences.send_inferences(MODEL, rows).counts.success == 60
    alerts = client.alerts
    found = alerts.get_paginated_alerts(model_id=[MODEL], alert_rule_id=rule_id, sort="timestamp")
    assert len(found.data) == found.total_count.__root__ >= 3, found
    first = found.data[0]
    assert (first.status, first.severity, first.alert_rule.id) == ("new", "critical", rule_id)
    assert alerts.get_alert_by_id(first.id) == first
    with contextlib.suppress(ArthurError):
        alerts.update_alert_status(first.id, AlertRequest(status="resolved"))
    assert alerts.get_alert_by_id(first.id).status == "resolved"
    all_of_it = AlertRequest(status="resolved")
    told = alerts.update_alerts_for_model_alert_rule(MODEL, rule_id, all_of_it)
    assert told.updated_alerts == len(found.data) - 1, told
    left = alerts.get_paginated_alerts(model_id=[MODEL], alert_rule_id=rule_id, status="new")
    assert left.data == []


def notifications(client, me):
    alerts = client.alerts
    told = {"model_id": MODEL, "type": "email", "user_id": me.id, "destination": me.email}
    made = alerts.create_alert_notification_configuration(NewAlertNotificationConfiguration(**told))
    assert {**made.dict(), **told, "enabled": True} == made.dict(), made
    assert alerts.get_alert_notification_configuration_by_id(made.id) == made
    listed = alerts.get_paginated_alert_notification_configurations(user_id=me.id, model_id=MODEL)
    assert listed.data == [made], listed
    off = AlertNotificationConfigurationUpdate(enabled=False)
    assert not alerts.update_alert_notification_configuration(made.id, off).enabled
    alerts.delete_alert_notification_configuration(made.id)
    assert alerts.get_paginated_alert_notification_configurations().data == []


def main(url, key):
    client = ArthurClient(url=url, api_key=key, allow_insecure=True)
    me = who(client)
    models(client)
    given(client, rules(client, metrics(client)))
    notifications(client, me)


if __name__ == "__main__":
    main(*sys.argv[1:])
