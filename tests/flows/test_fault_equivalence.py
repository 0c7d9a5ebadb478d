"""Killed at random moments and right after chosen writes, every store ends as that of a calm run.

Whichever way the lines come: files, Kafka, a growing file, standard input, `/events`. All relations
are compared, and the tables beneath; `crash_compare` says what may differ, `crash_attack` how it is
killed, and how to go on from a failure by hand. `BELLWETHER_KILLS` sets the kills a source over all
seeds, `BELLWETHER_SEEDS` the seeds; at night::

    BELLWETHER_KILLS=200 BELLWETHER_SEEDS=5 pytest -n 2 tests/flows/test_fault_equivalence.py
"""

import functools
import os

import pytest
from commands import PUBLIC, one, rows
from crash_attack import STREAMS, Attack, calm_run
from crash_sources import SOURCES
from crash_stream import ELECTRICITY

KILLS = int(os.environ.get("BELLWETHER_KILLS", "2"))
SEEDS = range(1, 1 + int(os.environ.get("BELLWETHER_SEEDS", "1")))
A_SEED = -(-KILLS // len(SEEDS))
LINES = 500 if KILLS < 20 else 2_000
# Of a calm run; what is missing needs a mail server, a change over REST, or more time.
EMPTY = {"notifications", "notification_configurations", "changes", "anomaly_score_changes"}
EMPTY |= {"topics", "anomaly_influencers"}  # of Kafka, and of streams that are longer


@pytest.fixture(scope="module")
def streams():
    return functools.cache(lambda name, seed: STREAMS[name][0](seed, LINES))


@pytest.fixture(scope="module")
def made(streams):
    """Give what makes a source of a stream over a folder."""

    def of(name, stream, seed):
        lines, sections = streams(stream, seed), STREAMS[stream][1](seed)
        return lambda folder: SOURCES[name](folder, lines, sections)

    return of


@pytest.fixture(scope="module")
def calm(made, tmp_path_factory):
    """Give calm runs; those of several sources are one."""

    @functools.cache
    def of(name, stream, seed):
        folder = tmp_path_factory.mktemp("calm")
        return calm_run(made(name, stream, seed)(folder / "calm"))

    return lambda source, stream, seed: of(SOURCES[source].calm, stream, seed)


@pytest.fixture
def attack(made, calm, tmp_path):
    """Attack a stream that comes from a source; nothing may differ."""

    def run(source, stream, seed, kills=A_SEED):
        expected, begin = calm(source, stream, seed), made(source, stream, seed)
        figures = Attack(begin, expected, tmp_path, seed=seed).run(kills)
        assert not figures.found, "\n".join([f"seed {seed}:", *figures.found])
        assert figures.kills.total() > 0, "no run was still going when it was killed"

    return run


def test_oracle_the_stream_has_everything(calm):
    data = calm("alone", "everything", SEEDS[0]).data
    filled = [name for name in PUBLIC if one(data, f'SELECT count(*) FROM "{name}"')[0]]
    assert [name for name in PUBLIC if name not in filled and name not in EMPTY] == []
    types = {row[0] for row in rows(data, "SELECT DISTINCT type FROM other_events")}
    assert types == {"reference", "model", "metric", "run", "ingest"}
    assert one(data, "SELECT count(*) FROM alert_rules WHERE NOT is_default")[0] == 50
    assert one(data, "SELECT count(*) FROM anomaly_jobs")[0] == 5
    assert one(data, "SELECT count(*) FROM votes WHERE NOT standing")[0]
    assert one(data, "SELECT count(DISTINCT voter) FROM votes")[0] > 3
    assert one(data, "SELECT count(DISTINCT rule_name) FROM alerts")[0] > 7


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("source", ["files", "kafka", "follow", "stdin", "repeats", "events"])
def test_fault_killed_runs_of_everything_end_equal(attack, source, seed):
    if source == "kafka":
        pytest.importorskip("confluent_kafka")
    attack(source, "everything", seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("source", ["files"])
def test_fault_killed_runs_without_rules_end_equal(attack, source, seed):
    attack(source, "unwatched", seed)


@pytest.mark.skipif(not ELECTRICITY.exists(), reason="the electricity file is not there")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("source", ["files"])
def test_fault_killed_runs_of_the_electricity_stream_end_equal(attack, source, seed):
    attack(source, "electricity", seed)
