"""Whole relations through the owner's socket: the same as from the file, and every end is told."""

import socket

import duckdb
import pyarrow as pa
import pytest

from connectors.relations import PUBLIC
from connectors.relationwire import received_relations
from connectors.sqlclient import relations
from connectors.sqlquery import DATABASE_CONFIG
from connectors.sqlserver import SqlServer
from connectors.sqlwire import send_json
from connectors.store import Store
from engine.errors import ConfigurationError, QueryError, StoreError


@pytest.fixture
def owner():
    """A database with two of the relations, and its server."""
    connection = duckdb.connect(config=DATABASE_CONFIG)
    connection.execute("CREATE TABLE events AS SELECT i, i::VARCHAR AS t FROM range(50000) r(i)")
    connection.execute("CREATE VIEW votes AS SELECT 'x'::INTEGER AS broken FROM events")
    server = SqlServer(connection)
    server.start()
    try:
        yield server
    finally:
        server.close()


def asked(server, request):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(server.path))
        connection.settimeout(20)
        send_json(connection, request)
        for relation in received_relations(connection):
            yield relation.name, pa.Table.from_batches(relation.batches, relation.schema)


def test_oracle_what_is_received_is_what_is_there(owner):
    ((name, table),) = asked(owner, {"relations": ["events"]})
    assert name == "events"
    assert table["i"].to_pylist() == list(range(50_000))
    assert list(asked(owner, {"relations": []})) == []


def test_error_a_relation_that_fails_ends_the_answer_with_its_reason(owner):
    found = asked(owner, {"relations": ["events", "votes"]})
    assert next(found)[0] == "events"
    with pytest.raises(QueryError, match="Could not convert"):
        list(found)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("events", "must be a list of names, got str"),
        (["settings"], "must be names of public relations, got 'settings'"),
        ([['"']], "must be names of public relations"),
    ],
    ids=["text", "table", "list"],
)
def test_error_what_is_no_relation_is_refused(owner, names, told):
    with pytest.raises(QueryError, match=told):
        list(asked(owner, {"relations": names}))


def test_error_the_time_limit_holds(owner):
    with pytest.raises(QueryError, match=r"within 0\.001 s"):
        list(asked(owner, {"relations": ["events"] * 500, "limit_seconds": 0.001}))


def test_fault_an_owner_that_goes_away_is_no_end_of_the_answer():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_json(theirs, {"relation": "events"})
        theirs.close()
        with pytest.raises((ConnectionError, OSError, pa.ArrowException)):
            list(received_relations(ours))


def test_the_file_is_read_where_nobody_owns_it_and_asked_where_somebody_does(tmp_path):
    def names(**more):
        return relations(
            str(tmp_path), PUBLIC, lambda found: [each.name for each in found if _all(each)], **more
        )

    with pytest.raises(ConfigurationError):
        names()
    with Store(tmp_path) as store:
        server = SqlServer(store.readers())
        server.start()
        store.announce(str(server.path))
        try:
            assert names() == list(PUBLIC)
        finally:
            server.close()
    assert names() == list(PUBLIC)
    with pytest.raises(ConfigurationError, match=r"holds no published\.duckdb yet"):
        names(published=True)
    (tmp_path / "published.duckdb").write_bytes(b"rubbish" * 999)
    with pytest.raises(StoreError, match=r"published\.duckdb is damaged"):
        names(published=True)


def _all(relation):
    list(relation.batches)
    return True
