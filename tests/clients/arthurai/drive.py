"""Drives the control half of `arthurai`, unchanged: models, metrics, alert rules and alerts.

    python drive.py URL KEY

The served run has the model `loans` with 2,000 inferences and a reference set of 500 rows.
"""

import sys
import uuid
from datetime import UTC, datetime, timedelta

from arthurai import ArthurAI
from arthurai.common.constants import OutputType, Stage, ValueType
from arthurai.common.exceptions import ArthurUserError
from arthurai.core.alerts import AlertRuleBound, AlertRuleSeverity, AlertStatus, MetricType

OURS = uuid.uuid4().hex
AFTER = datetime(2025, 1, 3, tzinfo=UTC)  # behind all that the stream has
OSLO = [{"property": "city", "comparator": "eq", "value": "Oslo"}]
COUNT = {"select": [{"function": "count", "alias": "count"}], "filter": OSLO}


def attributes(client):
    model = client.get_model("loans")
    assert (model.id, model.partner_model_id) == ("loans", "loans")
    assert client.get_model("loans", id_type="partner_model_id").id == "loans"
    assert model.output_type == OutputType.Multiclass
    assert not model.is_batch
    told = {each.name: (each.stage, each.value_type) for each in model.attributes}
    assert told["city"] == (Stage.ModelPipelineInput, ValueType.String), told
    assert told["amount"] == (Stage.ModelPipelineInput, ValueType.Float), told
    assert told["p_yes"] == (Stage.PredictedValue, ValueType.Float), told
    assert model.get_attribute("city").categorical
    assert "city" in str(model)
    assert "404" in fault(client.get_model, "nowhere")
    return model


def metrics(model):
    """Make metrics as the document's examples do; gives the id of a count."""
    count = model.create_metric(f"Oslo {OURS}", COUNT)
    drift = model.create_metric(
        f"drift {OURS}",
        {
            "properties": ["amount"],
            "num_bins": 20,
            "base": {"source": "reference"},
            "target": {"source": "inference", "filter": OSLO},
        },
        is_data_drift=True,
    )
    mean = {"select": [{"function": "avg", "parameters": {"property": "p_yes"}}]}
    output = model.create_metric(f"mean {OURS}", mean, metric_type=MetricType.ModelOutputMetric)
    (found,) = model.get_metrics(metric_id=count)
    assert (found.query, found.is_default) == (COUNT, False), found
    (told,) = model.get_metrics(metric_name=f"drift {OURS}")
    assert told.id == drift
    assert (told.query["metric"], told.type) == ("PSI", MetricType.ModelDataDriftMetric), told
    everything = model.get_metrics()
    assert {count, drift, output} < {each.id for each in everything}
    assert len({each.id for each in everything}) == len(everything) > 40
    default = model.get_metrics(default_metrics=True)
    assert len(default) == len(everything) - 3
    assert all(each.is_default for each in default)
    of_age = model.get_metrics(attribute_name="age", metric_type=MetricType.ModelInputDataMetric)
    assert {each.name for each in of_age} == {
        f"{function}(features.age)" for function in ("avg", "min", "max")
    }
    assert "aggregate" in fault(model.create_metric, "rows", {"select": [{"property": "age"}]})
    assert "409" in fault(model.create_metric, f"Oslo {OURS}", COUNT)
    return count


def rules(model, metric_id):
    """Make a rule, look it up and change it; gives it."""
    rule = model.create_alert_rule(
        metric_id, AlertRuleBound.Upper, 1000, AlertRuleSeverity.Warning, f"rule {OURS}"
    )
    assert (rule.lookback_period, rule.subsequent_alert_wait_time) == (5, 0), rule
    assert (rule.enabled, rule.metric_id) == (True, metric_id), rule
    named = model.create_alert_rule(
        metric_id, AlertRuleBound.Lower, -1.5, AlertRuleSeverity.Critical, lookback_period=0.5
    )
    assert named.name == f"Oslo {OURS} lower bound", named
    listed = model.get_alert_rules(page_size=500)
    assert {rule.id, named.id} <= {each.id for each in listed}
    assert len(model.get_alert_rules(page=1, page_size=1)) == 1
    assert model.get_alert_rules(page=99) == []
    drift = [each for each in listed if each.metric_name == "PSI(features.amount)"]
    assert len(drift) == 1, listed
    # The client takes the id from the rule that it is given, and sends all of it back.
    rule_id, rule.threshold, rule.severity = rule.id, 2, AlertRuleSeverity.Critical
    changed = model.update_alert_rule(rule)
    assert (changed.id, changed.threshold, changed.severity) == (rule_id, 2, "critical"), changed
    changed.enabled, changed.name = False, f"renamed {OURS}"
    off = model.update_alert_rule(changed, rule_id)
    assert (off.id, off.enabled, off.name) == (rule_id, False, f"renamed {OURS}"), off
    off.enabled = True
    on = model.update_alert_rule(off, rule_id)
    assert on.enabled
    off.lookback_period = -1
    assert "lookback_period" in fault(model.update_alert_rule, off, rule_id)
    assert "metric_id" in fault(
        model.create_alert_rule, str(uuid.UUID(int=7)), "upper", 1, "warning"
    )
    return on


def alerts(model, rule):
    """Have the rule fire, and see its alerts through."""
    rows = [
        {
            "inference_timestamp": AFTER + timedelta(seconds=10 * i),
            "partner_inference_id": f"{OURS}-{i}",
            "city": "Oslo",
            "age": 30,
            "amount": 100.0,
            "p_yes": 0.5,
        }
        for i in range(60)
    ]
    assert model.send_inferences(rows)["counts"]["success"] == 60
    found = model.get_alerts(alert_rule_id=rule.id)
    assert len(found) >= 3, found
    assert all(each.metric_value > 2 for each in found), found
    first = found[-1]
    assert (first.status, first.model_id) == ("new", "loans"), first
    assert (first.alert_rule.id, first.alert_rule.threshold) == (rule.id, 2), first
    assert first.window_start < first.window_end == first.timestamp, first
    for status in (AlertStatus.Acknowledged, AlertStatus.Resolved):
        assert model.update_alert(status, first.id).status == status
    told = {"alert_rule_id": rule.id, "start_time": first.timestamp, "page_size": 50}
    assert len(model.get_alerts(status="new", **told)) == len(found) - 1
    (resolved,) = model.get_alerts(status="resolved", end_time=first.timestamp, **told)
    assert resolved.id == first.id
    assert model.get_alerts(page=2, alert_rule_id=rule.id) == []
    assert model.get_alerts(batch_id="none") == []


def fault(call, *arguments):
    """Give the text of the fault that a call must end with."""
    try:
        call(*arguments)
    except ArthurUserError as error:
        return str(error)
    return "no fault"


def main(url, key):
    client = ArthurAI(url=url, access_key=key, allow_insecure=True)
    model = attributes(client)
    alerts(model, rules(model, metrics(model)))
    wrong = {"url": url, "access_key": "not-the-key-0123456789", "allow_insecure": True}
    assert "Unauthorized" in fault(lambda: ArthurAI(**wrong))


if __name__ == "__main__":
    main(*sys.argv[1:])
