"""What SQL may do, with DuckDB as the oracle, and that what it may not do changes nothing."""

import time

import duckdb
import pytest

from connectors.sqlquery import (
    DATABASE_CONFIG,
    answering,
    check_database,
)
from connectors.sqlwire import check_time_limit
from engine.errors import QueryError


@pytest.fixture
def connection(tmp_path):
    connection = duckdb.connect(str(tmp_path / "bellwether.duckdb"), config=DATABASE_CONFIG)
    connection.execute("CREATE TABLE t AS SELECT range i, 'x' || range s FROM range(1000)")
    connection.execute("CREATE VIEW v AS SELECT count(*) n FROM t")
    (tmp_path / "outside.csv").write_text("a\n1\n")
    yield connection
    connection.close()


def rows(connection, sql, limit_s=10.0):
    with answering(connection, sql, limit_s) as answer:
        return [tuple(row.values()) for batch in answer.batches for row in batch.to_pylist()]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(i) FROM t",
        "from t order by i desc limit 3",
        "FROM v;",
        "-- why\nVALUES (1), (2)",
        "WITH a AS (SELECT 1) FROM a",
        "TABLE t",
        "DESCRIBE t",
        "SHOW TABLES",
        "PIVOT (FROM t LIMIT 9) ON i % 3 USING count(*)",
    ],
)
def test_oracle_reading_statements_give_what_duckdb_gives(connection, sql):
    expected = connection.cursor().execute(sql).fetchall()
    found = rows(connection, sql)
    assert (found if "order" in sql else sorted(found)) == (
        expected if "order" in sql else sorted(expected)
    )


@pytest.mark.parametrize(
    "sql", ["EXPLAIN SELECT 1", "/* why */ explain analyze (FORMAT json) FROM t", "SUMMARIZE t"]
)
def test_other_reading_statements_are_answered(connection, sql):
    assert rows(connection, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1, '')",
        "WITH x AS (INSERT INTO t VALUES (1, '') RETURNING *) FROM x",
        "DELETE FROM t",
        "UPDATE t SET i = 0",
        "DROP TABLE t",
        "CREATE TABLE z (a INT)",
        "CREATE TEMP TABLE z (a INT)",
        "COPY t TO 'stolen.csv'",
        "ATTACH 'other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET operator_memory_limit = '1TB'",
        "SET threads = 1",
        "RESET threads",
        "USE memory",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CHECKPOINT",
        "FORCE CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "EXPORT DATABASE 'd'",
        "UPDATE EXTENSIONS",
        "EXPLAIN ANALYZE COMMIT",
        "EXPLAIN ANALYZE CHECKPOINT",
        "EXPLAIN ANALYZE INSERT INTO t VALUES (1, '')",
        "EXPLAIN COPY t TO 'stolen.csv'",
    ],
)
def test_error_what_does_not_only_read_is_refused(connection, tmp_path, sql):
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(QueryError, match="the statement must only read"):
        rows(connection, sql)
    assert rows(connection, "SELECT count(*), min(i), max(i) FROM t") == [(1000, 0, 999)]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_csv('{}')",
        "FROM '{}'",
        "FROM read_text('{}')",
        "FROM read_blob('{}')",
        "FROM read_json('{}')",
        "FROM read_parquet('{}')",
        "FROM read_duckdb('{}')",
        "FROM sniff_csv('{}')",
        "FROM parquet_metadata('{}')",
        "FROM glob('{}')",
        "FROM query('FROM read_csv(''{}'')')",
        "FROM read_csv('https://localhost/x.csv')",
        "SELECT getenv('HOME')",
        "FROM duckdb_secrets()",
        "FROM duckdb_extensions()",
        "FROM enable_logging()",
        "FROM enable_profiling()",
        "FROM force_checkpoint()",
        "FROM query('FROM force_checkpoint()')",
        "FROM arrow_scan(1, 2, 3)",
        "FROM held_by_python",
        "FROM sql_auto_complete('SEL')",
    ],
)
def test_error_nothing_outside_the_database_is_reached(connection, tmp_path, sql):
    held_by_python = connection.sql("SELECT 1 a").to_arrow_table()
    assert held_by_python.num_rows == 1
    with pytest.raises(QueryError):
        rows(connection, sql.format(tmp_path / "outside.csv"))


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("", "the query must be one statement, got 0"),
        ("-- nothing", "the query must be one statement, got 0"),
        ("SELECT 1; SELECT 2", "the query must be one statement, got 2"),
        ("SELEC 1", 'Parser Error: syntax error at or near "SELEC"'),
        ("SELECT error('boom')", "Invalid Input Error: boom"),
        ("SELECT if(i = 900000, error('late'), i) FROM range(1000000) r(i)", "late"),
    ],
)
def test_error_texts_are_one_line(connection, sql, text):
    with pytest.raises(QueryError) as caught:
        rows(connection, sql)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(1000000000000)",
        "FROM range(1000000000000)",
        "SELECT pg_sleep(20)",
    ],
)
def test_error_time_limit_holds_and_leaves_nothing_behind(connection, sql):
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"must be done within 0\.2 s"):
        rows(connection, sql, 0.2)
    assert time.monotonic() - started < 5
    assert rows(connection, "SELECT count(*) FROM t") == [(1000,)]


def test_error_a_slow_taker_is_stopped_too(connection):
    with answering(connection, "FROM range(100000000)", 0.2) as answer:
        next(answer.batches)
        time.sleep(0.4)
        with pytest.raises(QueryError, match="must be done within"):
            list(answer.batches)


def test_a_statement_that_nobody_waits_for_is_stopped(connection):
    with (
        pytest.raises(QueryError, match="nobody waits"),
        answering(connection, "SELECT pg_sleep(20)", 30, gone=lambda: True) as answer,
    ):
        list(answer.batches)


def test_an_answer_left_open_keeps_its_snapshot_and_lets_the_writer_commit(connection):
    with answering(connection, "SELECT i FROM t ORDER BY i") as answer:
        connection.execute("INSERT INTO t SELECT range, 'new' FROM range(1000, 3000)")
        assert sum(batch.num_rows for batch in answer.batches) == 1000
    assert rows(connection, "SELECT count(*) FROM t") == [(3000,)]
    # No snapshot is left behind: a checkpoint needs that there is none.
    connection.execute("FORCE CHECKPOINT")


@pytest.mark.parametrize("limit_s", [0, -1, float("nan"), 3600.1])
def test_error_time_limit(limit_s):
    with pytest.raises(QueryError, match="must be above 0 and at most 3600"):
        check_time_limit(limit_s)


def test_error_an_open_database_is_refused():
    with duckdb.connect() as connection, pytest.raises(ValueError, match="enable_external_access"):
        check_database(connection)
