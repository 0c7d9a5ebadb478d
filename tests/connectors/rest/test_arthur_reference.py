"""The reference set over HTTP: files in, how much there is, and that drift is compared with it."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serving import serving

TIME = "2026-02-03T04:05:06Z"
ROWS = [
    {"amount": i % 10, "city": "Oslo" if i % 4 else "Boston", "label": i % 2} for i in range(80)
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("reference")) as found:
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


def _parquet(rows):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def _csv(rows):
    lines = [list(rows[0]), *[row.values() for row in rows]]
    return "\n".join(",".join(map(str, line)) for line in lines).encode()


FORMS = {
    "rows.parquet": _parquet(ROWS),
    "rows.json": json.dumps([{"reference_data": row} for row in ROWS]).encode(),
    "flat.json": json.dumps(ROWS).encode(),
    "rows.ndjson": "\n".join(map(json.dumps, ROWS)).encode(),
    "rows.csv": _csv(ROWS),
}


@pytest.mark.parametrize("name", FORMS)
def test_golden_every_form_of_file_makes_the_set(name, http):
    model = name.replace(".", "-")
    path = f"/api/v3/models/{model}/reference_data"
    assert http.get(path).status_code == 404
    for _ in range(2):  # sending again changes nothing
        answer = http.post(path, files={"reference_data": (name, FORMS[name])})
        assert answer.status_code == 207, answer.text
        told = {"counts": {"success": 80, "failure": 0, "total": 80}, "failures": []}
        assert answer.json() == told
    closed = http.patch(path, json={"status": "uploaded", "total_record_count": 80})
    assert (closed.status_code, closed.json()) == (200, {"message": "success"})
    assert http.get(path).json().items() >= {"records": 80, "status": "uploaded"}.items()
    query = {
        "select": [
            {"function": "sum", "parameters": {"property": "amount"}},
            {"function": "rate", "parameters": {"property": "city", "comparator": "eq",
                                                "value": "Boston"}},
            {"function": "avg", "parameters": {"property": "label"}},
        ],
        "from": "reference",
    }  # fmt: skip
    answer = http.post(f"/api/v3/models/{model}/inferences/query", json=query)
    expected = {"sum": float(sum(row["amount"] for row in ROWS)), "rate": 0.25, "avg": 0.5}
    assert answer.json() == {"query_result": [expected]}


def test_contract_AR_51_thresholds_come_from_the_reference_set(http):
    path = "/api/v3/models/thresholds/{}"
    _set_reference(http, path)
    query = {"properties": ["amount", "city"], "metric": "Thresholds"}
    answer = http.post(path.format("inferences/data_drift"), json=query)
    empty = {"amount": None, "city": None}  # how far chance goes depends on the window's size
    assert answer.json() == {"query_result": [empty]}
    _send(http, path)
    answer = http.post(path.format("inferences/data_drift"), json=query)
    (found,) = answer.json()["query_result"]
    assert set(found) == {"amount", "city"}
    assert all(0 < value < 5 for value in found.values())


def _set_reference(http, path):
    file = {"reference_data": ("r.json", FORMS["flat.json"])}
    assert http.post(path.format("reference_data"), files=file).status_code == 207


def _send(http, path):
    rows = [{name: row[name] for name in ("amount", "city")} for row in ROWS]
    items = [
        {"inference_timestamp": TIME, "partner_inference_id": str(i), "inference_data": row}
        for i, row in enumerate(rows)
    ]
    assert http.post(path.format("inferences"), json=items).status_code == 207


def test_contract_AR_50_drift_is_compared_with_what_was_sent(http):
    path = "/api/v3/models/compared/{}"
    _set_reference(http, path)
    _send(http, path)
    query = {"properties": ["city"], "metric": "PSI"}
    answer = http.post(path.format("inferences/query/data_drift"), json=query)
    assert answer.json() == {"query_result": [{"city": pytest.approx(0, abs=1e-12)}]}


def test_error_rows_are_refused_by_themselves(http):
    rows = [
        {"amount": 1},
        {"amount": [1]},
        3,
        {"reference_data": 3},
        {"reference_data": {}, "x": 1},
    ]
    answer = http.post(
        "/api/v3/models/rows/reference_data",
        files={"reference_data": ("r.json", json.dumps(rows).encode())},
    )
    assert answer.json()["counts"] == {"success": 1, "failure": 4, "total": 5}
    places = [each["message"].partition(":")[0] for each in answer.json()["failures"]]
    assert places == ["row 2", "row 3", "row 4", "row 5"]


def test_error_closing_needs_its_words_and_an_editor(http, served):
    path = "/api/v3/models/closing/reference_data"
    for body in ({}, {"status": "done"}, {"status": "uploaded", "total_record_count": "3"}):
        assert http.patch(path, json=body).status_code == 400
    with served.http("viewer") as viewer:
        assert viewer.patch(path, json={"status": "uploaded"}).status_code == 403
        file = {"reference_data": ("r.json", b"[{}]")}
        assert viewer.post(path, files=file).status_code == 403
