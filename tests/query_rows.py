"""Random rows for queries, as a relation and as plain dictionaries, and a plan run over them.

`run` does what a live monitor does with a plan: rows are taken in in blocks, wrong ones are taken
back, counts and exact sums add up, and a multiset keeps the panes of its entries.
"""

import json
import math
import random
from collections import Counter
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from engine.panes import pane_of
from engine.query.answer import answer
from engine.query.columns import StoredColumns
from engine.query.compile import has_truths, plan_of
from engine.query.exact import exact_sums
from engine.query.names import ModelNames
from engine.query.parse import parse
from engine.query.plan import ROW_COLUMNS, Amounts, Multiset, Plan
from engine.query.projected import Projected
from engine.query.tree import Call, Column, Condition, Query
from engine.rows import make_tables
from engine.values import number_text

START = datetime.fromisoformat("2024-03-01")
NAMES = ModelNames(
    "m",
    {
        "features.age": "number",
        "features.city": "text",
        "features.odd 'name\"; DROP": "mixed",
        "predictions.p_a": "number",
        "predictions.p_b": "number",
        "labels.truth": "mixed",
        "labels.amount": "number",
        "device": "text",
    },
    classes=("no", "yes"),
)

CURSOR = duckdb.connect()
make_tables(CURSOR)
SAID = "SELECT $raw AS line, NULL::INTEGER AS shape_id, NULL::DOUBLE[] AS numbers"
"""Of a row that is kept as JSON, what an event says."""
_TYPES = {"shape_id": pa.int32(), "numbers": pa.list_(pa.float64())}
_TIMES = {"event_time", "received_time", "label_time"}
_NUMBERS = {"prediction_number", "label_number", "score", "positive_score"}


def class_of(value):
    """Class text of a JSON scalar."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value)


def number_of(value):
    """Number of a JSON scalar."""
    return None if value is None or isinstance(value, bool | str) else float(value)


def row(index, time, *, features=None, predictions=None, labels=None, further=None, **fields):
    """One row; `fields` are prediction, label, score, positive and label_time."""
    prediction, label = fields.get("prediction"), fields.get("label")
    raw = {"model_id": "m", "id": f"e{index}", "features": features or {}} | (further or {})
    raw |= {"predictions": predictions or {}, "labels": labels or {}}
    return dict.fromkeys(ROW_COLUMNS) | {
        "model_id": "m", "event_id": f"e{index}", "event_time": time,
        "received_time": time + timedelta(seconds=1),
        "label_time": fields.get("label_time", time if label is not None else None),
        "prediction": class_of(prediction), "prediction_number": number_of(prediction),
        "label": class_of(label), "label_number": number_of(label),
        "score": fields.get("score"), "positive_score": fields.get("positive"),
        "line": json.dumps(raw, ensure_ascii=False), "event": raw,
    }  # fmt: skip


def maybe(rng, value, share=0.15):
    """The value, or None now and then."""
    return None if rng.random() < share else value


def random_rows(seed, count=120, *, regression=False, minutes=12.0):
    """Rows with holes, of two classes or of numbers."""
    rng = random.Random(seed)
    found = []
    for index in range(count):
        time = START + timedelta(seconds=rng.uniform(0, minutes * 60))
        if regression:
            label, prediction = (maybe(rng, rng.uniform(-5, 5) + 1e6) for _ in range(2))
        else:
            label, prediction = (maybe(rng, rng.choice(["no", "yes"])) for _ in range(2))
        score = maybe(rng, rng.choice([0.5, 0.25, 0.57, 1.0, 0.0, rng.random()]))
        found.append(
            row(
                index, time, prediction=prediction, label=label, score=score,
                positive=maybe(rng, rng.choice([0.5, 0.499, rng.random()])),
                label_time=label and time + timedelta(seconds=rng.choice([-5, 0, 90])),
                features={
                    "age": maybe(rng, rng.choice([30, 32, 32.0, 50, rng.uniform(20, 60)])),
                    "city": maybe(rng, rng.choice(["Boston", "Łódź", "O'Hare", "", "b%_"])),
                    "odd 'name\"; DROP": maybe(rng, rng.choice([1, "1", True, "true", 2.5, "x"])),
                },
                predictions={name: maybe(rng, rng.random()) for name in ("p_a", "p_b")},
                labels={
                    "truth": maybe(rng, rng.choice([0, 1, True, False, "1", "0", "true"])),
                    "amount": maybe(rng, rng.uniform(0, 1)),
                },
                further={"device": maybe(rng, rng.choice(["a", "b"]))},
            )
        )  # fmt: skip
    return found


def table_of(rows):
    """Rows as an Arrow table with ROW_COLUMNS, and `raw`."""
    types = {
        name: pa.timestamp("us")
        if name in _TIMES
        else pa.float64()
        if name in _NUMBERS
        else _TYPES.get(name, pa.string())
        for name in ROW_COLUMNS
    }
    found = pa.table(
        {name: pa.array([each[name] for each in rows], types[name]) for name in ROW_COLUMNS}
    )
    return found.append_column("raw", found["line"])


def cursor_of(rows, name="rows"):
    """A connection on which the rows are a relation; the next call takes them away again."""
    CURSOR.register(name, table_of(rows))
    return CURSOR


def seconds(moment):
    """Seconds since the epoch."""
    return (moment - datetime.fromisoformat("1970-01-01")).total_seconds()


def run(cursor, plan: Plan, columns, *, time="r.event_time", relation="rows", pane_s=1):
    """Value and sample count of a plan over the rows of a relation, gathered as a monitor does.

    The plan was compiled over `columns`.
    """
    truths = has_truths(plan.truths, columns)
    selected = ", ".join(f"{c.sql} AS {c.name}" for c in plan.components)
    sql = (
        f"SELECT {pane_of(time, pane_s)} AS pane, {selected} FROM"
        f" ({columns.relation(f'SELECT * FROM {relation}')}) r WHERE ({plan.where}) AND {truths}"
    )
    taken = cursor.sql(sql, params=dict(plan.parameters)).to_arrow_table()
    rng = random.Random(taken.num_rows)
    order = list(range(taken.num_rows))
    rng.shuffle(order)
    wrong = [rng.choice(order) for _ in range(len(order) // 3)]
    steps = [(i, 1) for i in order] + [(i, 1) for i in wrong] + [(i, -1) for i in wrong]
    counts, sums = {}, {}
    multiset = Multiset(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    panes = taken["pane"].to_pylist()
    for component in plan.components:
        values = taken[component.name].to_pylist()
        if component.kind == "count":
            counts[component.name] = np.array([sum(w for i, w in steps if values[i] is True)])
        elif component.kind == "sum":
            kept = [(values[i], w) for i, w in steps if values[i] is not None]
            sums[component.name] = exact_sums(
                np.array([v for v, _ in kept], np.float64), np.zeros(len(kept), np.int64), 1,
                np.array([w for _, w in kept], np.int64),
            )  # fmt: skip
        else:
            net = Counter()
            for i, w in steps:
                if values[i] is not None:
                    net[panes[i], values[i]] += w
            multiset = multiset_of({key: w for key, w in net.items() if w})
    if plan.of_multiset is not None:
        return plan.of_multiset(multiset, pane_s)
    value, n = plan.of_amounts(Amounts(counts, sums))
    return (None if np.isnan(value[0]) else float(value[0])), int(n[0])


def multiset_of(net):
    """A multiset of weights by (pane, entry)."""
    entries = [entry for _, entry in net]
    kind = object if entries and isinstance(entries[0], str) else np.float64
    return Multiset(
        np.array(entries, kind),
        np.array(list(net.values()), np.int64),
        np.array([pane for pane, _ in net], np.int64),
    )


def column(name):
    """A property by its resolved name."""
    return Column(name, name, "query.select[0]")


def query(function, conditions=(), **parameters):
    """A metric's query."""
    return Query((Call(function, parameters, "query.select[0]"),), filter=tuple(conditions))


def condition(name, comparator, value=None):
    """One filter."""
    return Condition(column(name), comparator, value, "query.filter[0]")


def compiled(function, conditions=(), names=NAMES, **parameters):
    """The plan of a metric over columns of its own, and these."""
    columns = Projected(StoredColumns(names))
    return plan_of(query(function, conditions, **parameters), names, columns), columns


def evaluate(rows, function, conditions=(), names=NAMES, **parameters):
    """Value and sample count of a metric over rows."""
    plan, columns = compiled(function, conditions, names, **parameters)
    return run(cursor_of(rows), plan, columns)


def read(each, name):
    """The JSON value that a resolved name means in a row."""
    if name in ("prediction", "label", "score"):
        return each[name]
    container, _, inner = name.partition(".")
    event = each["event"]
    return event[container].get(inner) if inner else event.get(name)


def close(found, expected):
    """Whether a value is the expected one but for rounding; None is only itself."""
    if expected is None or found is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-300)


def ask(rows, query, names=NAMES, window=None):
    """Answer a query, given as JSON, over rows."""
    cursor = cursor_of(rows)
    return answer(cursor, names, parse(query, names), lambda _: "SELECT * FROM rows", window)


def one(function, alias=None, **parameters):
    """One function of a select, as JSON."""
    item = {"function": function, "parameters": parameters}
    return item | ({"alias": alias} if alias else {})
