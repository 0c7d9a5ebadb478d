"""Many properties of long lines fit into little memory: the JSON of a line is read once for all.

Each call of a JSON function in a statement holds what it has read of 2,048 lines: a statement with
some for every property ran out of the writer's memory, which ends a run.
"""

from commands import encoded, prediction
from decoding import decoder
from harness import fresh_store

from engine.batch import Block
from engine.canonical import canonical
from engine.config import ModelSettings, Settings
from engine.monitor import Monitor
from engine.rules.rowset import RowColumns, Rowset

NAMES = [f"features.f{place}" for place in range(40)]
COUNT = 2_500


def test_law_many_properties_of_long_lines_need_little_memory():
    store = fresh_store()
    features = {"f1": "x" * 1_000, "f2": 7, "f3": "b"}
    lines = encoded(prediction(second, features=features) for second in range(COUNT))
    monitor = Monitor(store, Settings(models=(ModelSettings("m"),)), 60, canonical)
    monitor.watch()
    monitor.take(decoder(max_future_us=None).decode(Block("s", "p", 0, lines, 0)))
    columns = RowColumns()
    for name in NAMES:
        columns.number(name)
        columns.text(name)
    columns.text("?.f3")
    store.execute("SET memory_limit = '160MB'")
    rows = Rowset(store, columns).of_store("0", "true", 0)
    assert len(rows) == COUNT
    assert set(rows["n:features.f2"].to_pylist()) == {7.0}
    for name, value in (("t:features.f1", "x" * 1_000), ("t:?.f3", "b"), ("t:features.f9", None)):
        assert set(rows[name].to_pylist()) == {value}
