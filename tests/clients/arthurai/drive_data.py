"""Drives the data half of `arthurai`, unchanged: queries, drift, inferences, truths, reference.

    python drive_data.py URL KEY

The served run has the model `loans` with 2,000 inferences and a reference set of 500 rows.
"""

import sys
import uuid
from datetime import timedelta

import pandas as pd
from arthurai import ArthurAI
from arthurai.common.exceptions import ArthurUserError

COUNT = {"select": [{"function": "count"}]}
NOW = pd.Timestamp.now("UTC").floor("s").to_pydatetime() - timedelta(minutes=5)
OURS = uuid.uuid4().hex


def queries(model):
    (whole,) = model.query(COUNT)
    assert whole == {"count": 2_000}, whole
    by_city = model.query(
        {
            "select": [
                {"property": "city"},
                {"function": "count", "alias": "n"},
                {
                    "function": "rate",
                    "alias": "positive",
                    "parameters": {"property": "p_yes", "comparator": "gt", "value": 0.75},
                },
            ],
            "group_by": [{"property": "city"}],
            "order_by": [{"property": "city", "direction": "asc"}],
        }
    )
    assert [row["city"] for row in by_city] == ["Bern", "Boston", "Oslo"]
    assert sum(row["n"] for row in by_city) == 2_000
    assert all(0.2 < row["positive"] < 0.3 for row in by_city), by_city
    (rates,) = model.query({"select": [{"function": "confusionMatrixRate"}]})
    assert 0.3 < rates["confusionMatrixRate"]["accuracy_rate"] < 0.7, rates
    (sampled,) = model.query({**COUNT, "from": "ground_truth"})
    assert 1_700 < sampled["count"] < 1_720, sampled


def drift(model):
    query = {
        "properties": ["amount", "city"],
        "num_bins": 10,
        "base": {"source": "reference"},
        "target": {"source": "inference"},
        "metric": "PSI",
    }
    (whole,) = model.query(query, query_type="drift")
    assert 0 < whole["amount"] < 0.1, whole
    rolled = model.query({**query, "rollup": "hour"}, query_type="drift")
    assert len(rolled) > 20, rolled
    assert all(row["rollup"].endswith("00:00Z") for row in rolled), rolled
    one = {"property": "amount", **{key: query[key] for key in ("num_bins", "base", "target")}}
    table = model.query(one, query_type="drift_psi_bucket_table")
    assert abs(sum(row["psi"] for row in table) - whole["amount"]) < 1e-9, table


def inferences(model):
    rows = [
        {
            "inference_timestamp": NOW + timedelta(seconds=i),
            "partner_inference_id": f"{OURS}-{i}",
            "city": "Lima",
            "age": 30 + i,
            "amount": 100.0 * i,
            "p_yes": i / 10,
        }
        for i in range(10)
    ]
    told = model.send_inferences(rows)
    assert told["counts"] == {"success": 10, "failure": 0, "total": 10}, told
    lima = {"filter": [{"property": "city", "comparator": "eq", "value": "Lima"}]}
    assert model.query({**COUNT, **lima}) == [{"count": 10}]
    (predicted,) = model.query(
        {
            "select": [
                {
                    "function": "rate",
                    "parameters": {"property": "prediction", "comparator": "eq", "value": "yes"},
                }
            ],
            **lima,
        }
    )
    assert predicted == {"rate": 0.5}, predicted
    truths = [
        {"partner_inference_id": f"{OURS}-{i}", "ground_truth_data": {"repaid": i % 2}}
        for i in range(10)
    ]
    told = model.update_inference_ground_truths(truths)
    assert told["counts"]["success"] == 10, told
    (mean,) = model.query(
        {"select": [{"function": "avg", "parameters": {"property": "repaid"}}], **lima}
    )
    assert mean == {"avg": 0.5}, mean
    model.await_inferences(min_count=10, with_ground_truth=False)


def fault(call, *arguments):
    """Give the text of the fault that a call must end with."""
    try:
        call(*arguments)
    except ArthurUserError as error:
        return str(error)
    return "no fault"


def refused(model):
    late = [{"inference_timestamp": "2999-01-01T00:00:00Z", "inference_data": {"city": "Rome"}}]
    assert "ahead of the clock" in fault(model.send_inferences, late)
    told = model.send_inferences(late, fail_silently=True)
    assert told["counts"] == {"success": 0, "failure": 1, "total": 1}, told
    query = {"select": [{"function": "avg", "parameters": {"property": "agee"}}]}
    assert "did you mean" in fault(model.query, query)


def files(model):
    frame = pd.DataFrame(
        {
            "partner_inference_id": [f"{OURS}-file-{i}" for i in range(50)],
            "inference_timestamp": [NOW + timedelta(seconds=i) for i in range(50)],
            "city": "Quito",
            "age": [20.0 + i for i in range(50)],
            "amount": [1.0 * i for i in range(50)],
            "p_yes": 0.25,
        }
    )
    told, _ = model.send_bulk_inferences(data=frame)
    assert told["counts"] == {"success": 50, "failure": 0, "total": 50}, told
    truths = pd.DataFrame(
        {"partner_inference_id": frame["partner_inference_id"], "repaid": [1.0] * 50}
    )
    told = model.send_bulk_ground_truths(data=truths)
    assert told["counts"] == {"success": 50, "failure": 0, "total": 50}, told
    quito = {"filter": [{"property": "city", "comparator": "eq", "value": "Quito"}]}
    (found,) = model.query(
        {
            "select": [
                {"function": "count"},
                {"function": "sum", "parameters": {"property": "repaid"}},
            ],
            **quito,
        }
    )
    assert found == {"count": 50, "sum": 50.0}, found


def reference(model):
    frame = pd.DataFrame({"city": ["Lima"] * 20, "age": [40.0] * 20, "amount": range(20)})
    told, closed = model.set_reference_data(data=frame.astype({"amount": float}))
    assert told["counts"] == {"success": 20, "failure": 0, "total": 20}, told
    assert closed == {"dataset_close_result": {"message": "success"}}, closed
    (found,) = model.query({**COUNT, "from": "reference"})
    assert found == {"count": 520}, found


def main(url, key):
    model = ArthurAI(url=url, access_key=key, allow_insecure=True).get_model("loans")
    for drive in (queries, drift, inferences, refused, files, reference):
        drive(model)


if __name__ == "__main__":
    main(*sys.argv[1:])
