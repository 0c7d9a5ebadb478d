"""Blocks one by one: damage in any block that is in use is found, DuckDB's own files have none."""

import random

import duckdb
import pytest
from damages import flipped

from connectors.blocks import first_damaged

BLOCK, HEADERS = 1 << 18, 3 * 4096


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A file with indexes, free blocks and several checkpoints."""
    path = tmp_path_factory.mktemp("blocks") / "some.duckdb"
    with duckdb.connect(str(path), config={"threads": 1}) as connection:
        for n in range(3):
            connection.execute(
                "CREATE OR REPLACE TABLE t AS SELECT i, md5(i::VARCHAR) AS s FROM range(60000) r(i)"
            )
            connection.execute(f"CREATE TABLE k{n} (i BIGINT PRIMARY KEY)")
            connection.execute(f"INSERT INTO k{n} SELECT * FROM range(9000)")
            connection.execute("CHECKPOINT")
        connection.execute("DROP TABLE k1")
        connection.execute("CHECKPOINT")
        (free,) = connection.execute("SELECT free_blocks FROM pragma_database_size()").fetchone()
    assert free
    return path, free


@pytest.fixture
def path(made, tmp_path):
    (tmp_path / "copy").write_bytes(made[0].read_bytes())
    return tmp_path / "copy"


def test_oracle_a_whole_file_has_none(made, path):
    assert first_damaged(path) is None
    assert path.stat().st_size == made[0].stat().st_size


def test_law_a_flipped_bit_is_found_in_every_block_but_the_free_ones(made, path):
    chance = random.Random(6)
    content, missed = path.read_bytes(), 0
    for at in range(HEADERS, len(content), BLOCK):
        path.write_bytes(content)
        flipped(path, at + chance.randrange(BLOCK), chance.randrange(8))
        found = first_damaged(path)
        assert found in {at, None}
        missed += found is None
    assert missed == made[1]


@pytest.mark.parametrize("at", [8, 100, 4096, 5000, 8192, 12287])
def test_fault_a_flipped_bit_in_a_header_is_found(path, at):
    flipped(path, at)
    assert first_damaged(path) == at // 4096 * 4096


def test_fault_a_file_that_is_cut_is_found(path):
    content = path.read_bytes()
    path.write_bytes(content[: HEADERS + BLOCK // 2])
    assert first_damaged(path) == HEADERS
    path.write_bytes(content[:5000])
    assert first_damaged(path) == 4096
