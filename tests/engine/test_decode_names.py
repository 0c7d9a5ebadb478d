"""Names of properties: any text, any case, any number, and what a decoder learns of them."""

import numpy as np
from decoding import DATABASE, NOW_US, event, numbers, ways
from hypothesis import given
from hypothesis import strategies as st

from engine.batch import Block
from engine.decode import Decoder
from engine.lines import split
from engine.nulls import null_keys
from engine.schema import MAX_NAMES, Schema


def test_golden_names_may_be_anything() -> None:
    names = [
        "'",
        '"',
        "a.b",
        "a b",
        "é",
        "É",
        "\u017f",
        "s",
        ");--",
        "\\",
        "\x01",
        "\x00",
        "{",
        "raw",
        "𝄞",
    ]
    fields = {name: float(place) for place, name in enumerate(names)}
    lines = [event(features=fields, **fields) for _ in range(3)]
    lines += [event(features={name: value}) for name, value in fields.items()]
    expected = {f"features.{name}": value for name, value in fields.items()} | fields
    for batch in ways(*lines):
        assert batch.rejects.num_rows == 0
        assert numbers(batch) == expected


def test_golden_names_that_differ_by_case_stay_apart() -> None:
    lines = [
        event(features={"a": 1, "b": 3}, n=5),
        event(features={"A": 2}),
        event(N=6),
        event(Type=7),
    ]
    for batch in ways(*lines):
        expected = {"features.a": 1.0, "features.b": 3.0, "n": 5.0, "features.A": 2.0}
        assert numbers(batch) == expected | {"N": 6.0, "Type": 7.0}
    assert numbers(ways(event(features={"a": 1, "A": 2}))[2]) == {
        "features.a": 1.0,
        "features.A": 2.0,
    }


def test_golden_a_name_may_change_its_kind() -> None:
    lines = [
        event(id=i, features={"k": value}) for i, value in enumerate([1, "x", None, True, 2.5, "7"])
    ]
    for batch in ways(*lines):
        wide = batch.predictions["features.k"].to_pylist() if batch.properties else [None] * 6
        for row in batch.sparse.to_pylist():
            wide[row["ordinal"]] = row["value"]
        assert wide == [1.0, None, None, None, 2.5, None]


def test_golden_learning_has_a_limit() -> None:
    schema = Schema()
    names = [f"f{i}" for i in range(MAX_NAMES + 5)]
    learned = [schema.learn("features", name, "number") for name in [*names, *names]]
    assert sum(learned) == MAX_NAMES
    lines = [event(features={f"f{i}": i}) for i in range(MAX_NAMES + 5)]
    batch = ways(*lines)[2]
    assert numbers(batch) == {f"features.f{i}": float(i) for i in range(MAX_NAMES + 5)}
    assert batch.predictions.num_rows == MAX_NAMES + 5


def test_golden_a_normal_stream_is_read_by_column_from_its_first_block_on() -> None:
    rows = [
        event(id=i, features={f"f{j}": i * j for j in range(10)}, label=None) for i in range(2000)
    ]
    block = Block("s", "p", 0, "\n".join(rows).encode(), NOW_US)
    reading = Decoder(DATABASE, max_future_us=None, line_bytes=1 << 20)
    assert len(set(reading.decode(block).sparse["ordinal"].to_pylist())) == 64
    again = reading.decode(block)
    assert (again.sparse.num_rows, len(again.properties)) == (0, 10)


def test_golden_nulls_do_not_make_a_line_slow_but_repeats_are_seen() -> None:
    lines = [
        event(label=None, prediction="x"),
        event(features={"a": None, "b": 1}, labels={"a": None, "c": 2}, score=None, unknown=None),
        event(prediction=":null", label=None),
        event(prediction="x").replace("}", ',"prediction":null}'),
        event(label=None).replace("}", ',"label":null}'),
    ]
    for batch in ways(*lines):
        assert batch.predictions["ordinal"].to_pylist() == [0, 1, 2]
        assert [row["field"] for row in batch.rejects.to_pylist()] == ["prediction", "label"]
    assert set(ways(*lines)[2].sparse["ordinal"].to_pylist()) <= {1}


def test_golden_null_keys_are_told_from_strings() -> None:
    data = b'{"a":":null","b" : null,"c":null}\n{"a":null,"a":null}\n{"a":1,"b":" null"}'
    found = null_keys(split(data, at_start=True), np.arange(3), lambda _: np.zeros(3, np.bool_))
    assert (found.count.tolist(), found.certain.tolist()) == ([2, 2, 0], [True, False, True])


NULL_PIECES = st.sampled_from(
    ['"a"', '"b"', ":", ":null", ": \t null", '":null"', "     ", " null", ",", "null", '"', "é"]
)


@given(st.lists(st.lists(NULL_PIECES, max_size=9).map("".join), min_size=1, max_size=5))
def test_oracle_null_keys_of_few_lines_are_those_of_many(texts: list[str]) -> None:
    few = "\n".join(f"{{{text}}}" for text in texts)
    many = "\n".join([few, *['{"a":null}'] * (16 * len(texts))]).encode()
    rows = np.arange(len(texts))
    # Of all lines asked for, all bytes are looked at.
    found = [
        null_keys(split(data, at_start=True), rows, lambda name: np.full(len(rows), name == "b"))
        for data in (few.encode(), many)
    ]
    assert found[0].count.tolist() == found[1].count.tolist()
    assert found[0].certain.tolist() == found[1].certain.tolist()
