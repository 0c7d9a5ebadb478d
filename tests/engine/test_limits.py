"""Limits, retention and compaction: what is over is counted, what is merged or dropped adds up."""

import random

import duckdb
import pytest
from harness import confusion, encoded, events_relation, fresh_store

from engine.batch import Block
from engine.compaction import compact
from engine.config import Limits, ModelSettings, Settings
from engine.decode import Decoder, canonical
from engine.known import OTHER
from engine.monitor import Monitor
from engine.retention import drop_old_events
from engine.seen import SEGMENT_BITS

START_MS = 1_700_000_040_000


@pytest.fixture(scope="module")
def decoder():
    return Decoder(duckdb.connect(config={"threads": 1}), max_future_us=None, line_bytes=1 << 20)


def event(number, model="m", **fields):
    return {"model_id": model, "id": f"e{number}", "timestamp": START_MS + number * 1000, **fields}


def fed(decoder, blocks, configuration=None):
    connection = fresh_store()
    monitor = Monitor(connection, configuration or Settings(), 60, canonical)
    position = 0
    for events in blocks:
        data = b"".join(encoded(events))
        connection.execute("BEGIN")
        monitor.take(decoder.decode(Block("s", "p", position, data, 0)))
        connection.execute("COMMIT")
        position += len(data)
    return connection, monitor


def test_law_models_over_the_limit_are_counted_as_other(decoder):
    events = [event(n, f"m{n % 4}", prediction="a", label="a") for n in range(12)]
    settings = Settings(limits=Limits(models=2))
    connection, monitor = fed(decoder, [events[:5], events[5:]], settings)
    counts = dict(
        connection.execute(
            "SELECT model_id, sum(count) FROM confusion_matrix"
            " WHERE time_basis = 'event' GROUP BY 1"
        ).fetchall()
    )
    assert counts == {"m0": 3, "m1": 3, OTHER: 6}
    assert monitor.limits_reached == {"models"}
    assert connection.execute("SELECT count(DISTINCT model_id) FROM events").fetchone() == (4,)


def test_law_a_correction_is_taken_back_from_other(decoder):
    events = [event(n, f"m{n}", prediction="a", label="a") for n in range(3)]
    late = {"type": "label", "model_id": "m2", "id": "e2", "timestamp": START_MS, "label": "b"}
    connection, _ = fed(decoder, [events, [late]], Settings(limits=Limits(models=1)))
    cells = {key[3:]: count for key, count in confusion(connection).items() if key[0] == OTHER}
    assert cells == {("a", "a"): 1, ("b", "a"): 1}


def test_law_classes_over_the_limit_keep_right_and_wrong_apart(decoder):
    events = [
        event(0, prediction="a", label="a"),
        event(1, prediction="b", label="b"),
        event(2, prediction="c", label="c"),
        event(3, prediction="c", label="d"),
        event(4, prediction="d", label="a"),
    ]
    connection, monitor = fed(decoder, [events], Settings(limits=Limits(classes=2)))
    rows = connection.execute(
        "SELECT label, prediction, count FROM confusion_matrix WHERE time_basis = 'event'"
    ).fetchall()
    assert sorted(rows) == [
        (OTHER, "__another__", 1),
        (OTHER, OTHER, 1),
        ("a", OTHER, 1),
        ("a", "a", 1),
        ("b", "b", 1),
    ]
    assert monitor.limits_reached == {"classes"}


def test_law_properties_over_the_limit_are_summed_as_other(decoder):
    events = [event(n, features={f"f{n % 3}": n}) for n in range(6)]
    connection, monitor = fed(decoder, [events], Settings(limits=Limits(series=1)))
    rows = connection.execute(
        "SELECT property, sum(count), sum(sum), min(min), max(max) FROM value_panes GROUP BY 1"
    ).fetchall()
    assert sorted(rows) == [(OTHER, 4, 12.0, 1.0, 5.0), ("features.f0", 2, 3.0, 0.0, 3.0)]
    assert monitor.limits_reached == {"series"}


def test_law_compaction_changes_no_relation(decoder):
    blocks = [
        [
            event(n, prediction="ab"[n % 2], label="a", score=0.25, features={"x": n / 7}),
            event(1000 + n, prediction=n / 3, label=n / 5),
        ]
        for n in range(20)
    ]
    connection, _ = fed(decoder, blocks)
    before = confusion(connection), events_relation(connection)
    sums = "SELECT sum(count), sum(squared_error), sum(count * label_mean) FROM error_panes"
    errors = connection.execute(sums).fetchone()
    spread = "SELECT count(*), var_pop(label_number) FROM events WHERE label_number IS NOT NULL"
    count, variance = connection.execute(spread).fetchone()
    compact(connection, 0)
    assert (confusion(connection), events_relation(connection)) == before
    assert connection.execute(sums).fetchone() == pytest.approx(errors)
    for table in ("total_panes", "cell_panes", "score_bins", "value_panes", "error_panes"):
        keys = [
            name
            for (name, *_) in connection.execute(f"DESCRIBE {table}").fetchall()
            if name
            in {
                "model_id",
                "time_basis",
                "pane_s",
                "event_pane_s",
                "label_pane_s",
                "label",
                "prediction",
                "kind",
                "bin",
                "property",
            }
        ]
        twice = f"SELECT 1 FROM {table} GROUP BY {', '.join(keys)} HAVING count(*) > 1"
        assert connection.execute(twice).fetchall() == []
    m2 = (
        "SELECT sum(label_m2 + count * label_mean * label_mean), sum(count * label_mean)"
        " FROM error_panes WHERE time_basis = 'event'"
    )
    squares, total = connection.execute(m2).fetchone()
    assert squares / count - (total / count) ** 2 == pytest.approx(variance)


@pytest.mark.parametrize(("apart_ms", "rows"), [(400, 2 + 3), (60_000, 121 * 3)])
def test_law_blocks_that_share_their_panes_are_merged_after_a_while(decoder, apart_ms, rows):
    blocks = [
        [event(n, prediction="a", label="a") | {"timestamp": START_MS + n * apart_ms}]
        for n in range(121)
    ]
    connection, _ = fed(decoder, blocks)
    sql = "SELECT count(*), sum(labelled), max(block_seq) FROM total_panes"
    assert connection.execute(sql).fetchone() == (rows, 2 * 121, 120)
    assert connection.execute("SELECT small_blocks, compacted_seq FROM clock").fetchone() == (
        1,
        120,
    )


def test_oracle_merged_score_bins_are_those_of_sql(decoder):
    chance = random.Random(5)
    texts, blocks = ["a", "b", None], []
    for _ in range(30):
        row = {"prediction": chance.choice(texts), "label": chance.choice("ab")}
        times = [chance.randrange(900) for _ in range(9)]
        blocks.append([event(n, **row, score=chance.randrange(9) / 16) for n in times])
    blocks += [
        [{"type": "label", "model_id": "m", "id": f"e{n}", "timestamp": START_MS, "label": "c"}]
        for n in range(0, 900, 40)
    ]
    connection, _ = fed(decoder, blocks)
    keys = "model_id, event_pane_s, label_pane_s, kind, label, prediction"
    naive = (
        f"SELECT {keys}, bin, sum(count)::BIGINT FROM (SELECT *, unnest(bins) AS bin,"
        f" unnest(counts) AS count FROM score_bins) GROUP BY {keys}, bin HAVING sum(count) <> 0"
        " ORDER BY ALL"
    )
    expected = connection.execute(naive).fetchall()
    compact(connection, 0)
    assert connection.execute(naive).fetchall() == expected
    assert any(count > 1 for *_, count in expected)
    assert connection.execute("SELECT count(*) FROM score_bins").fetchone() == (
        len({row[:6] for row in expected}),
    )
    ascending = "SELECT bool_and(bins = list_sort(bins)), max(block_seq) FROM score_bins"
    assert connection.execute(ascending).fetchone()[0]


def test_law_retention_drops_whole_old_segments_and_keeps_the_panes(decoder):
    connection, _ = fed(decoder, [[event(n, prediction="a", label="a") for n in range(5)]])
    # Two million lines would be needed to fill segments: the lines are moved apart instead.
    connection.execute(f"UPDATE events_kept SET seq = seq << {SEGMENT_BITS}")
    connection.execute(f"UPDATE clock SET next_seq = 5 << {SEGMENT_BITS}")
    before = confusion(connection)
    dropped = drop_old_events(connection, (START_MS + 2500) * 1000)
    assert dropped == [0, 1, 2]
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (2,)
    assert confusion(connection) == before


def test_law_a_changed_positive_property_is_counted_as_if_it_had_always_been(decoder):
    def told(name):
        return Settings(models=(ModelSettings(id="m", positive="a", positive_property=name),))

    odd = "p/~a"
    events = [
        event(n, prediction="ab"[n % 2], label="a", features={odd: n / 8}, p=1 - n / 8)
        for n in range(8)
    ]
    tables = "SELECT * EXCLUDE (block_seq) FROM {} ORDER BY ALL"
    for name in (odd, f"features.{odd}", "p", None):
        settings = told(name) if name else Settings()
        reader = Decoder(
            duckdb.connect(),
            max_future_us=None,
            line_bytes=1 << 20,
            positive={"m": ("a", name)} if name else {},
        )
        wanted, _ = fed(reader, [events], settings)
        changed, _ = fed(decoder, [events], Settings())
        changed.execute("BEGIN")
        Monitor(changed, settings, 60, canonical).recount()
        changed.execute("COMMIT")
        for table in ("probability_panes", "score_bins"):
            found = changed.execute(tables.format(table)).fetchall()
            assert found == wanted.execute(tables.format(table)).fetchall()
            assert found or name is None
