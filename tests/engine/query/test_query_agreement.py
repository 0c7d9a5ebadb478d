"""The live value of a window is the ad-hoc answer over it: the same components, the same formulas.

Live means: rows in any order and cut, some taken back, each metric of every function, model and
time basis; the two must not differ in one bit.
"""

import random
from dataclasses import replace
from itertools import cycle

import duckdb
import harness
import pytest
from query_rows import NAMES, START, close, cursor_of, one, random_rows, run, seconds

from engine.config import ModelSettings, Settings
from engine.decode import Decoder
from engine.query.answer import answer
from engine.query.check import check_metric
from engine.query.columns import StoredColumns, rows_sql
from engine.query.compile import AGGREGATES, plan_of
from engine.query.functions import FUNCTIONS
from engine.query.names import ModelNames
from engine.query.parse import parse
from engine.query.parse_defaults import default_query
from engine.query.projected import Projected

MODELS = (
    replace(NAMES, positive="no"),
    replace(NAMES, positive="yes", positive_property="p_a", threshold=0.4995),
    replace(NAMES, classes=("maybe", "no", "yes")),
    replace(NAMES, classes=(), properties={}, complete=False),
)
FILTERS = (
    [],
    [{"property": "features.age", "comparator": "lt", "value": 50}],
    [
        {"property": "label", "comparator": "ne", "value": "no"},
        {"property": "features.city", "comparator": "in", "value": ["Boston", "O'Hare", ""]},
    ],
    [{"property": "labels.truth", "comparator": "eq", "value": True}],
)
BEST = {"function": "labelByMaxColumn", "parameters": {"properties": ["labels.truth", "amount"]}}
GIVEN = {
    "rate": [{"property": "labels.truth", "comparator": "eq", "value": 1},
             {"property": "score", "comparator": "gte", "value": 0.57},
             {"property": {"nested_function": BEST}, "comparator": "eq", "value": "amount"}],
    "quantile": [{"property": "score", "q": 0.9}],
    "mae": [{}, {"aggregation": "max"}, {"normalizationMin": 1, "normalizationMax": 3}],
    "pageHinkley": [{"property": "score", "threshold": 0.1, "min_instances": 2}],
}  # fmt: skip
NAMED = {"ground_truth_property": "labels.truth", "predicted_property": "predictions.p_b"}
AMOUNTS = {"ground_truth_property": "labels.amount", "predicted_property": "predictions.p_b"}


def _parameters(function):
    """Parameters of a function, in every way that matters."""
    found = list(GIVEN.get(function, []))
    known = {each.name for each in FUNCTIONS[function].parameters}
    if "property" in known and not found:
        nested = {"nested_function": {"function": "abs", "parameters": {"property": "label"}}}
        found += [{"property": name} for name in ("features.age", "prediction", nested)]
    if "threshold" in known and "property" not in known:
        found += [{}, NAMED, NAMED | {"threshold": 0.25}, {"threshold": 0.6}]
        found += [{"predicted_property": "score"}, {"ground_truth_property": "labels.truth"}]
    elif "ground_truth_property" in known:
        found += [{}, NAMED if function == "auc" else AMOUNTS]
    if "class" in known:
        found += [{}, {"class": "no"}]
    return found or [{}]


@pytest.mark.parametrize("function", AGGREGATES)
def test_law_live_values_are_the_ad_hoc_answers(function):
    rng = random.Random(function)
    values = set()
    for parameters in _parameters(function):
        for names in [NAMES, *rng.sample(MODELS, 2)]:
            rows = random_rows(rng.random(), 60, regression=rng.random() < 0.3)
            query = {"select": [one(function, "x", **parameters)], "filter": rng.choice(FILTERS)}
            tree = parse(query, names)
            check_metric(tree, "streaming")
            values.add(_agreed(rows, tree, names, rng))
    assert values != {None}


def _agreed(rows, tree, names, rng):
    """Compare both ways to the value of one window."""
    cursor, basis = cursor_of(rows), rng.choice(["event", "label"])
    start = int((seconds(START) + rng.randrange(120)) * 1e6)
    end = start + rng.choice([300, 599]) * 1_000_000
    (found,) = answer(cursor, names, tree, lambda _: "SELECT * FROM rows", (start, end, basis))
    time = "r.event_time" if basis == "event" else "greatest(r.event_time, r.label_time)"
    labelled = "true" if basis == "event" else "r.label_time IS NOT NULL"
    relation = (
        f"(SELECT * FROM rows r WHERE {labelled} AND {time} >= make_timestamp({start})"
        f" AND {time} < make_timestamp({end}))"
    )
    columns = Projected(StoredColumns(names))
    plan = plan_of(tree, names, columns)
    pane_s = rng.choice([1, 30, 60])
    live, _ = run(cursor, plan, columns, time=time, relation=relation, pane_s=pane_s)
    assert found["x"] == live
    return live


# ---- the same numbers as metric_values ---------------------------------------------------------

SETTINGS = Settings(
    models=(
        ModelSettings("m0", classes=("no", "yes"), positive="no"),
        ModelSettings("m1", positive="yes", positive_property="p", threshold=0.3335),
        ModelSettings("m2"),
    )
)
PROPERTIES = {"features.age": "number", "features.p": "number"}


def _lines(seed):
    """Events of three models, the third one of numbers; some labels come late."""
    rng, events = random.Random(seed), []
    for index in range(240):
        model = index % 3
        classes = ("yes", "no") if model < 2 else (0.5, 2.25, 4.5)
        event = {"model_id": f"m{model}", "id": str(index), "timestamp": 1_000 * (index + 60)}
        event |= {"prediction": rng.choice(classes), "score": round(rng.random(), 2)}
        event["features"] = {"age": rng.choice([None, rng.uniform(0, 9)]), "p": rng.random()}
        if model == 0:
            del event["features"]["p"]
        if rng.random() < 0.8:
            late = {"type": "label", "timestamp": event["timestamp"] + rng.choice([-5, 90]) * 1_000}
            late |= {key: event[key] for key in ("model_id", "id")} | {"label": rng.choice(classes)}
            events.append(late)
        events.append(event)
    return events


def test_contract_AR_49_default_metrics_are_their_queries():
    decoder = Decoder(
        duckdb.connect(config={"threads": 1}),
        max_future_us=None, line_bytes=1 << 20, positive={"m1": ("yes", "p")},
    )  # fmt: skip
    store = harness.run(decoder, harness.encoded(_lines(2)), cycle([37, 11]), SETTINGS)
    found = store.execute(
        "SELECT model_id, metric_name, class_or_group, time_basis, epoch_us(window_start),"
        " epoch_us(window_end), value, sample_count FROM metric_values ORDER BY ALL"
    ).fetchall()
    seen = set()
    for model, name, group, basis, start, end, value, _ in random.Random(1).sample(found, 150):
        settings = next(each for each in SETTINGS.models if each.id == model)
        names = ModelNames(
            model, PROPERTIES, ("no", "yes") if model < "m2" else (),
            settings.positive, settings.positive_property, settings.threshold,
        )  # fmt: skip
        query, _ = default_query(name if group is None or "(" in name else f"{name}({group})")
        tree = parse(query, names)
        rows = rows_sql(names, "inference")
        (row,) = answer(store, names, tree, lambda _, rows=rows: rows, (start, end, basis))
        (told,) = row.values()
        assert close(told, value) or told == pytest.approx(value, rel=1e-9), (model, name, group)
        seen.add(tree.select[0].function)
    assert len(seen) > 20
