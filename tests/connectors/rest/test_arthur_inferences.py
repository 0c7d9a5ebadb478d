"""Inferences and ground truths over HTTP: each item by itself, durable, and where it went.

`test_golden_…` are the SDK's own examples; `test_law_…` says that sending again does no harm.
"""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serving import serving, user

CONFIG = """
models:
  - {id: triage, classes: [Drop, Escalate], positive: Escalate, positive_property: p_escalate}
  - {id: kinds, classes: [cat, dog, emu]}
  - {id: batched, kind: batch}
"""
TIME = "2026-02-03T04:05:06Z"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    blind = user("blind", "editor", key="key-of-the-blind-one-01", models=("kinds",))
    with serving(tmp_path_factory.mktemp("inferences"), CONFIG, users=[blind]) as found:
        yield found


@pytest.fixture(scope="module")
def http(served):
    with served.http("editor") as client:
        yield client


@pytest.fixture
def send(http):
    def sent(model, items, method="POST", path="inferences"):
        answer = http.request(method, f"/api/v3/models/{model}/{path}", json=items)
        assert answer.status_code == 207, answer.text
        return answer.json()

    return sent


@pytest.fixture
def event(served):
    """The event of an id, as it is stored, and what its label is now."""

    def found(model, event_id):
        ((raw, label),) = served.sql(
            "SELECT l.raw, e.label FROM events e JOIN events_log l ON l.seq = e.seq"
            " WHERE e.model_id = ? AND e.event_id = ?",
            model,
            event_id,
        )
        return json.loads(raw), label

    return found


def _inference(event_id, data, **more):
    given = {"inference_timestamp": TIME, "inference_data": data, **more}
    return given | ({} if event_id is None else {"partner_inference_id": event_id})


def test_golden_the_sdks_example(send, event):
    item = {
        "inference_timestamp": "2021-06-16T16:52:11Z",
        "partner_inference_id": "inf1",
        "batch_id": "batch1",
        "inference_data": {"input_attr": 2, "predicted_attr": 0.6},
        "ground_truth_timestamp": "2021-06-16T16:53:45Z",
        "ground_truth_data": {"ground_truth_attr": 1},
    }
    assert send("sdk", [item]) == {
        "counts": {"success": 1, "failure": 0, "total": 1},
        "results": [{"partner_inference_id": "inf1", "message": "success", "status": 200}],
    }
    stored, label = event("sdk", "inf1")
    assert stored == {
        "model_id": "sdk",
        "id": "inf1",
        "timestamp": "2021-06-16T16:52:11Z",
        "batch_id": "batch1",
        "features": {"input_attr": 2},
        "predictions": {"predicted_attr": 0.6},
        "prediction": 0.6,
    }
    assert label == "1"


def test_golden_ground_truth_comes_later_and_is_corrected(send, event, http):
    send("later", [_inference("a", {"x": 1, "predicted_x": 1})])
    for value, time in ((0, "2026-02-03T05:00:00Z"), (1, "2026-02-03T06:00:00Z")):
        told = {
            "partner_inference_id": "a",
            "ground_truth_timestamp": time,
            "ground_truth_data": {"truth": value},
        }
        answer = send("later", [told], "PATCH")
        assert answer["counts"] == {"success": 1, "failure": 0, "total": 1}
        assert event("later", "a")[1] == str(value)
    query = {"select": [{"function": "avg", "parameters": {"property": "truth"}}]}
    answer = http.post("/api/v3/models/later/inferences/query", json=query)
    assert answer.json() == {"query_result": [{"avg": 1.0}]}


OUTCOMES = [
    ("triage", {"p_escalate": 0.8}, ("Escalate", 0.8)),
    ("triage", {"p_escalate": 0.25}, ("Drop", 0.75)),
    ("triage", {"Drop": 0.9, "Escalate": 0.1}, ("Drop", 0.9)),
    ("triage", {"Drop": 0.25}, ("Escalate", 0.75)),
    ("triage", {"prediction": "Drop", "score": 0.5, "p_escalate": 0.9}, ("Drop", 0.5)),
    ("kinds", {"cat": 0.2, "dog": 0.5, "emu": 0.3}, ("dog", 0.5)),
    ("kinds", {"predicted_class": "emu"}, ("emu", None)),
    ("kinds", {"height": 3}, (None, None)),
]


@pytest.mark.parametrize("number", range(len(OUTCOMES)))
def test_oracle_the_outcome_is_drawn_from_the_predictions(number, send, event):
    model, data, expected = OUTCOMES[number]
    send(model, [_inference(f"outcome-{number}", data)])
    stored, _ = event(model, f"outcome-{number}")
    assert (stored.get("prediction"), stored.get("score")) == expected


def test_oracle_attributes_go_where_the_model_has_had_them(send, event, served):
    served.post_events(
        [{"model_id": "known", "id": "0", "timestamp": TIME, "features": {"predicted_rain": 1},
          "predictions": {"p": 0.5}, "device": "web"}]
    )  # fmt: skip
    data = {"predicted_rain": 2, "p": 0.25, "device": "phone", "city": "Oslo", "features.p": 7}
    send("known", [_inference("1", data)])
    stored, _ = event("known", "1")
    assert stored["features"] == {"predicted_rain": 2, "city": "Oslo", "p": 7}
    assert stored["predictions"] == {"p": 0.25}
    assert (stored["device"], stored["prediction"]) == ("phone", 0.25)


def test_oracle_one_hot_truths_tell_the_label(send, event):
    truth = {"cat": 0, "dog": 1, "emu": 0}
    item = _inference("hot", {"prediction": "dog"}, ground_truth_data=truth)
    send("kinds", [item])
    assert event("kinds", "hot")[1] == "dog"


def test_error_each_item_is_refused_by_itself_and_in_order(send, served):
    items = [
        _inference("fine-1", {"x": 1}),
        _inference("no-time", {"x": 1}, inference_timestamp=None),
        _inference("bad-time", {"x": 1}, inference_timestamp="yesterday"),
        _inference("late", {"x": 1}, inference_timestamp="2999-01-01"),
        _inference("nested", {"x": [1, 2]}),
        _inference("score", {"score": 7}),
        _inference("truth", {"label": 1}),
        _inference("empty", {"x": 1}, ground_truth_data={"t": None}),
        _inference("key", {"x": 1}, extra=1),
        _inference("half", {"x": 1}, ground_truth_data={"t": 1}, ground_truth_timestamp="soon"),
        _inference(None, {"x": 1}, partner_inference_id=["a"]),
        _inference("twice", {"x": 1, "features.x": 2}),
        "no object",
        {"inference_timestamp": TIME, "inference_data": [1]},
        _inference("fine-2", {"x": 1}),
    ]
    answer = send("judged", items)
    assert answer["counts"] == {"success": 2, "failure": 13, "total": 15}
    assert [result["status"] for result in answer["results"]] == [200, *[400] * 13, 200]
    told = [result["message"] for result in answer["results"]]
    assert told[0] == told[-1] == "success"
    parts = [
        "`inference_timestamp` is missing",
        "`inference_timestamp` must be epoch milliseconds or ISO 8601",
        "`inference_timestamp` must be at most 1h ahead of the clock",
        "`features.x` must be",
        "`score` must be",
        "must stand in `ground_truth_data`",
        "`ground_truth_data` must have a value",
        "`extra` must be one of",
        "`ground_truth_timestamp` must be",
        "`partner_inference_id` must be",
        "must be given once",
        'must be a JSON object, got "no object"',
        "`inference_data` must be a JSON object",
    ]
    for message, part in zip(told[1:-1], parts, strict=True):
        assert part in message
    ids = served.sql("SELECT event_id FROM events WHERE model_id = 'judged' ORDER BY 1")
    assert ids == [("fine-1",), ("fine-2",)]


def test_error_ground_truths_are_refused_by_themselves(send):
    fine = {
        "partner_inference_id": "a",
        "ground_truth_timestamp": TIME,
        "ground_truth_data": {"t": 1},
    }
    items = [fine, fine | {"ground_truth_data": {}}, fine | {"ground_truth_data": 3},
             {key: fine[key] for key in fine if key != "partner_inference_id"}]  # fmt: skip
    answer = send("truths", items, "PATCH")
    assert [result["status"] for result in answer["results"]] == [200, 400, 400, 400]


def test_law_a_missing_id_is_derived_so_that_sending_again_changes_nothing(send, served):
    items = [_inference(None, {"x": number % 3}) for number in range(6)]
    first, again = send("derived", items), send("derived", items)
    assert again == first
    ids = [result["partner_inference_id"] for result in first["results"]]
    assert len(set(ids)) == 6
    assert served.sql("SELECT count(*) FROM events WHERE model_id = 'derived'") == [(6,)]


def test_law_what_is_answered_is_queried_at_once(send, http):
    for number in range(1, 4):
        send("at-once", [_inference(str(number), {"x": number})])
        query = {"select": [{"function": "sum", "parameters": {"property": "x"}}]}
        answer = http.post("/models/at-once/inferences/query", json=query)
        assert answer.json() == {"query_result": [{"sum": number * (number + 1) / 2}]}


def test_law_more_lines_than_go_in_at_once(send, served):
    items = [_inference(str(i), {"x": i}, ground_truth_data={"t": i % 2}) for i in range(5_200)]
    items[4_000]["inference_timestamp"] = "never"
    answer = send("many", items)
    assert answer["counts"] == {"success": 5_199, "failure": 1, "total": 5_200}
    assert answer["results"][4_000]["status"] == 400
    told = served.sql("SELECT count(*), count(label) FROM events WHERE model_id = 'many'")
    assert told == [(5_199, 5_199)]


# ---- files -------------------------------------------------------------------------------------


def _parquet(columns):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def _upload(http, model, part, name, data, **fields):
    path = f"/api/v3/models/{model}/inferences/file"
    return http.post(path, files={part: (name, data)}, data=fields)


def test_golden_a_file_of_inferences_and_one_of_truths(http, served, event):
    times = pa.array([1_770_000_000_000_000 + i for i in range(3)], pa.timestamp("us", "UTC"))
    columns = {
        "partner_inference_id": ["f0", "f1", "f2"],
        "inference_timestamp": times,
        "city": ["Oslo", None, "Boston"],
        "amount": [1.5, float("nan"), 3.0],
        "predicted_amount": [1.0, 2.0, 3.0],
    }
    answer = _upload(http, "filed", "inference_data", "x.parquet", _parquet(columns), batch_id="b")
    assert answer.status_code == 207
    assert answer.json() == {"counts": {"success": 3, "failure": 0, "total": 3}, "failures": []}
    stored, _ = event("filed", "f1")
    assert stored["features"] == {"city": None, "amount": None}
    assert (stored["batch_id"], stored["prediction"]) == ("b", 2.0)
    truths = {
        "partner_inference_id": ["f0", "f1", "f2"],
        "ground_truth_timestamp": times,
        "actual": [1, 2, None],
    }
    answer = _upload(http, "filed", "ground_truth_data", "y.parquet", _parquet(truths))
    assert answer.json()["counts"] == {"success": 2, "failure": 1, "total": 3}
    assert answer.json()["failures"][0]["message"].startswith("row 3: ")
    labels = served.sql("SELECT label FROM events WHERE model_id = 'filed' ORDER BY event_id")
    assert labels == [("1",), ("2",), (None,)]


@pytest.mark.parametrize("form", ["array", "lines", "csv"])
def test_golden_other_forms_of_files(form, http, served):
    rows = [
        {"partner_inference_id": f"{form}-{i}", "inference_timestamp": TIME, "x": i, "label": i}
        for i in range(3)
    ]
    texts = {
        "array": json.dumps(rows),
        "lines": "\n".join(map(json.dumps, rows)),
        "csv": "\n".join(
            ",".join(map(str, row)) for row in ([*rows[0]], *[r.values() for r in rows])
        ),
    }
    answer = _upload(http, "forms", "inference_data", f"rows.{form}", texts[form].encode())
    assert answer.json()["counts"] == {"success": 3, "failure": 0, "total": 3}, answer.text
    told = served.sql(
        "SELECT label FROM events WHERE model_id = 'forms' AND event_id LIKE ? ORDER BY event_id",
        f"{form}-%",
    )
    assert told == [("0",), ("1",), ("2",)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.parquet", b"PAR1 and nothing more"),
        ("x.bin", b"\x00\x01"),
        ("x.json", b"[1, 2"),
        ("x.json", b""),
        ("x.csv", b""),
        ("x.csv", b'a,b\n"1,2\n3'),
        ("x.parquet", _parquet({"x": [[1, 2]]})),
    ],
)
def test_error_files_that_cannot_be_read(name, data, http):
    answer = _upload(http, "broken", "inference_data", name, data)
    assert answer.status_code == 400, answer.text
    assert "the file must be" in answer.json()["error"]


def test_error_a_form_without_a_file(http):
    path = "/api/v3/models/broken/inferences/file"
    for more in ({}, {"files": {"other": b"[]"}}, {"json": []},
                 {"files": {"inference_data": b"[]", "ground_truth_data": b"[]"}}):  # fmt: skip
        answer = http.post(path, **more)
        assert answer.status_code == 400
        assert "multipart form with one file" in answer.json()["error"]
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert http.post(path, content=b"--y", headers=headers).status_code == 400


def test_error_rows_of_files_are_judged_by_themselves(http):
    rows = [3, {"ground_truth_data": 3}, {"inference_data": "x", "ground_truth_data": [1]},
            {"partner_inference_id": "a", "ground_truth_timestamp": TIME, "t": 1}]  # fmt: skip
    answer = _upload(http, "odd", "ground_truth_data", "x.json", json.dumps(rows).encode())
    assert answer.json()["counts"] == {"success": 1, "failure": 3, "total": 4}
    answer = _upload(
        http, "odd", "inference_data", "x.json", json.dumps(rows).encode(), batch_id="b"
    )
    assert answer.json()["counts"] == {"success": 0, "failure": 4, "total": 4}


# ---- batches -----------------------------------------------------------------------------------


def test_golden_a_batch_is_closed_at_the_time_of_its_latest_event(send, http, served):
    send("batched", [_inference(f"b{i}", {"x": i}, batch_id="one") for i in range(3)])
    path = "/api/v3/models/batched/batches/one"
    assert http.get(path).json().items() >= {"records": 3, "status": "started"}.items()
    answer = http.patch(path, json={"status": "uploaded", "total_record_count": 3})
    assert (answer.status_code, answer.json()) == (200, {"message": "success"})
    assert http.get(path).json()["status"] == "uploaded"
    ((raw,),) = served.sql("SELECT raw FROM other_events WHERE model_id = 'batched'")
    assert json.loads(raw)["timestamp"] == 1_770_091_506_000
    assert http.get("/api/v3/models/batched/batches/two").status_code == 404
    for body in ({}, {"status": "open"}, {"status": "uploaded", "x": 1},
                 {"status": "uploaded", "total_record_count": -1}):  # fmt: skip
        assert http.patch(path, json=body).status_code == 400


# ---- who may -----------------------------------------------------------------------------------


def test_error_viewers_do_not_send_and_hidden_models_are_not_there(served):
    item = [_inference("x", {"x": 1})]
    with served.http("viewer") as viewer:
        assert viewer.post("/api/v3/models/triage/inferences", json=item).status_code == 403
        assert viewer.patch("/api/v3/models/triage/inferences", json=item).status_code == 403
    with served.http(None, headers={"X-Api-Key": "key-of-the-blind-one-01"}) as blind:
        hidden = blind.post("/api/v3/models/triage/inferences", json=item)
        unknown = blind.post("/api/v3/models/nobody/inferences", json=item)
        assert hidden.status_code == unknown.status_code == 404
        assert hidden.text.replace("triage", "nobody") == unknown.text


@pytest.mark.parametrize("body", [b"", b"{}", b"3", b'{"a": 1}', b"[1,", b"null"])
def test_error_bodies_that_are_no_arrays(body, http):
    for method in ("POST", "PATCH"):
        answer = http.request(method, "/api/v3/models/triage/inferences", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("the body must be")
