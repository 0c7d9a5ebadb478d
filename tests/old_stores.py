"""Data folders as the versions before wrote them, for the tests of migrations."""

import duckdb

from connectors.store import FILE_NAME


def make_seventh(folder):
    """Write the filters of a folder as the seventh version did, each in one row."""
    with duckdb.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE settings SET value = '7' WHERE name = 'schema_version'")
        pieces = connection.execute("FROM seen_filters ORDER BY segment, part").fetchall()
        connection.execute("DROP TABLE seen_filters")
        connection.execute("CREATE TABLE seen_filters (segment BIGINT, words BLOB NOT NULL)")
        for segment in sorted({segment for segment, _, _ in pieces}):
            words = b"".join(words for of, _, words in pieces if of == segment)
            connection.execute("INSERT INTO seen_filters VALUES (?, ?)", [segment, words])


def make_sixth(folder):
    """Take from a folder what the sixth version did not have: which partitions had ended."""
    make_seventh(folder)
    with duckdb.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE settings SET value = '6' WHERE name = 'schema_version'")
        connection.execute("ALTER TABLE partitions DROP COLUMN ended")


def make_fifth(folder):
    """Take from a folder all that the fifth version did not have: predictions as numbers."""
    make_sixth(folder)
    with duckdb.connect(folder / FILE_NAME) as connection:
        connection.execute("UPDATE settings SET value = '5' WHERE name = 'schema_version'")
        connection.execute("DROP VIEW events_log")
        for (name,) in connection.execute(
            "SELECT function_name FROM duckdb_functions() WHERE function_name LIKE '\\_kept\\_%'"
            " ESCAPE '\\'"
        ).fetchall():
            connection.execute(f"DROP MACRO {name}")
        connection.execute("DROP TABLE shapes")
        connection.execute("ALTER TABLE events_kept DROP COLUMN numbers")
        connection.execute("ALTER TABLE events_kept DROP COLUMN shape_id")
        connection.execute("ALTER TABLE events_kept RENAME COLUMN line TO raw")
        connection.execute("ALTER TABLE events_kept ALTER COLUMN raw SET NOT NULL")
        connection.execute("ALTER TABLE events_kept RENAME TO events_log")
