"""Bounds of ad-hoc queries: what is too large is refused, and says how to ask for less."""

import duckdb
import pytest

from engine.ad_hoc import ROWS_MAX, SUBQUERY_ROWS_MAX, ask
from engine.config import ModelSettings
from engine.errors import QueryError
from engine.query.answer_groups import GROUPS_MAX
from engine.rows import make_tables

MODEL = ModelSettings("m")
IDS = [{"property": "inference_id"}]


@pytest.fixture(scope="module")
def cursor():
    found = duckdb.connect()
    make_tables(found)
    found.execute(
        "INSERT INTO events_kept (seq, key, model_id, event_id, event_time, received_time,"
        " partition_id, position, line) SELECT i, i, 'm', i::VARCHAR, make_timestamp(i),"
        f" make_timestamp(0), 0, 0, '{{}}' FROM range({GROUPS_MAX + 1}) t(i)"
    )
    return found


def test_oracle_pages_of_what_is_too_large(cursor):
    with pytest.raises(QueryError, match=f"at most {ROWS_MAX} rows, got more"):
        ask(cursor, MODEL, {"select": IDS})
    rows = ask(cursor, MODEL, {"select": IDS, "limit": ROWS_MAX, "offset": 5})
    assert [row["inference_id"] for row in rows] == [str(i + 5) for i in range(ROWS_MAX)]
    rows = ask(cursor, MODEL, {"select": IDS}, page=(3, 10))
    assert [row["inference_id"] for row in rows] == [str(i) for i in range(20, 30)]


def test_error_too_many_rows_groups_or_subrows(cursor):
    count = [{"function": "count"}]
    by_id = {"select": count, "group_by": IDS}
    for query, told in (
        ({"select": IDS, "limit": ROWS_MAX + 1}, "`query.limit` must be at most"),
        (by_id, f"at most {GROUPS_MAX} groups"),
        ({"select": count, "subquery": {"select": IDS}}, "`query.subquery` must aggregate"),
        (
            {"select": count, "subquery": {"select": IDS, "limit": SUBQUERY_ROWS_MAX + 1}},
            f"a limit of at most {SUBQUERY_ROWS_MAX}",
        ),
        ({"select": count, "subquery": {"select": count, "subquery": {"select": IDS}}},
         "`query.subquery.subquery` must aggregate"),
    ):  # fmt: skip
        with pytest.raises(QueryError, match=told):
            ask(cursor, MODEL, query)


def test_oracle_a_subquery_with_a_limit_is_counted(cursor):
    query = {"select": [{"function": "count"}], "subquery": {"select": IDS, "limit": 50}}
    assert ask(cursor, MODEL, query) == [{"count": 50}]


def test_error_a_page_of_a_query_with_a_limit(cursor):
    with pytest.raises(QueryError, match="must be absent where the query has a limit"):
        ask(cursor, MODEL, {"select": IDS, "limit": 3}, page=(1, 10))
