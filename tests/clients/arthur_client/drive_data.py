"""Drives the data half of `arthur-client`, unchanged: queries, drift, inferences, reference.

    python drive_data.py URL KEY

The served run has the model `loans` with 2,000 inferences and a reference set of 500 rows.
"""

import io
import json
import sys
import uuid
from datetime import UTC, datetime, timedelta

from arthur.client.rest import ArthurClient
from arthur.client.rest.common.models import DataDriftRequest, QueryRequest
from arthur.client.rest.inferences.models import (
    ClosedRequest,
    FileInferenceData,
    NewInference,
    PartnerIdInferenceGroundTruth,
    ReferenceDataRequest,
)
from arthur.client.rest.query.models import DataDriftTableRequest

OURS = uuid.uuid4().hex
START = datetime(2025, 2, 3, 4, 5, 6, tzinfo=UTC)
MODEL = "loans"
SIDES = {"base": {"source": "reference"}, "target": {"source": "inference"}}


def at(seconds):
    return (START + timedelta(seconds=seconds)).isoformat()


def queries(client):
    request = QueryRequest.parse_obj(
        {
            "select": [{"property": "city"}, {"function": "count", "alias": "n"}],
            "from": "inference",
            "filter": [{"property": "age", "comparator": "gte", "value": 30}],
            "group_by": [{"property": "city"}],
            "order_by": [{"alias": "n", "direction": "desc"}],
            "disable_auto_sample": True,
        }
    )
    rows = client.query.query(MODEL, request).query_result
    assert {row.city for row in rows} == {"Bern", "Boston", "Oslo"}, rows
    assert [row.n for row in rows] == sorted((row.n for row in rows), reverse=True)
    star = QueryRequest.parse_obj({"select": [{"property": "*"}]})
    pages = [client.query.query(MODEL, star, page=n, page_size=700).query_result for n in (1, 2, 3)]
    assert [len(page) for page in pages] == [700, 700, 600]
    found = client.inferences.get_inference(MODEL, "loan-3").query_result
    assert [row.inference_id for row in found] == ["loan-3"], found


def drift(client):
    request = DataDriftRequest.parse_obj({"properties": ["amount"], "metric": "PSI", **SIDES})
    (whole,) = client.query.query_data_drift(MODEL, request).query_result
    assert whole is not None
    table = DataDriftTableRequest.parse_obj({"property": "amount", "num_bins": 5, **SIDES})
    rows = client.query.query_psi_bucket_table(MODEL, table).query_result
    assert len(rows) == 6, rows
    assert sum(row.base_count_per_bucket for row in rows) == rows[0].base_total == 500
    for row in rows[:5]:
        parts = row.probability_difference * row.ln_probability_difference
        assert abs(row.psi - parts) < 1e-9, row


def inferences(client):
    new = [
        NewInference(
            inference_timestamp=at(i),
            partner_inference_id=f"{OURS}-{i}",
            inference_data={"city": "Kyoto", "age": i, "amount": 1.5, "p_yes": 0.9},
        )
        for i in range(5)
    ]
    told = client.inferences.send_inferences(MODEL, new)
    assert (told.counts.success, told.counts.failure) == (5, 0), told
    truths = [
        PartnerIdInferenceGroundTruth(
            partner_inference_id=f"{OURS}-{i}",
            ground_truth_timestamp=at(60),
            ground_truth_data={"repaid": 1, "label": "yes"},
        )
        for i in range(5)
    ]
    told = client.inferences.update_inference_ground_truths(MODEL, truths)
    assert told.counts.success == 5, told
    assert [result.status for result in told.results] == [200] * 5
    (row,) = client.inferences.get_inference(MODEL, f"{OURS}-2").query_result
    assert (row.city, row.prediction, row.label, row.repaid) == ("Kyoto", "yes", "yes", 1), row


def files(client):
    rows = [
        {
            "inference_timestamp": at(i),
            "partner_inference_id": f"{OURS}-file-{i}",
            "inference_data": {"city": "Cairo", "age": i, "amount": 2.5, "p_yes": 0.1},
        }
        for i in range(5)
    ]
    file = ("inferences.json", io.BytesIO(json.dumps(rows).encode()))
    told = client.inferences.send_inference_file(MODEL, FileInferenceData(inference_data=file))
    assert (told.counts.success, told.failures) == (5, []), told
    rows = [{"reference_data": {"city": "Cairo", "age": i, "amount": 2.5}} for i in range(5)]
    file = ("reference.json", io.BytesIO(json.dumps(rows).encode()))
    before = client.inferences.get_model_reference_data_info(MODEL).records
    request = ReferenceDataRequest(reference_data=file)
    told = client.inferences.update_model_reference_data(MODEL, request)
    assert told.counts.success == 5, told
    closed = ClosedRequest(status="uploaded", total_record_count=5)
    assert client.inferences.close_model_reference_data(MODEL, closed).message == "success"
    assert client.inferences.get_model_reference_data_info(MODEL).records == before + 5


def main(url, key):
    client = ArthurClient(url=url, api_key=key, allow_insecure=True)
    for drive in (queries, drift, inferences, files):
        drive(client)


if __name__ == "__main__":
    main(*sys.argv[1:])
